import { hash } from 'node:crypto'
import { Book, type Changes, type Incident } from '../../control-plane/domain/ledger/book.ts'
import { allTime, presentCounter } from '../../control-plane/domain/ledger/counter.ts'
import { type Call, countersOf, type Decision, decide } from '../../control-plane/domain/ledger/decide.ts'
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
} from '../../control-plane/domain/ledger/rows.ts'
import { windowAt } from '../../schema/budget-window.ts'
import { grantStatement } from '../../schema/link-lease.ts'
import { parseAmount } from '../../schema/money.ts'
import type { ChainEnd, MoneyRecord } from './messages.ts'

export const tenant = 'tnt_sim'

interface Instance {
  id: string
  epoch: number
  forked: boolean
  /** Since its books were found set back it has not said what it holds. */
  owesReport: boolean
  /** The newest epoch in which it said of everything what it holds. */
  reportedEpoch: number
}

interface Chain {
  records: MoneyRecord[]
  quarantined: boolean
}

/** What a control plane keeps: every method is one transaction, and what it does not commit never was. */
export class Store {
  declared = new Map<string, Declared>()
  counters = new Map<string, CounterRow>()
  leases = new Map<string, LeaseRow>()
  /** The same, by the counter that they count under. */
  #under = new Map<string, Map<string, LeaseRow>>()
  /** Counters of which something was written since somebody looked. */
  readonly changed = new Set<string>()
  adjustments = new Map<string, AdjustmentRow>()
  entries: Entry[] = []
  instances = new Map<string, Instance>()
  chains = new Map<string, Chain>()
  recovering = false
  /** While totals are written that came from before these books were set back. */
  isRestoring = false
  readonly incidents: Incident[] = []
  /** Told of every change of totals: for whoever checks that none gets smaller. */
  onWrite: (changes: Changes) => void = () => undefined

  #fences = true
  #addsTwice = false

  /** A breach: whatever link a call came by counts as the newest. */
  forgetFencing(): void {
    this.#fences = false
  }

  /** A breach: a batch is added as often as it arrives. */
  addTwice(): void {
    this.#addsTwice = true
  }

  backup(): Store {
    const copy = new Store()
    copy.take(this)
    return copy
  }

  /** These books are as those were; what is declared stays as it is. */
  take(other: Store): void {
    const rows = <Row extends object>(map: Map<string, Row>) => new Map([...map].map(([key, row]) => [key, { ...row }]))
    this.declared = this.declared.size > 0 ? this.declared : new Map(other.declared)
    this.counters = rows(other.counters)
    this.leases = new Map()
    this.#under = new Map()
    for (const row of other.leases.values()) this.#put({ ...row })
    this.adjustments = rows(other.adjustments)
    this.entries = [...other.entries]
    this.instances = rows(other.instances)
    this.chains = new Map([...other.chains].map(([key, chain]) => [key, { ...chain, records: [...chain.records] }]))
    this.recovering = other.recovering
  }

  /** A link opens. */
  openEpoch(id: string, known: number): { epoch: number; heads: ChainEnd[] } {
    const instance = this.instances.get(id) ?? { id, epoch: 0, forked: false, owesReport: false, reportedEpoch: 0 }
    // Never one that was there before these books were set back.
    instance.epoch = Math.max(instance.epoch, known) + 1
    this.instances.set(id, instance)
    return { epoch: instance.epoch, heads: this.headsOf(id) }
  }

  /** These, and all that are not settled: a plane that says of everything what it holds hears of what it never heard of. */
  unsettledOf(instance: string, spoken: readonly Readonly<LeaseRow>[]): Readonly<LeaseRow>[] {
    const named = new Map(spoken.map((row) => [leaseKey(row), row]))
    for (const [key, row] of this.leases)
      if (row.instance === instance && row.epoch > 0 && row.granted !== row.returned + row.posted) named.set(key, row)
    return [...named.values()]
  }

  headsOf(instance: string): ChainEnd[] {
    return [...this.chains].flatMap(([key, chain]) => {
      const [whose, epoch] = key.split(' ')
      return whose === instance && !chain.quarantined ? [{ epoch: Number(epoch), next: chain.records.length }] : []
    })
  }

  call(call: Call, whole: boolean, nowMs: number): Decision | { fault: string } {
    const { declared, leases: known } = this
    const instance = this.instances.get(call.instance)
    if (!instance) return { fault: 'nobody knows this instance' }
    const newestEpoch = this.#fences ? instance.epoch : call.epoch
    const standing = { newestEpoch, forked: instance.forked, recovering: this.recovering }
    const names = countersOf(call, { nowMs, declared, known })
    const books = new Map(names.map((name) => [counterKey(name), this.#open(name, nowMs)]))
    const decision = decide(call, { nowMs, standing, declared, books, known, isProven })
    if ('fault' in decision) return decision
    this.#write(decision.changes, decision.incidents)
    if (decision.restored && !this.recovering) this.#recover()
    if (whole && call.epoch === instance.epoch) {
      instance.reportedEpoch = call.epoch
      this.#heard(instance)
    }
    return decision
  }

  /** Everybody says anew what it holds; nothing is granted before. */
  #recover(): void {
    this.recovering = true
    for (const instance of this.instances.values()) instance.owesReport = true
  }

  #heard(instance: Instance): void {
    instance.owesReport = false
    if (![...this.instances.values()].some(({ owesReport }) => owesReport)) this.recovering = false
  }

  /** What of a batch continues its chain; undefined where another history was delivered before. */
  accept(
    instance: string,
    epoch: number,
    from: number,
    sent: readonly MoneyRecord[],
    nowMs: number,
  ): number | undefined {
    const key = `${instance} ${epoch}`
    const chain = this.chains.get(key) ?? { records: [], quarantined: false }
    this.chains.set(key, chain)
    if (chain.quarantined) return undefined
    const known = chain.records.slice(from)
    if (known.some(({ id }, at) => sent[at] !== undefined && sent[at].id !== id)) {
      this.#fork(instance, chain, sent, from, nowMs)
      return undefined
    }
    if (from > chain.records.length) return chain.records.length
    const fresh = sent.slice(this.#addsTwice ? 0 : chain.records.length - from)
    // After a restore a plane's records may come before its report does: they are taken once their leases are known, or
    // else are known to be over.
    const { reportedEpoch, epoch: newest } = this.instances.get(instance)!
    const isReported = reportedEpoch === newest
    if (!isReported && fresh.some((record) => !this.#knowsLeases(instance, record))) return chain.records.length
    for (const record of fresh) {
      chain.records.push(record)
      this.#post(instance, record)
    }
    const counters = fresh.flatMap(({ postings }) => postings.map((posting) => this.#counterOf(instance, posting)))
    for (const name of new Map(counters.map((each) => [counterKey(each), each])).values()) this.tend(name, nowMs)
    return chain.records.length
  }

  #fork(id: string, chain: Chain, sent: readonly MoneyRecord[], from: number, nowMs: number): void {
    chain.quarantined = true
    this.instances.get(id)!.forked = true
    for (const [at, record] of sent.entries()) {
      if (chain.records[from + at]?.id === record.id) continue
      for (const posting of record.postings) {
        const book = this.#open(this.#counterOf(id, posting), nowMs)
        const { budget, subject, window } = posting
        book.takeFork({ budget, subject: subject ?? '', ...window, instance: id }, parseAmount(posting.amount)!)
        this.#write(book.changes, book.incidents, true)
      }
    }
  }

  #counterOf(instance: string, { budget, subject, window, leaseEpoch }: MoneyRecord['postings'][number]): CounterName {
    const name = { budget, subject: subject ?? '', ...window, instance, epoch: leaseEpoch }
    return counterOf(this.leases.get(leaseKey(name)) ?? name, this.declared.get(budget))
  }

  /** As a record's own transaction does it: nothing that a grant locks is touched. */
  #post(instance: string, { postings }: MoneyRecord): void {
    for (const { budget, subject, window, leaseEpoch, amount } of postings) {
      const name: LeaseName = { budget, subject: subject ?? '', ...window, instance, epoch: leaseEpoch }
      const row = this.leases.get(leaseKey(name)) ?? this.#unleased(name)
      row.posted += parseAmount(amount)!
      this.changed.add(counterKey(counterOf(row, this.declared.get(budget))))
    }
  }

  #knowsLeases(instance: string, { postings }: MoneyRecord): boolean {
    return postings.every(({ budget, subject, window, leaseEpoch }) => {
      const name = { budget, subject: subject ?? '', ...window, instance, epoch: leaseEpoch }
      return leaseEpoch === 0 || this.leases.has(leaseKey(name))
    })
  }

  #unleased(name: LeaseName): LeaseRow {
    const { budget, subject, from, to, instance, epoch } = name
    const row: LeaseRow = {
      ...{ budget, subject, from, to, instance, epoch, createdAtMs: 0, agedAtMs: null, writtenOffAtMs: null },
      rolling: this.declared.get(budget)?.rule.period === 'ROLLING',
      ...{ granted: 0n, returned: 0n, posted: 0n, overrun: 0n, aged: 0n },
    }
    this.#put(row)
    return row
  }

  /** A ROLLING budget's leases are of sub-windows, its counter of all time. */
  #put(row: LeaseRow): void {
    const { budget, subject, from, to, rolling } = row
    const key = leaseKey(row)
    const counter = counterKey({ budget, subject, ...(rolling ? allTime : { from, to }) })
    const under = this.#under.get(counter) ?? new Map<string, LeaseRow>()
    this.#under.set(counter, under)
    under.set(key, row)
    this.leases.set(key, row)
    this.changed.add(counter)
  }

  leasesUnder(counter: string): LeaseRow[] {
    return [...(this.#under.get(counter)?.values() ?? [])]
  }

  /** Brings one counter up to date; true where its limit or its ring changed something. */
  tend(name: CounterName, nowMs: number): Book {
    const book = this.#open(name, nowMs)
    this.#write(book.changes, book.incidents)
    return book
  }

  tendAll(nowMs: number): Book[] {
    return [...this.counters.values()].map((name) => this.tend(name, nowMs))
  }

  writeOff(instance: string, nowMs: number): void {
    for (const row of [...this.leases.values()].filter((each) => each.instance === instance)) {
      const book = this.#open(counterOf(row, this.declared.get(row.budget)), nowMs)
      book.writeOff(row)
      this.#write(book.changes, book.incidents)
    }
    const known = this.instances.get(instance)
    if (known) this.#heard(known)
  }

  adjust(budget: string, subject: string, amount: bigint, nowMs: number, expiresAtMs: number | null): void {
    const rule = this.declared.get(budget)!.rule
    const window = presentCounter(rule, nowMs)
    const book = this.#open({ budget, subject, ...window }, nowMs)
    const id = `adj_${this.adjustments.size}`
    const { from, to } = book.counter
    book.adjust({
      ...{ id, budget, subject, from, to, kind: 'MANUAL', amount, atMs: nowMs },
      ...{ reason: 'the schedule', actor: null, expiresAtMs, endedAtMs: null },
    })
    this.#write(book.changes, book.incidents)
  }

  /** Carries over what windows that are over have left. */
  closeWindows(nowMs: number): void {
    for (const row of [...this.counters.values()]) {
      if (row.to > nowMs || row.carriedAtMs !== null) continue
      const book = this.#open(row, nowMs)
      const left = book.closeWindow()
      if (left === undefined) continue
      this.#write(book.changes, book.incidents)
      if (left === 0n) continue
      this.#carry(row, left, nowMs)
    }
  }

  #carry(row: CounterRow, left: bigint, nowMs: number): void {
    const { budget, subject } = row
    const present = windowAt(this.declared.get(budget)!.rule, nowMs)
    for (const [name, amount] of [
      [row, -left],
      [{ budget, subject, ...present }, left],
    ] as const) {
      const book = this.#open(name, nowMs)
      const { from, to } = book.counter
      const id = `adj_${this.adjustments.size}`
      book.adjust({
        ...{ id, budget, subject, from, to, kind: 'CARRIED', amount, atMs: nowMs },
        ...{ reason: 'carried over', actor: null, expiresAtMs: null, endedAtMs: null },
      })
      this.#write(book.changes, book.incidents)
    }
  }

  #open(name: CounterName, nowMs: number): Book {
    const { budget, subject, from, to } = name
    const key = counterKey(name)
    const declared = this.declared.get(budget)
    const sums = { adjustments: 0n, committed: 0n, overruns: 0n, released: 0n, carriedAtMs: null }
    const counter = this.counters.get(key) ?? { budget, subject, from, to, limit: declared?.limit ?? 0n, ...sums }
    this.counters.set(key, counter)
    const leases = this.leasesUnder(key)
    const adjustments = [...this.adjustments.values()].filter((row) => counterKey(row) === key)
    return new Book({ declared, counter, leases, adjustments }, nowMs)
  }

  #write(changes: Changes, incidents: readonly Incident[], isFork = false): void {
    this.isRestoring = incidents.some(({ kind }) => kind !== 'OVERRUN')
    this.onWrite(changes)
    this.isRestoring = false
    for (const row of changes.counters) {
      const key = counterKey(row)
      this.counters.set(key, row)
      this.changed.add(key)
    }
    for (const row of changes.leases) this.#put(row)
    if (changes.posted.length > 0 && !isFork) throw new Error('only a fork posts under the lock')
    for (const row of changes.adjustments) this.adjustments.set(row.id, row)
    this.entries.push(...changes.entries)
    this.incidents.push(...incidents)
  }
}

/** The control plane's proof; its key is no secret here, and nobody guesses. */
export function proofOf(lease: LeaseName, granted: bigint): string {
  const { budget, subject, from, to, instance, epoch } = lease
  const named = { tenant, instance, budget, subject: subject || null, window: { from, to }, epoch }
  return hash('sha1', grantStatement({ ...named, granted: String(granted) }), 'base64')
}

const isProven = (lease: LeaseName, granted: bigint, mac: string) => mac === proofOf(lease, granted)
