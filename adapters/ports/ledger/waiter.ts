import type { ReservationNeed, Shortage } from '../../../data-plane/ports.ts'
import type { HeldCounter } from './held-counter.ts'
import type { LeaseReservation } from './reservation.ts'

/** Money for an attempt, or why there is none. */
export type Funding = LeaseReservation | Shortage

/** A request that waits for money. */
export interface Waiter {
  readonly need: ReservationNeed
  /** Of the need's counters that are guarded, in their order. */
  readonly counters: readonly HeldCounter[]
  /** Until then nobody behind it takes what it lacks. */
  readonly holdsUntilMs: number
  /** From then on it asks once more, and takes no for an answer. */
  lastAtMs: number
  /** Nobody answered: it is told so. */
  readonly giveUpMs: number
  /** Number of its call that is under way; 0 = none. */
  call: number
  /** Calls it has made. */
  asks: number
  wasAsked: boolean
  /** Its call was granted: it is first to take what comes. */
  isFunded: boolean
  /** Where money is kept for it, up to its ceiling. */
  pledges: readonly HeldCounter[]
  readonly settle: (funding: Funding) => void
}
