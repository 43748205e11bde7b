import type { Condition, Resource, RoutingPolicy } from '../../schema/config/index.ts'
import { isLabelScope, parseLabelScope } from '../../schema/handles.ts'
import { idKind } from '../../schema/ids.ts'
import type {
  SnapshotCondition,
  SnapshotConfig,
  SnapshotPolicy,
  SnapshotPolicySpec,
  SnapshotRequestLabel,
  SnapshotScope,
  SnapshotTier,
} from '../../schema/snapshot.ts'
import { compileBudgets } from './compile-budgets.ts'
import { compileRateLimits } from './compile-limits.ts'

type Of<K extends Resource['kind']> = Resource<K>
type Position = (id: string) => number

/**
 * What limits requests, made ready for running: tiers, request labels, policies, budgets and rate limits. `all` is everything that is live, in the
 * order of ids, which is the order that positions speak of. A policy that is OFF is left out.
 */
export function compilePolicies(
  all: Resource[],
): Pick<SnapshotConfig, 'tiers' | 'requestLabels' | 'policies' | 'budgets' | 'rateLimits'> {
  const of = <K extends Resource['kind']>(kind: K) => all.filter((one): one is Of<K> & Resource => one.kind === kind)
  const at = positionsOf(of('provider'), of('model'), of('tier'), of('alias'))
  return {
    tiers: compileTiers(of('tier'), of('model')),
    requestLabels: of('tenant').flatMap(({ spec }) => compileLabels(spec.requestLabels)),
    policies: of('policy')
      .flatMap((policy) => compilePolicy(policy, at))
      .sort((a, b) => a.order - b.order || (a.id < b.id ? -1 : 1)),
    budgets: compileBudgets(of('budget'), (scope) => compileScope(scope, at), at),
    rateLimits: compileRateLimits(of('rateLimit'), (scope) => compileScope(scope, at), positionsOf(of('credential'))),
  }
}

function positionsOf(...lists: Resource[][]): Position {
  const at = new Map(lists.flatMap((list) => list.map(({ id }, index): [string, number] => [id, index])))
  return (id) => {
    const index = at.get(id)
    if (index === undefined) throw new Error(`${id} is named but not there`)
    return index
  }
}

function compileTiers(tiers: Of<'tier'>[], models: Of<'model'>[]): SnapshotTier[] {
  const members = new Map(tiers.map(({ id }): [string, number[]] => [id, []]))
  for (const [index, { spec }] of models.entries()) if (spec.tier) members.get(spec.tier)!.push(index)
  return tiers.map(({ id, name, spec }) => ({ id, name, rank: spec.rank, models: members.get(id)! }))
}

function compileLabels(labels: Of<'tenant'>['spec']['requestLabels']): SnapshotRequestLabel[] {
  return [...labels].sort((a, b) => (a.key < b.key ? -1 : 1))
}

function compilePolicy({ id, name, spec }: Of<'policy'>, at: Position): SnapshotPolicy[] {
  const { order, mode, onFailure, overridable, scope, when } = spec
  if (mode === 'OFF') return []
  const given = { id, name, order, mode, onFailure, overridable }
  return [
    { ...given, scope: compileScope(scope, at), when: when && compileWhen(when, at), spec: compileSpec(spec, at) },
  ]
}

function compileScope(scope: string, at: Position): SnapshotScope {
  if (isLabelScope(scope)) return { kind: 'LABEL', ...parseLabelScope(scope) }
  const kind = idKind(scope)
  if (kind === 'tenant') return { kind: 'TENANT' }
  if (kind === 'team') return { kind: 'TEAM', id: scope }
  if (kind === 'project') return { kind: 'PROJECT', id: scope }
  if (kind === 'principal') return { kind: 'PRINCIPAL', id: scope }
  if (kind === 'apiKey') return { kind: 'API_KEY', id: scope }
  if (kind === 'provider') return { kind: 'PROVIDER', at: at(scope) }
  if (kind === 'model') return { kind: 'MODEL', at: at(scope) }
  if (kind === 'tier') return { kind: 'TIER', at: at(scope) }
  throw new Error(`${scope} is no scope`)
}

/** Only what is asked; a condition that asks nothing is none. */
export function compileWhen(when: Condition, at: Position): SnapshotCondition | null {
  const { provider, model, tier, region, ...plain } = when
  const asked: { [Field in keyof SnapshotCondition]-?: SnapshotCondition[Field] | null } = {
    ...plain,
    providers: placed(provider, at),
    models: placed(model, at),
    tiers: placed(tier, at),
    regions: region,
  }
  const given = Object.entries(asked).filter(([, value]) => value !== null)
  return given.length > 0 ? Object.fromEntries(given) : null
}

function compileSpec({ spec }: Of<'policy'>['spec'], at: Position): SnapshotPolicySpec {
  if (spec.routing) return compileRouting(spec.routing, at)
  throw new Error('a policy has no spec that is known here')
}

function compileRouting(rule: RoutingPolicy, at: Position): SnapshotPolicySpec {
  return {
    kind: 'ROUTING',
    allowAliases: placed(rule.allowAliases, at),
    allowModels: placed(rule.allowModels, at),
    allowTiers: placed(rule.allowTiers, at),
    denyModels: placed(rule.denyModels, at) ?? [],
    regions: rule.regions,
  }
}

/** Positions in ascending order, each once. */
function placed(ids: string[] | null, at: Position): number[] | null {
  return ids && [...new Set(ids.map(at))].sort((a, b) => a - b)
}
