import type { Resource } from '../../../schema/config/index.ts'
import { isLabelScope, parseLabelScope } from '../../../schema/handles.ts'
import { idKind } from '../../../schema/ids.ts'
import type { Dimensions } from '../measures.ts'

/** The parents by which one scope lies below another. */
export interface Tree {
  /** Team of a project. */
  teams: ReadonlyMap<string, string>
  /** Project (null = none) and principal of a key. */
  keys: ReadonlyMap<string, { project: string | null; principal: string }>
  /** Provider and tier of a model. */
  models: ReadonlyMap<string, { provider: string; tier: string | null }>
}

export function treeOf(resources: readonly Resource[]): Tree {
  const of = <K extends Resource['kind']>(kind: K) => resources.filter((one) => one.kind === kind) as Resource<K>[]
  return {
    teams: new Map(of('project').map(({ id, spec }) => [id, spec.team])),
    keys: new Map(of('apiKey').map(({ id, spec }) => [id, { project: spec.project, principal: spec.principal }])),
    models: new Map(of('model').map(({ id, spec }) => [id, { provider: spec.provider, tier: spec.tier }])),
  }
}

/**
 * Whether `scope` is `outer` or lies below it: everything below the tenant; projects and their keys below a team; keys below
 * their project and their principal; models below their provider and tier; `label/case=a` below `label/case`.
 */
export function isWithin(outer: string, scope: string, tree: Tree): boolean {
  if (outer === scope || idKind(outer) === 'tenant') return true
  if (isLabelScope(scope)) return isLabelScope(outer) && isLabelWithin(outer, scope)
  return aboveOf(scope, tree).includes(outer)
}

function isLabelWithin(outer: string, scope: string): boolean {
  const of = parseLabelScope(outer)
  return of.value === null && of.key === parseLabelScope(scope).key
}

function aboveOf(scope: string, { teams, keys, models }: Tree): (string | null | undefined)[] {
  const key = keys.get(scope)
  if (key) return [key.principal, key.project, key.project && teams.get(key.project)]
  const model = models.get(scope)
  if (model) return [model.provider, model.tier]
  return [teams.get(scope)]
}

/** Whether spending of these dimensions counts in a scope. */
export function isSpentIn(scope: string, spent: Dimensions): boolean {
  if (isLabelScope(scope)) {
    const { key, value } = parseLabelScope(scope)
    const given = spent.requestLabels[key]
    return given !== undefined && (value === null || given === value)
  }
  const kind = idKind(scope)
  return kind === 'tenant' || (kind !== undefined && spent[kind as keyof Dimensions] === scope)
}

/** Whether spending counts for one counter of a budget. */
export function countsFor({ spec }: Resource<'budget'>, subject: string | null, spent: Dimensions): boolean {
  if (!isSpentIn(spec.scope, spent)) return false
  if (spec.per === null || subject === null) return true
  if (spec.per === 'LABEL_VALUE') return spent.requestLabels[parseLabelScope(spec.scope).key] === subject
  return spent[dimensionOf[spec.per]] === subject
}

const dimensionOf = {
  TEAM: 'team',
  PROJECT: 'project',
  PRINCIPAL: 'principal',
  API_KEY: 'apiKey',
  MODEL: 'model',
} as const
