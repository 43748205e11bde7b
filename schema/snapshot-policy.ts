import type { Codec } from './config/index.ts'

/** Models that may stand in for one another. */
export interface SnapshotTier {
  id: string
  name: string
  /** A higher rank is the more capable, and dearer, class. */
  rank: number
  /** Positions, in ascending order; a model is in one tier at most. */
  models: number[]
}

/** A key that requests may carry. What is not declared is not a label. */
export interface SnapshotRequestLabel {
  key: string
  /**
   * Members of the body that may hold the value where the header does not, in this order: `user`, `safety_identifier` or
   * `metadata.` and a member's name. The header x-sluice-labels is always read, and what the key binds wins over both.
   */
  from: string[]
  /** A request without a value is refused. */
  required: boolean
  /** The values it may have; null = any, as long as there are at most `maxValues` different ones. */
  values: string[] | null
  maxValues: number
  /** The value names a person: it is kept as a pseudonym only. */
  subject: boolean
}

/** One policy that is enforced or observed; a policy that is OFF is not compiled. */
export interface SnapshotPolicy {
  id: string
  name: string
  order: number
  mode: 'ENFORCE' | 'OBSERVE'
  /** What happens where the policy itself cannot be evaluated. */
  onFailure: 'CLOSED' | 'OPEN'
  /** A policy of the same kind on a lower scope may weaken this one. */
  overridable: boolean
  scope: SnapshotScope
  when: SnapshotCondition | null
  /** A plane that does not know the kind refuses every request of the scope, whatever `onFailure` says. */
  spec: SnapshotPolicySpec
}

/**
 * What a policy attaches to. Who asks is named by id, as in a grant; where a request may go is named by position. A label's
 * `value` null = every value, but not its absence.
 */
export type SnapshotScope =
  | { kind: 'TENANT' }
  | { kind: 'TEAM' | 'PROJECT' | 'PRINCIPAL' | 'API_KEY'; id: string }
  | { kind: 'PROVIDER' | 'MODEL' | 'TIER'; at: number }
  | { kind: 'LABEL'; key: string; value: string | null }

/**
 * All members that are there must hold; the values in one list are alternatives. What was not asked is absent, so that a plane
 * sees at once whether it knows everything that was: a member that it does not know makes the policy one that cannot be evaluated.
 * `providers`, `models`, `tiers`, `regions` and `external` speak of a target and are asked of each.
 */
export interface SnapshotCondition {
  requestLabels?: Record<string, string>
  /** Positions. */
  providers?: number[]
  models?: number[]
  tiers?: number[]
  /** Exact names; the model's region counts before the provider's. */
  regions?: string[]
  /** True: the provider is not self-hosted. */
  external?: boolean
  dialect?: Codec[]
  streamed?: boolean
  /** The request offers tools, or holds images. */
  tools?: boolean
  images?: boolean
  /** Of what the user said last, as the plane guesses it; ISO 639-1. */
  language?: string[]
  /** Of the request's input bound, both ends included. */
  minInputTokens?: number
  maxInputTokens?: number
}

export type SnapshotPolicySpec = SnapshotRoutingPolicy

/**
 * Where a request may go. Null = this policy does not limit it; a list that is there allows exactly what it names. A target must
 * pass each list of each policy: allow lists intersect, deny lists unite.
 */
export interface SnapshotRoutingPolicy {
  kind: 'ROUTING'
  /** Positions. */
  allowAliases: number[] | null
  allowModels: number[] | null
  allowTiers: number[] | null
  denyModels: number[]
  /** Exact names. A target whose region is not known is in none of them. */
  regions: string[] | null
}
