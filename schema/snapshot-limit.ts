import type { CounterPer, RateUnit } from './config/index.ts'
import type { SnapshotScope } from './snapshot-policy.ts'

/** A rate limit that is enforced or observed; one that is OFF is not compiled. */
export interface SnapshotRateLimit {
  id: string
  name: string
  scope: SnapshotScope | SnapshotCredentialScope
  /** One counter for each … inside the scope; null = one for all of it. */
  per: CounterPer | null
  mode: 'ENFORCE' | 'OBSERVE'
  /** A plane that does not know it does not run the snapshot. */
  unit: RateUnit
  limit: number
  /** Null where the unit is CONCURRENT_REQUESTS. */
  windowMs: number | null
  burst: number
}

/** What is sent with one upstream credential. */
export interface SnapshotCredentialScope {
  kind: 'CREDENTIAL'
  /** Position. */
  at: number
}
