import type { LeaseTotals } from '../../adapters/ports/ledger/lease-frame.ts'
import type { Changes } from '../../control-plane/domain/ledger/book.ts'
import {
  type CounterRow,
  counterKey,
  type LeaseRow,
  leaseKey,
  weightOf,
} from '../../control-plane/domain/ledger/rows.ts'
import type { BudgetCounter, Shortage } from '../../data-plane/ports.ts'
import { ringOf, windowAt } from '../../schema/budget-window.ts'
import { formatAmount } from '../../schema/money.ts'
import { percentOf } from './one-pool.ts'
import type { SimRequest } from './plane.ts'
import type { Store } from './store.ts'
import { type Place, type Truth, whose } from './truth.ts'

/** A promise that is not kept. */
export class Broken extends Error {}

export interface Counts {
  served: number
  refused: number
  unreachable: number
  wrong: number
  /** Refusals that could be judged, since everybody could be reached. */
  judged: number
}

interface Waiting {
  ceiling: bigint
  /** By counter: the least that was free since it waits. */
  least: Map<string, bigint>
  windows: Map<string, number>
}

const larger = (a: bigint, b: bigint) => (a > b ? a : b)
const money = (amount: bigint) => formatAmount(amount)

/** Holds every step against what is promised. It knows the control plane's rows and the truth, and shares no code with either side. */
export class Judge {
  readonly counts: Counts = { served: 0, refused: 0, unreachable: 0, wrong: 0, judged: 0 }
  /** Of each counter's row: what may be spent under it, also where its limit was lowered below what is out. */
  readonly #roofs = new Map<string, bigint>()
  readonly #waiting = new Map<string, Waiting>()
  /** By counter: how much of its limit was spent when it first refused, in percent. */
  readonly firstRefusals = new Map<string, number>()

  constructor(
    readonly store: Store,
    readonly truth: Truth,
    readonly nowMs: () => number,
    /** Whether everybody could be reached for long enough, and no window turns. */
    readonly isCalm: () => boolean,
  ) {
    store.onWrite = (changes) => this.#written(changes)
    truth.onChange = (place) => this.#moved(place)
    truth.onBill = (place) => this.#billed(place)
  }

  #written({ leases, counters }: Changes): void {
    for (const row of leases) {
      const before = this.store.leases.get(leaseKey(row))
      if (before) this.#growing(before, row)
      this.#unfenced(before, row)
    }
    for (const row of counters) this.#within(row)
  }

  #growing(before: LeaseRow, row: LeaseRow): void {
    for (const total of ['granted', 'returned', 'posted'] as const)
      if (row[total] < before[total]) throw new Broken(`${total} of ${leaseKey(row)} became smaller`)
  }

  #unfenced(before: LeaseRow | undefined, row: LeaseRow): void {
    const rise = row.granted - (before?.granted ?? 0n)
    const isSpent = row.granted <= row.returned + row.posted
    if (rise <= 0n || isSpent || row.epoch === 0 || this.store.isRestoring) return
    const { epoch } = this.store.instances.get(row.instance)!
    if (row.epoch !== epoch)
      throw new Broken(`${money(rise)} was granted to epoch ${row.epoch}; the newest is ${epoch}`)
  }

  /** Nothing is granted beyond the limit: what is out may only be more where the limit was lowered, or books were set back. */
  #within(row: CounterRow): void {
    const declared = this.store.declared.get(row.budget)
    if (!declared?.guarded) return
    const before = this.store.counters.get(counterKey(row))
    const most = row.limit + row.adjustments
    const isMore = row.committed > (before?.committed ?? 0n)
    if (isMore && row.committed > most && !this.store.isRestoring)
      throw new Broken(`${money(row.committed - most)} more than its limit is out of ${counterKey(row)}`)
  }

  /** Everything that must hold between two steps. */
  check(): void {
    for (const key of this.store.changed) {
      const row = this.store.counters.get(key)
      if (row) this.#closes(key, row)
    }
    this.store.changed.clear()
  }

  #closes(key: string, row: CounterRow): void {
    const sums = { committed: 0n, overruns: 0n, released: 0n, outstanding: 0n, posted: 0n }
    for (const lease of this.store.leasesUnder(key)) {
      sums.committed += weightOf(lease)
      sums.overruns += lease.overrun
      sums.released += lease.aged
      sums.outstanding += lease.granted - lease.returned - lease.posted
      sums.posted += lease.posted
    }
    const { limit, adjustments, committed, overruns, released } = row
    const available = limit + adjustments - committed
    const left = limit + adjustments + overruns + released
    const right = available + sums.outstanding + sums.posted
    if (left !== right || committed !== sums.committed || overruns !== sums.overruns || released !== sums.released)
      throw new Broken(`the books of ${key} do not close: ${money(left)} is not ${money(right)}`)
    const roof = this.#roofs.get(key)
    const most = limit + adjustments
    const held = roof !== undefined && roof < committed ? roof : committed
    this.#roofs.set(key, larger(held, most))
  }

  /** The provider's bill is within what may be spent, in every window. */
  #billed(place: Place): void {
    const { budget, subject } = place
    const declared = this.store.declared.get(budget)!
    if (declared.guarded)
      for (const { from, to, row } of this.#windowsOf(place)) {
        const { billed } = this.truth.within(budget, subject, from, to)
        const roof = this.#roofOf(row, declared.limit)
        const most = roof + this.truth.exceptionsOf(place)
        if (billed > most)
          throw new Broken(`${budget} ${subject ?? ''} is overrun by ${money(billed - most)} of ${money(roof)}`)
      }
  }

  #moved(place: Place): void {
    for (const waiting of this.#waiting.values()) this.#note(waiting, place)
  }

  #roofOf(key: string, limit: bigint): bigint {
    const row = this.store.counters.get(key)
    const now = row ? row.limit + row.adjustments : limit
    const roof = this.#roofs.get(key) ?? now
    return larger(roof, now)
  }

  /** The window that a posting names; of a ROLLING budget every ring that it lies in. */
  *#windowsOf({ budget, subject, window }: Place): Iterable<{ from: number; to: number; row: string }> {
    const { rule } = this.store.declared.get(budget)!
    const name = { budget, subject: subject ?? '' }
    if (rule.period !== 'ROLLING') {
      yield { ...window, row: counterKey({ ...name, ...window }) }
      return
    }
    const row = [...this.store.counters.values()].find(
      (each) => each.budget === budget && each.subject === name.subject,
    )
    const key = row ? counterKey(row) : ''
    for (let step = window; ringOf(rule, step).from <= window.from; step = windowAt(rule, step.to))
      yield { ...ringOf(rule, step), row: key }
  }

  waits({ id, counters }: SimRequest, ceiling: bigint): void {
    const waiting: Waiting = { ceiling, least: new Map(), windows: new Map() }
    this.#waiting.set(id, waiting)
    for (const { of, subject } of counters) {
      if (!of.isHard) continue
      waiting.least.set(whose({ budget: of.id, subject }), this.#free(of.id, subject))
    }
  }

  reserved({ id }: SimRequest): void {
    this.#waiting.delete(id)
    this.counts.served++
  }

  left({ id }: SimRequest): void {
    this.#waiting.delete(id)
  }

  /** A limit was changed. */
  changed(budget: string): void {
    for (const sums of this.truth.sums.values()) if (sums.budget === budget) this.#moved(sums)
  }

  /** Right only where under some counter the ceiling could not be borne at some moment since it was asked for. */
  refused(request: SimRequest, ceiling: bigint, { reason, short }: Shortage): void {
    const waiting = this.#waiting.get(request.id)
    this.#waiting.delete(request.id)
    if (reason) {
      this.counts.unreachable++
      return
    }
    this.counts.refused++
    for (const { counter } of short)
      this.#noteSpent(whose({ budget: counter.of.id, subject: counter.subject }), counter)
    if (!waiting || !this.isCalm()) return
    this.counts.judged++
    const isRight = [...waiting.least].some(([name, least]) => least < ceiling + this.#limitOf(name) / 200n)
    if (isRight) return
    this.counts.wrong++
    const told = [...waiting.least].map(([name, least]) => `${name}: ${money(least)} free`).join(', ')
    throw new Broken(`${request.id} was refused ${money(ceiling)} though there was enough: ${told}`)
  }

  #noteSpent(name: string, { of, subject }: BudgetCounter): void {
    if (this.firstRefusals.has(name)) return
    const { limit } = this.store.declared.get(of.id)!
    const { posted } = this.truth.within(of.id, subject, 0, Number.MAX_SAFE_INTEGER)
    this.firstRefusals.set(name, percentOf(posted, limit))
  }

  /** What a journal proves of its leases when a process starts from it: nothing was spent that it does not show as granted. */
  started(leases: readonly LeaseTotals[]): void {
    for (const { budget, subject, epoch, granted, returned, posted } of leases)
      if (returned + posted > granted)
        throw new Broken(
          `a journal has ${money(returned + posted - granted)} more spent than granted of ${budget} ${subject ?? ''}, epoch ${epoch}`,
        )
  }

  #limitOf(name: string): bigint {
    return this.store.declared.get(name.split(' ')[0]!)!.limit
  }

  #note({ least }: Waiting, place: Place): void {
    const name = whose(place)
    const before = least.get(name)
    if (before === undefined) return
    const free = this.#free(place.budget, place.subject)
    if (free < before) least.set(name, free)
  }

  #free(budget: string, subject: string | null): bigint {
    const { rule, limit } = this.store.declared.get(budget)!
    const window = windowAt(rule, this.nowMs())
    const span = rule.period === 'ROLLING' ? ringOf(rule, window) : window
    const { posted, reserved } = this.truth.within(budget, subject, span.from, span.to)
    const row = [...this.store.counters.values()].find(
      (each) =>
        each.budget === budget &&
        each.subject === (subject ?? '') &&
        (rule.period === 'ROLLING' || (each.from === window.from && each.to === window.to)),
    )
    return limit + (row?.adjustments ?? 0n) - posted - reserved
  }

  /** Nothing moves any more: nothing is out, and every counter is the sum of its records. */
  atRest(recordsArePlain: boolean): void {
    for (const key of this.store.counters.keys()) this.store.changed.add(key)
    this.check()
    for (const row of this.store.leases.values()) {
      const out = row.granted - row.returned - row.posted
      if (out !== 0n) throw new Broken(`at rest ${money(out)} is still out of ${leaseKey(row)}`)
    }
    if (!recordsArePlain) return
    const posted = new Map<string, bigint>()
    for (const row of this.store.leases.values()) {
      const key = `${row.budget} ${row.subject} ${row.from} ${row.to}`
      posted.set(key, (posted.get(key) ?? 0n) + row.posted)
    }
    for (const [key, sums] of this.truth.sums) {
      const known = posted.get(key) ?? 0n
      if (known !== sums.posted) throw new Broken(`at rest ${key} has ${money(known)} of ${money(sums.posted)} posted`)
      if (sums.reserved !== 0n) throw new Broken(`at rest ${money(sums.reserved)} is reserved under ${key}`)
      if (sums.posted + this.truth.exceptionsOf(sums) < sums.billed)
        throw new Broken(`at rest ${key} lacks what the provider wants`)
    }
  }
}
