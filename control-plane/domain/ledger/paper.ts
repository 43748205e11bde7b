import { Book, type Changes } from './book.ts'
import { type Call, countersOf, type Decision, type Desk, decide, type Standing } from './decide.ts'
import {
  type AdjustmentRow,
  type CounterName,
  type CounterRow,
  counterKey,
  counterOf,
  type Declared,
  type Entry,
  type LeaseName,
  type LeaseRow,
  leaseKey,
} from './rows.ts'

/** The ledger's rows in memory, every method one transaction: for properties and simulations, which drive it in their own time. */
export class PaperLedger {
  readonly declared = new Map<string, Declared>()
  readonly counters = new Map<string, CounterRow>()
  readonly leases = new Map<string, LeaseRow>()
  readonly adjustments = new Map<string, AdjustmentRow>()
  readonly entries: Entry[] = []

  /** The books of one counter, which is made where it is missing. */
  open(name: CounterName, nowMs: number): Book {
    const { budget, subject, from, to } = name
    const key = counterKey(name)
    const declared = this.declared.get(budget)
    const sums = { adjustments: 0n, committed: 0n, overruns: 0n, released: 0n, carriedAtMs: null }
    const counter = this.counters.get(key) ?? { budget, subject, from, to, limit: declared?.limit ?? 0n, ...sums }
    this.counters.set(key, counter)
    const leases = [...this.leases.values()].filter((row) => counterKey(counterOf(row, declared)) === key)
    const adjustments = [...this.adjustments.values()].filter((row) => counterKey(row) === key)
    return new Book({ declared, counter, leases, adjustments }, nowMs)
  }

  write({ counters, leases, posted, adjustments, entries }: Changes): void {
    for (const row of counters) this.counters.set(counterKey(row), row)
    for (const row of leases) this.leases.set(leaseKey(row), row)
    for (const { lease } of posted) if (!this.leases.has(leaseKey(lease))) throw new Error('posted to no lease')
    for (const row of adjustments) this.adjustments.set(row.id, row)
    this.entries.push(...entries)
  }

  call(
    call: Call,
    nowMs: number,
    standing: Standing,
    isProven: Desk['isProven'] = () => true,
  ): Decision | { fault: string } {
    const known = new Map([...this.leases].map(([key, row]) => [key, { ...row }]))
    const names = countersOf(call, { nowMs, declared: this.declared, known })
    const books = new Map(names.map((name) => [counterKey(name), this.open(name, nowMs)]))
    const decision = decide(call, { nowMs, standing, declared: this.declared, books, known, isProven })
    if (!('fault' in decision)) this.write(decision.changes)
    return decision
  }

  /** What arrives with records, without any lock of the counter. */
  post(lease: LeaseName, amount: bigint): void {
    const row = this.leases.get(leaseKey(lease))
    if (!row) throw new Error('posted to no lease')
    row.posted += amount
  }

  /** The transaction after a record's, and what a job does now and then. */
  tend(name: CounterName, nowMs: number): Book {
    const book = this.open(name, nowMs)
    this.write(book.changes)
    return book
  }
}
