import type { BudgetCounter, Reservation, ReservationNeed } from '../../../data-plane/ports.ts'
import type { BudgetWindow } from '../../../schema/budget-window.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import { formatAmount } from '../../../schema/money.ts'
import { Lease } from './lease.ts'

/** What a counter is posted under: a lease, or from none (`WARN`, or nothing to pay) its window alone. */
export type Source = Lease | BudgetWindow

/** One attempt's money, under every counter at once. */
export class LeaseReservation implements Reservation {
  readonly ceiling: bigint
  readonly counters: readonly BudgetCounter[]
  readonly tenant: string
  /** The exchange whose record posts it; undefined where nobody said. */
  readonly exchange: string | undefined
  /** What is held for it: the ceiling, or the cost once that is known to be more. */
  held: bigint
  cost: bigint | undefined
  isReleased = false

  constructor(
    { ceiling, counters, tenant, exchange }: ReservationNeed,
    /** One for each counter. */
    readonly sources: readonly Source[],
  ) {
    this.ceiling = ceiling
    this.counters = counters
    this.tenant = tenant
    this.exchange = exchange
    this.held = ceiling
  }

  atCeiling(): RecordPosting[] {
    return this.postings(this.ceiling)
  }

  postings(cost: bigint): RecordPosting[] {
    if (cost === 0n) return []
    const amount = formatAmount(cost)
    return this.counters.map(({ of, subject }, at) => {
      const source = this.sources[at]!
      const isLease = source instanceof Lease
      const leaseEpoch = isLease ? source.epoch : 0
      return { amount, budget: of.id, leaseEpoch, subject, window: isLease ? source.window : source }
    })
  }
}
