import type { Codec, Meter, Platform } from '../../schema/config/index.ts'
import type { SnapshotCredential, SnapshotModel, SnapshotRoute } from '../../schema/snapshot.ts'
import type { RunningBudget } from '../budgets/book.ts'
import type { CounterBook } from '../counters/book.ts'
import type { RunningLabels } from '../labels/declared.ts'
import type { RunningLimit } from '../limits/book.ts'
import type { PolicyBook } from '../policies/book.ts'
import type { RunningCondition } from '../policies/condition.ts'

/**
 * One tenant's snapshot as the request path uses it: every position resolved to its object, every amount a bigint of 10⁻¹²,
 * every index built once. All of it is frozen; a newer snapshot replaces the whole in one assignment.
 */
export interface RunningSnapshot {
  readonly tenant: {
    readonly id: string
    readonly name: string
    readonly currency: string
    readonly maxStalenessMs: number
  }
  readonly revision: number
  /** Digest of the manifest, hex: names exactly what runs. */
  readonly configDigest: string
  /** Sequence of the envelope that brought it. */
  readonly sequence: number
  /** Number of the newest key delta that the key parts contain. */
  readonly deltaNumber: number
  readonly aliases: readonly RunningAlias[]
  readonly models: readonly RunningModel[]
  readonly providers: readonly RunningProvider[]
  readonly credentials: readonly RunningCredential[]
  readonly requestLabels: RunningLabels
  readonly policies: PolicyBook
  /** What a key's requests spend under. */
  readonly budgets: CounterBook<RunningBudget>
  /** What a key's requests are limited by. */
  readonly limits: CounterBook<RunningLimit>
  /** Those that there are; money under any other is given back. */
  readonly budgetIds: ReadonlySet<string>
  readonly hasLimits: boolean
  /** The alias a model name asks for: exact first, then the longest prefix among aliases that end in `*`. */
  findAlias(name: string): RunningAlias | undefined
  /** Key tables by first byte of the hash, as they came: what several snapshots are indexed by. */
  readonly keyShards: readonly (Uint8Array | undefined)[]
  /** A key of this snapshot's own parts, without the deltas that came after. The request path asks `RunningSet.lookupKey`. */
  findKey(hash: Uint8Array): SnapshotKey | undefined
}

/** What a key's row in a snapshot says. */
export interface SnapshotKey {
  readonly apiKey: string
  readonly grant: RunningGrant
  readonly revoked: boolean
  /** Unix milliseconds; null = never. */
  readonly expiresAtMs: number | null
}

export interface RunningGrant {
  readonly team: string | null
  readonly project: string | null
  readonly principal: string
  /** Ids of aliases; null = every alias. */
  readonly aliases: ReadonlySet<string> | null
  readonly requestLabels: Readonly<Record<string, string>>
  /** CIDR ranges; empty = anywhere. */
  readonly allowedAddresses: readonly string[]
}

export interface RunningAlias {
  readonly id: string
  readonly name: string
  /** The name without its `*`; null where the alias matches exactly. */
  readonly prefix: string | null
  readonly route: RunningRoute
  readonly allowLossy: boolean
  readonly deprecation: {
    readonly sinceMs: number
    readonly removeAfterMs: number | null
    readonly use: string | null
  } | null
}

export interface RunningRoute extends Readonly<Omit<SnapshotRoute, 'targets'>> {
  readonly targets: readonly RunningTarget[]
}

/** Where a route may send requests: a model, with each of the credentials that will do there. */
export interface RunningTarget {
  readonly model: RunningModel
  /** The one that is named, else all of the provider's; empty where it needs none. */
  readonly credentials: readonly RunningCredential[]
  readonly weight: number
  /** The requests it is for; null = every one. */
  readonly when: RunningCondition | null
}

export interface RunningModel extends Readonly<Omit<SnapshotModel, 'provider'>> {
  readonly provider: RunningProvider
  /** Id; null where it is in none. */
  readonly tier: string | null
  /** What `upstreamName` begins with where it ends in `*`; null where it is one model's name. */
  readonly upstreamPrefix: string | null
  /** Latest first; use `ratesFor`. */
  readonly rateHistory: readonly RateCard[]
  /** Latest first: what an unpriced attempt is charged from when on; use `ratesFor`. */
  readonly ceilingHistory: readonly { readonly effectiveFromMs: number; readonly ceiling: bigint }[]
}

export interface RunningProvider {
  readonly id: string
  readonly name: string
  readonly platform: Platform
  readonly codecs: ReadonlySet<Codec>
  readonly baseUrl: string | null
  readonly region: string | null
  readonly apiVersion: string | null
  readonly selfHosted: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly forwardHeaders: readonly string[]
  readonly proxy: string | null
  readonly caBundle: string | null
}

export interface RunningCredential extends Readonly<Omit<SnapshotCredential, 'provider'>> {
  readonly provider: RunningProvider
  readonly tenant: string
}

/** Unit prices by meter at 10⁻¹². */
export type Rates = ReadonlyMap<Meter, bigint>

/** What one sheet says of one model. Each table is whole: a step or tier holds what it does not change too. */
export interface RateCard {
  /** Null for a self-hosted model without a sheet: every rate is zero. */
  readonly sheet: string | null
  readonly effectiveFromMs: number
  readonly standard: RateTable
  /** By service tier, lower case. */
  readonly tiers: ReadonlyMap<string, RateTable>
}

export interface RateTable {
  readonly rates: Rates
  /** Largest first: a request with more input tokens than this is priced by these rates, whole. */
  readonly steps: readonly { readonly aboveInputTokens: number; readonly rates: Rates }[]
}

/** No sheet in effect names the model: `ceiling` (10⁻¹²) is charged per attempt, null refuses. */
export interface Unpriced {
  readonly unpriced: true
  readonly ceiling: bigint | null
}

export type { RunningBudget } from '../budgets/book.ts'
export type { FoundKey, RunningSet, RunningTenant, Secret, Secrets, SnapshotSource } from './source.ts'
