import type { RunningCredential, RunningGrant, RunningSnapshot } from './running.ts'

/** Where the request path gets its snapshots: `current()` once per request, so that a swap falls between requests. */
export interface SnapshotSource {
  current(): RunningSet
}

/** The snapshots of all tenants this plane serves, at one moment. A newer snapshot makes another set; key deltas hold in the present one at once. */
export interface RunningSet {
  /** By tenant id. */
  readonly tenants: ReadonlyMap<string, RunningTenant>
  /**
   * The key with this SHA-256, revoked and expired ones too: the caller tells them apart. Undefined where no tenant here has
   * such a key. Deltas that came after a snapshot hold over it.
   */
  lookupKey(hash: Uint8Array): FoundKey | undefined
}

export interface FoundKey {
  readonly snapshot: RunningSnapshot
  /** When its snapshot was last known to be current; see `ageMs`. */
  readonly tenant: RunningTenant
  readonly apiKey: string
  readonly grant: RunningGrant
  readonly revoked: boolean
  /** Unix milliseconds; null = never. */
  readonly expiresAtMs: number | null
}

export interface RunningTenant {
  readonly snapshot: RunningSnapshot
  /** Every key delta up to this number is in force. */
  readonly deltaNumber: number
  /** Milliseconds since the control plane last confirmed this snapshot; never negative, and a clock set back lowers nothing. */
  ageMs(nowMs: number): number
  /** True where the age is beyond the tenant's `maxStaleness`: refuse `snapshot_expired`. */
  isExpired(nowMs: number): boolean
}

/** A secret in memory. It shows itself only to who asks by name: logs, JSON and inspection get `[secret]`. */
export interface Secret {
  expose(): string
  /** First 12 hex digits of its SHA-256, for telling a rotated one apart. */
  readonly fingerprint: string
}

/** Where credentials' secrets come from. Synchronous: what takes time was done when the snapshot was activated. */
export interface Secrets {
  /** The secret, or why there is none: a sentence for operators, without the secret and without what it was sought in. */
  secretOf(credential: RunningCredential): Secret | { readonly missing: string }
}
