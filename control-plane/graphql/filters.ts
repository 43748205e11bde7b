import { policyKinds } from '../../schema/config/index.ts'
import { isLabelScope } from '../../schema/handles.ts'
import { findResource, type ResourceQuery } from '../domain/resources.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { read } from './loaders.ts'

/** Filters are flat: fields AND together, values in a list OR together. */
export const TimeRange = builder.inputType('TimeRange', {
  description: 'Half-open [from, to). Either end may be left out.',
  fields: (t) => ({ from: t.field({ type: 'DateTime' }), to: t.field({ type: 'DateTime' }) }),
})

export const ResourceFilter = builder.inputType('ResourceFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    updatedAt: t.field({ type: TimeRange }),
  }),
})

export const ProjectFilter = builder.inputType('ProjectFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    updatedAt: t.field({ type: TimeRange }),
    team: t.field({ type: ['Ref'] }),
    dataClass: t.field({ type: [configEnum('DataClass')] }),
  }),
})

export const PrincipalFilter = builder.inputType('PrincipalFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    kind: t.field({ type: [configEnum('PrincipalKind')] }),
  }),
})

export const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    kind: t.field({ type: [configEnum('ApiKeyKind')] }),
    project: t.field({ type: ['Ref'] }),
    principal: t.field({ type: ['Ref'] }),
  }),
})

export const ModelFilter = builder.inputType('ModelFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    provider: t.field({ type: ['Ref'] }),
    tier: t.field({ type: ['Ref'] }),
  }),
})

export const ScopedFilter = builder.inputType('ScopedFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    scope: t.field({ type: ['Ref'], description: 'As it is declared: `label/case` is not `label/case=summary`.' }),
  }),
})

const PolicyKind = builder.enumType('PolicyKind', {
  values: Object.fromEntries(Object.entries(policyKinds).map(([member, name]) => [name, { value: member }])),
})

export const PolicyFilter = builder.inputType('PolicyFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    scope: t.field({ type: ['Ref'], description: 'As it is declared: `label/case` is not `label/case=summary`.' }),
    kind: t.field({ type: [PolicyKind] }),
    mode: t.field({ type: [configEnum('PolicyMode')] }),
  }),
})

export const DataPlaneFilter = builder.inputType('DataPlaneFilter', {
  fields: (t) => ({
    search: t.string(),
    labels: t.field({ type: 'Labels' }),
    archived: t.boolean({ defaultValue: false }),
    adapter: t.field({ type: [configEnum('Adapter')] }),
  }),
})

type Range = { from?: string | null; to?: string | null } | null | undefined

/** A range whose ends are instants. */
export function rangeOf(range: Range): { from: Date | null; to: Date | null } | null {
  return range ? { from: instant('from', range.from), to: instant('to', range.to) } : null
}

function instant(name: string, text: string | null | undefined): Date | null {
  if (!text) return null
  const at = new Date(text)
  if (!/^\d{4}-\d{2}-\d{2}/.test(text) || Number.isNaN(at.getTime()))
    throw requestError('BAD_DOCUMENT', `${name} is no RFC 3339 instant such as 2026-01-31T00:00:00Z.`)
  return at
}

const refsMax = 100

/** Ids behind Refs. What does not exist, or may not be seen, is an id that nothing has, so that it matches nothing. */
export async function idsOf(ctx: GraphContext, refs: readonly string[] | null | undefined): Promise<string[] | null> {
  if (!refs) return null
  if (refs.length > refsMax) throw requestError('BAD_DOCUMENT', `A filter names at most ${refsMax} resources.`)
  return read(ctx, async (tx, tenant) => {
    const ids: string[] = []
    for (const ref of refs) ids.push(isLabelScope(ref) ? ref : ((await findResource(tx, tenant, ref))?.id ?? 'nothing'))
    return ids
  })
}

const searchCharactersMax = 200

/** Part of a name; what is longer than names are could match nothing, at some cost. */
export function searchOf(search: string | null | undefined): string | null {
  if (search && search.length > searchCharactersMax)
    throw requestError('BAD_DOCUMENT', `search has at most ${searchCharactersMax} characters.`)
  return search ?? null
}

type Given = Record<string, unknown> | null | undefined
const shared = new Set(['search', 'labels', 'archived', 'updatedAt'])
const references = new Set(['team', 'project', 'principal', 'provider', 'tier', 'scope'])

/**
 * What `listResources` takes, from any of the filters above: the fields of one kind become conditions on its spec. `oneOf` says
 * which of them ask for the member that a field of the spec holds.
 */
export async function resourceQuery(
  ctx: GraphContext,
  filter: Given,
  oneOf: Record<string, string> = {},
): Promise<Omit<ResourceQuery, 'first'>> {
  const where: Record<string, readonly string[] | null> = {}
  const holding: Record<string, readonly string[]> = {}
  for (const [field, values] of Object.entries(filter ?? {})) {
    if (shared.has(field) || !values) continue
    const holder = oneOf[field]
    if (holder) holding[holder] = values as string[]
    else where[field] = references.has(field) ? await idsOf(ctx, values as string[]) : (values as string[])
  }
  return {
    search: searchOf(filter?.search as string | null | undefined),
    labels: filter?.labels as Record<string, string> | null,
    archived: filter?.archived as boolean | null,
    updatedAt: rangeOf(filter?.updatedAt as Range),
    where,
    holding,
  }
}
