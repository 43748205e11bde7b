import type {
  SnapshotCondition,
  SnapshotCredentialScope,
  SnapshotPolicy,
  SnapshotRoutingPolicy,
  SnapshotScope,
} from '../../schema/snapshot.ts'
import { perGrant } from '../snapshot/per-grant.ts'
import type { FoundKey, RunningAlias, RunningGrant, RunningModel } from '../snapshot/running.ts'
import { type Places, placeIsKnown, type RunningCondition, runningCondition } from './condition.ts'

/** A policy made ready when its snapshot is activated: positions are sets, what its scope leaves open is a condition. */
export interface RunningPolicy {
  readonly id: string
  readonly kind: string
  readonly mode: 'ENFORCE' | 'OBSERVE'
  readonly onFailure: 'CLOSED' | 'OPEN'
  readonly overridable: boolean
  readonly condition: RunningCondition | null
  /** Null where this version does not know the kind. */
  readonly lists: RoutingLists | null
  /** How low its scope is; 0 for the tenant, for places and for labels. */
  readonly depth: number
}

/** What a ROUTING policy limits; null where it says nothing. A target must pass each. */
export interface RoutingLists {
  readonly aliases: ReadonlySet<RunningAlias> | null
  readonly models: ReadonlySet<RunningModel> | null
  readonly tiers: ReadonlySet<RunningModel> | null
  readonly denied: ReadonlySet<RunningModel> | null
  readonly regions: ReadonlySet<string> | null
}

/** A policy as it stands for one key, with those that may weaken it. */
export interface StandingPolicy {
  readonly policy: RunningPolicy
  readonly weakeners: readonly RunningPolicy[]
}

export interface PolicyBook {
  /** The policies whose scope covers this key's requests, or some of them, in the order they apply. Empty for most tenants. */
  standingFor(found: Pick<FoundKey, 'grant' | 'apiKey'>): readonly StandingPolicy[]
}

const none: readonly StandingPolicy[] = Object.freeze([])
const noPolicies: PolicyBook = Object.freeze({ standingFor: () => none })

/** Prepares a tenant's policies. */
export function policyBook(
  policies: readonly SnapshotPolicy[],
  aliases: readonly RunningAlias[],
  places: Places,
): PolicyBook {
  if (policies.length === 0) return noPolicies
  const all = policies.map((policy) => ({
    scope: policy.scope,
    policy: runningPolicy(policy, aliases, places),
  }))
  const keyed = new Set(all.flatMap(({ scope }) => (scope.kind === 'API_KEY' ? [scope.id] : [])))
  const stand = (grant: RunningGrant, apiKey: string | null) =>
    standing(all.filter(({ scope }) => covers(scope, grant, apiKey)).map(({ policy }) => policy))
  return Object.freeze({ standingFor: perGrant((apiKey) => keyed.has(apiKey), stand) })
}

function runningPolicy(
  { id, mode, onFailure, overridable, scope, when, spec }: SnapshotPolicy,
  aliases: readonly RunningAlias[],
  places: Places,
): RunningPolicy {
  return Object.freeze({
    ...{ id, kind: spec.kind, mode, onFailure, overridable },
    condition: runningCondition(when, scope, places),
    lists: spec.kind === 'ROUTING' ? routingLists(spec, aliases, places) : null,
    depth: depths[scope.kind] ?? 0,
  })
}

/** Places and labels are no part of the order tenant › team › project › principal › key: a client may choose them. */
const depths: Partial<Record<SnapshotScope['kind'], number>> = { TEAM: 1, PROJECT: 2, PRINCIPAL: 3, API_KEY: 4 }

function routingLists(
  spec: SnapshotRoutingPolicy,
  aliases: readonly RunningAlias[],
  { models, tiers }: Places,
): RoutingLists {
  const named = (list: number[] | null) => list && new Set(list.map((at) => models[at]!))
  return Object.freeze({
    aliases: spec.allowAliases && new Set(spec.allowAliases.map((at) => aliases[at]!)),
    models: named(spec.allowModels),
    tiers: spec.allowTiers && new Set(spec.allowTiers.flatMap((at) => [...tiers[at]!])),
    denied: spec.denyModels.length > 0 ? named(spec.denyModels) : null,
    regions: spec.regions && new Set(spec.regions),
  })
}

/** Whether a scope covers requests of a key, or may: of places and labels, only the request tells. An unknown scope covers all. */
export function covers(
  scope: Pick<SnapshotScope | SnapshotCredentialScope, 'kind'> & { readonly id?: string },
  grant: RunningGrant,
  apiKey: string | null,
): boolean {
  switch (scope.kind) {
    case 'TEAM':
      return scope.id === grant.team
    case 'PROJECT':
      return scope.id === grant.project
    case 'PRINCIPAL':
      return scope.id === grant.principal
    case 'API_KEY':
      return scope.id === apiKey
    default:
      return true
  }
}

function standing(policies: readonly RunningPolicy[]): readonly StandingPolicy[] {
  return Object.freeze(
    policies.map((policy) => Object.freeze({ policy, weakeners: Object.freeze(weakenersOf(policy, policies)) })),
  )
}

/** Only an enforced policy of the same kind on a lower scope; one that is merely observed changes nothing. */
function weakenersOf(policy: RunningPolicy, policies: readonly RunningPolicy[]): RunningPolicy[] {
  if (!policy.overridable) return []
  return policies.filter(({ kind, mode, depth }) => kind === policy.kind && mode === 'ENFORCE' && depth > policy.depth)
}

/** What policies and conditions point into. */
interface Pointed {
  tiers: readonly { models: number[] }[]
  aliases: readonly unknown[]
  models: readonly unknown[]
  credentials: readonly unknown[]
  providers: readonly unknown[]
}

const misses = (list: readonly unknown[], index: unknown) => !Number.isInteger(index) || !list[index as number]
const strays = (list: readonly unknown[], indexes: unknown, isNeeded = false) =>
  indexes == null ? isNeeded : !Array.isArray(indexes) || indexes.some((index) => misses(list, index))

/** True where a condition names a place that is not there. */
export function conditionStrays({ providers, models, tiers }: Pointed, when: SnapshotCondition | null): boolean {
  return strays(providers, when?.providers) || strays(models, when?.models) || strays(tiers, when?.tiers)
}

/** A position of a policy or tier that points nowhere; undefined where all is well. Checked once, before anything is built. */
export function findPolicyFault(config: Pointed & { policies: readonly SnapshotPolicy[] }): string | undefined {
  const { aliases, models, tiers } = config
  if (tiers.some((tier) => strays(models, tier.models, true))) return 'A tier names a model that is not there.'
  for (const { scope, when, spec } of config.policies) {
    if (!placeIsKnown(config, scope)) return 'A policy is of a place that is not there.'
    if (conditionStrays(config, when)) return 'A condition names a place that is not there.'
    if (spec.kind !== 'ROUTING') continue
    const { allowAliases, allowModels, allowTiers, denyModels, regions } = spec
    if (strays(aliases, allowAliases) || strays(models, allowModels) || strays(models, denyModels, true))
      return 'A policy names a model that is not there.'
    if (strays(tiers, allowTiers) || (regions !== null && !Array.isArray(regions)))
      return 'A policy names a tier or region that is not there.'
  }
  return undefined
}
