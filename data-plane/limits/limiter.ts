import type { LimitCounter, RunningLimit } from './book.ts'
import type { Mark } from './gcra.ts'

/** How gateways share what a limit admits: one has it all, a store counts for all of them, or each has a share. */
export type LimitSharing = 'SINGLE_PLANE' | 'SHARED_STORE' | 'SHARES'

/** What one request asks of one counter. */
export interface LimitAsk {
  readonly counter: LimitCounter
  readonly units: number
}

/** What became of it. */
export interface LimitStanding extends LimitAsk {
  /** There was not enough: an enforced limit refuses all that was asked with it, an observed one only says so. */
  readonly isOver: boolean
  /** Until there is enough; Infinity = never, for so many at once. */
  readonly waitMs: number
  /** Units that could be admitted now, after this. */
  readonly left: number
  /** Until nothing of the bucket is missing. */
  readonly fullMs: number
  /** What was taken, and where it stands; null where nothing was, or nothing is to be corrected. */
  readonly taken: Mark | null
}

/** `taken` false: an enforced limit had not enough, and nothing was taken of any. */
export type LimitAnswer = { readonly taken: boolean; readonly standings: readonly LimitStanding[] } | LimitsAway

/** Nobody can tell now, so nothing is admitted. A sentence for operators. */
export interface LimitsAway {
  readonly away: string
}

/**
 * Counts what limits admit. `take` is all or nothing over the limits that are enforced; it answers at once where the counters are in
 * memory. What it took is settled exactly once.
 */
export interface Limiter {
  readonly sharing: LimitSharing
  take(tenant: string, asks: readonly LimitAsk[]): LimitAnswer | Promise<LimitAnswer>
  /** Ends what was under way, and corrects what was taken to what was used (`usedOf`, in the limit's unit). */
  settle(tenant: string, standings: readonly LimitStanding[], usedOf: (standing: LimitStanding) => number): void
}

/** Whether the limit counts tokens, which are reserved at their most and corrected at the end. */
export const countsTokens = ({ unit }: RunningLimit) => unit !== 'REQUESTS' && unit !== 'CONCURRENT_REQUESTS'
