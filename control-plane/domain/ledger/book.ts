import { ringOf, windowAt } from '../../../schema/budget-window.ts'
import {
  type AdjustmentRow,
  type CounterName,
  type CounterRow,
  type Declared,
  type Entry,
  type LeaseName,
  type LeaseRow,
  leaseKey,
  least,
  outstandingOf,
  weightOf,
} from './rows.ts'

/**
 * One counter as a transaction loads it, under its lock: every lease that is not settled, has an overrun or waits to leave its
 * ring, and every adjustment that may end. Leases that are settled may be missing.
 */
export interface BookRows {
  declared: Declared | undefined
  counter: CounterRow
  leases: LeaseRow[]
  adjustments: AdjustmentRow[]
}

/** What a transaction is to write. Of leases `posted` is not among it: records alone raise that, while nobody locks them. */
export interface Changes {
  counters: CounterRow[]
  leases: LeaseRow[]
  /** To be added to `posted`. */
  posted: { lease: LeaseName; amount: bigint }[]
  adjustments: AdjustmentRow[]
  entries: Entry[]
}

/** To be told to people: it is in the entries, too. */
export interface Incident {
  kind: 'OVERRUN' | 'RESTORED' | 'FORK'
  lease: LeaseName
  amount: bigint
}

type Totals = Partial<Pick<LeaseRow, 'granted' | 'returned' | 'overrun' | 'aged' | 'agedAtMs' | 'writtenOffAtMs'>>

/**
 * The books of one counter, for one transaction. Its rows are copies; every change of a lease changes the counter's sums by
 * the same amount, so limit + adjustments + overruns + released = available + leased + spent holds by construction.
 */
export class Book {
  readonly declared: Declared | undefined
  readonly incidents: Incident[] = []
  /** Money came free: who waits may look again. */
  freed = false
  /** An adjustment took money away, by its amount or by its end. */
  lowered = false
  readonly #counter: CounterRow
  readonly #leases: Map<string, LeaseRow>
  readonly #adjustments: AdjustmentRow[]
  readonly #nowMs: number
  readonly #changes: Changes = { counters: [], leases: [], posted: [], adjustments: [], entries: [] }

  /** Brings the rows up to date first: limit, ended adjustments, what exceeds a lease, what left the ring. */
  constructor({ declared, counter, leases, adjustments }: BookRows, nowMs: number) {
    this.declared = declared
    this.#counter = { ...counter }
    this.#leases = new Map(leases.map((row) => [leaseKey(row), { ...row }]))
    this.#adjustments = adjustments.map((row) => ({ ...row }))
    this.#nowMs = nowMs
    this.#takeLimit()
    for (const row of this.#adjustments) this.#endAdjustment(row)
    for (const row of this.#leases.values()) this.#settle(row)
    this.#age()
  }

  get counter(): Readonly<CounterRow> {
    return this.#counter
  }

  /** What may still be granted; negative where more is out than the limit now allows. */
  get available(): bigint {
    const { limit, adjustments, committed } = this.#counter
    return limit + adjustments - committed
  }

  get leases(): readonly Readonly<LeaseRow>[] {
    return [...this.#leases.values()]
  }

  lease(name: LeaseName): Readonly<LeaseRow> | undefined {
    return this.#leases.get(leaseKey(name))
  }

  /** The caller has seen to it that the money is there. */
  grant(name: LeaseName, amount: bigint): void {
    const row = this.#rowOf(name)
    this.#change(row, { granted: row.granted + amount })
  }

  /** The instance's total of what it gave back; an older report changes nothing. */
  takeReturned(name: LeaseName, total: bigint): void {
    const row = this.#rowOf(name)
    const rise = total - row.returned
    if (rise <= 0n) return
    const aged = row.agedAtMs === null ? row.aged : row.aged - rise
    this.#change(row, { returned: total, aged })
    if (row.agedAtMs !== null) this.#enter('AGED', -rise, row)
    else this.#cover(rise)
    if (row.writtenOffAtMs !== null) this.#enter('RELEASED', rise, row)
  }

  /** A total that was granted before these books were set back, as its proof shows. */
  restore(name: LeaseName, granted: bigint): void {
    const row = this.#rowOf(name)
    const rise = granted - row.granted
    if (rise <= 0n) return
    const aged = row.agedAtMs === null ? row.aged : row.aged + rise
    this.#change(row, { granted, aged })
    this.#enter('RESTORED', rise, row)
    this.incidents.push({ kind: 'RESTORED', lease: name, amount: rise })
  }

  /** Gives an instance's lease up: what is out of it is presumed spent until records or returns say better. */
  writeOff(name: LeaseName): void {
    const row = this.#leases.get(leaseKey(name))
    if (!row || row.writtenOffAtMs !== null || outstandingOf(row) <= 0n) return
    this.#change(row, { writtenOffAtMs: this.#nowMs })
    this.#enter('WRITTEN_OFF', outstandingOf(row), row)
  }

  /** It was given up, and speaks. */
  isAlive(name: LeaseName): void {
    const row = this.#leases.get(leaseKey(name))
    if (!row || row.writtenOffAtMs === null) return
    this.#change(row, { writtenOffAtMs: null })
    this.#enter('RELEASED', outstandingOf(row), row)
  }

  /** Spent a second time from money that was granted once: nobody can say of which lease, so it is nobody's. */
  takeFork(name: Omit<LeaseName, 'epoch'>, amount: bigint): void {
    const unleased = { ...name, epoch: 0 }
    const row = this.#rowOf(unleased)
    row.posted += amount
    this.#changes.posted.push({ lease: unleased, amount })
    this.#change(row, { granted: row.granted + amount, overrun: row.overrun + amount })
    this.#enter('FORK', amount, row)
    this.incidents.push({ kind: 'FORK', lease: unleased, amount })
  }

  adjust(row: AdjustmentRow): void {
    this.#counter.adjustments += row.amount
    this.lowered ||= row.amount < 0n
    this.#changes.adjustments.push(row)
    const kind = row.kind === 'MANUAL' ? 'ADJUSTED' : row.kind
    this.#enter(kind, row.amount)
  }

  /**
   * What is left of a window that is over, once nothing of it is out any more; it is then to be adjusted away from here and
   * into the present window. Undefined = not yet. 0 also where the budget carries nothing over.
   */
  closeWindow(): bigint | undefined {
    if (this.#counter.carriedAtMs !== null || this.#counter.to > this.#nowMs) return undefined
    const carries = this.declared?.live && this.declared.carryOver && this.#isOfRule()
    const isOut = (row: LeaseRow) => row.writtenOffAtMs === null && outstandingOf(row) > 0n
    if (carries && [...this.#leases.values()].some(isOut)) return undefined
    this.#counter.carriedAtMs = this.#nowMs
    this.#touch()
    return carries && this.available > 0n ? this.available : 0n
  }

  get changes(): Changes {
    const { from, to, budget, subject } = this.#counter
    const changed = new Map(this.#changes.leases.map((row) => [leaseKey(row), row]))
    const { posted, adjustments, entries } = this.#changes
    const counters = this.#changes.counters.length > 0 ? [{ ...this.#counter, budget, subject, from, to }] : []
    return { counters, leases: [...changed.values()].map((row) => ({ ...row })), posted, adjustments, entries }
  }

  #isOfRule(): boolean {
    const window = windowAt(this.declared!.rule, this.#counter.from)
    return window.from === this.#counter.from && window.to === this.#counter.to
  }

  #takeLimit() {
    const { declared } = this
    if (!declared || this.#counter.to <= this.#nowMs || declared.limit === this.#counter.limit) return
    this.#counter.limit = declared.limit
    this.#touch()
  }

  #endAdjustment(row: AdjustmentRow) {
    if (row.endedAtMs !== null || row.expiresAtMs === null || row.expiresAtMs > this.#nowMs) return
    row.endedAtMs = this.#nowMs
    this.#counter.adjustments -= row.amount
    this.lowered ||= row.amount > 0n
    this.#changes.adjustments.push(row)
    this.#enter('ADJUSTMENT_ENDED', -row.amount)
  }

  /** What was posted beyond a lease is granted after the fact; what then goes beyond the limit is an overrun. */
  #settle(row: LeaseRow) {
    const excess = -outstandingOf(row)
    if (excess <= 0n) return
    const granted = row.granted + excess
    if (row.agedAtMs !== null) {
      this.#change(row, { granted, aged: row.aged + excess })
      return this.#enter('AGED', excess, row)
    }
    this.#change(row, { granted })
    // What came from no lease was never guarded: it shows as negative availability.
    if (!this.declared?.guarded || row.epoch === 0) return
    const overrun = least(-this.available, excess)
    if (overrun <= 0n) return
    this.#change(row, { overrun: row.overrun + overrun })
    this.#enter('OVERRUN', overrun, row)
    this.incidents.push({ kind: 'OVERRUN', lease: row, amount: overrun })
  }

  /** Money that comes back pays for what was overrun while it was out. */
  #cover(rise: bigint) {
    let left = rise
    for (const row of this.#leases.values()) {
      const covered = row.agedAtMs === null ? least(row.overrun, left) : 0n
      if (covered === 0n) continue
      this.#change(row, { overrun: row.overrun - covered })
      this.#enter('COVERED', covered, row)
      left -= covered
    }
  }

  #age() {
    const rule = this.declared?.rule
    if (rule?.period !== 'ROLLING') return
    const ring = ringOf(rule, windowAt(rule, this.#nowMs))
    for (const row of this.#leases.values()) {
      if (!row.rolling || row.agedAtMs !== null || row.to > ring.from) continue
      const aged = weightOf(row)
      this.#change(row, { aged, agedAtMs: this.#nowMs })
      if (aged !== 0n) this.#enter('AGED', aged, row)
    }
  }

  #rowOf(name: LeaseName): LeaseRow {
    const key = leaseKey(name)
    const found = this.#leases.get(key)
    if (found) return found
    const { budget, subject, from, to, instance, epoch } = name
    const row: LeaseRow = {
      ...{ budget, subject, from, to, instance, epoch, createdAtMs: this.#nowMs },
      rolling: this.#counter.from !== from || this.#counter.to !== to,
      ...{ granted: 0n, returned: 0n, posted: 0n, overrun: 0n, aged: 0n, agedAtMs: null, writtenOffAtMs: null },
    }
    this.#leases.set(key, row)
    return row
  }

  #change(row: LeaseRow, totals: Totals) {
    const before = { ...row }
    Object.assign(row, totals)
    const more = weightOf(row) - weightOf(before)
    if (more < 0n) this.freed = true
    this.#counter.committed += more
    this.#counter.overruns += row.overrun - before.overrun
    this.#counter.released += row.aged - before.aged
    this.#changes.leases.push(row)
    this.#touch()
  }

  #touch() {
    if (this.#changes.counters.length === 0) this.#changes.counters.push(this.#counter)
  }

  #enter(kind: Entry['kind'], amount: bigint, lease?: LeaseRow) {
    const { budget, subject, from, to }: CounterName = lease ?? this.#counter
    const { instance, epoch } = lease ?? { instance: null, epoch: null }
    this.#changes.entries.push({ kind, budget, subject, from, to, instance, epoch, amount, atMs: this.#nowMs })
    this.#touch()
  }
}

/** The changes of several books as one. */
export function changesOf(books: Iterable<Book>): Changes {
  const all: Changes = { counters: [], leases: [], posted: [], adjustments: [], entries: [] }
  for (const { changes } of books) {
    all.counters.push(...changes.counters)
    all.leases.push(...changes.leases)
    all.posted.push(...changes.posted)
    all.adjustments.push(...changes.adjustments)
    all.entries.push(...changes.entries)
  }
  return all
}
