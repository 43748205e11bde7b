import { leasesPerMessageMax } from '../../../schema/link-lease.ts'
import type { Calls } from './calls.ts'
import type { HeldCounter } from './held-counter.ts'
import type { Lease } from './lease.ts'
import type { Moment } from './moment.ts'

/** Leases that are over are told again so often, until the control plane has all their records. */
const closeEveryMs = 5_000

/** What the control plane is told of leases, beside the calls that ask for money. */
export class Reports {
  readonly #calls: Calls
  /** All that is held has to be told: a link is new, or a call was lost. */
  #owesAll = false
  /** Counters that others asked for, and were not told of yet. */
  readonly #asked = new Set<HeldCounter>()
  #owesWord = false
  #closeAfterMs = Number.NEGATIVE_INFINITY
  #closesNow = false

  constructor(calls: Calls) {
    this.#calls = calls
  }

  oweAll(): void {
    this.#owesAll = true
  }

  /** Answered in any case: who asked need not wait for what does not come. */
  oweWord(of: HeldCounter | undefined): void {
    this.#owesWord = true
    if (of) this.#asked.add(of)
  }

  /** Every counter is looked at in this turn. */
  tick(now: Moment): void {
    if (now.atMs < this.#closeAfterMs) return
    this.#closeAfterMs = now.atMs + closeEveryMs
    this.#closesNow = true
  }

  /** Before anything is asked for on a new link. */
  tellAll(leases: Iterable<Lease>, now: Moment): void {
    if (!this.#owesAll || this.#calls.isReporting) return
    this.#owesAll = false
    this.#tell([...leases], true, now)
  }

  /** What was given back since under these counters, and what is over. */
  tellNews(counters: Iterable<HeldCounter>, now: Moment): void {
    const leases: Lease[] = []
    for (const held of counters) {
      // What was given back because others asked is told once it is durable, and no word goes ahead of it.
      const isAsked = this.#asked.has(held) && !held.leases.some(({ isUnsaved }) => isUnsaved)
      if (isAsked) this.#asked.delete(held)
      for (const lease of held.leases) if (isAsked || this.#isNews(lease, now)) leases.push(lease)
    }
    const owesWord = this.#owesWord && this.#asked.size === 0
    if (leases.length > 0 || owesWord) this.#tell(leases, false, now)
    if (owesWord) this.#owesWord = false
    this.#closesNow = false
  }

  #isNews(lease: Lease, now: Moment): boolean {
    const isClosing = lease.reserved === 0n && (lease.isFenced || lease.isOver(now))
    return lease.isUntold || (isClosing && this.#closesNow)
  }

  /** One call, or several where there are many leases; `whole` stands on the last. */
  #tell(leases: readonly Lease[], isAll: boolean, now: Moment): void {
    for (let at = 0; at === 0 || at < leases.length; at += leasesPerMessageMax) {
      const some = leases.slice(at, at + leasesPerMessageMax)
      const whole = isAll && at + leasesPerMessageMax >= leases.length
      this.#calls.write({ kind: 'report', counters: [], leases: some, waiter: null, whole }, [], 0, now.atMs)
    }
  }
}
