import { type BudgetWindow, windowAfter, windowAt } from '../../../schema/budget-window.ts'
import type { LeaseRefusal } from '../../../schema/link-lease.ts'
import { type Book, type Changes, changesOf, type Incident } from './book.ts'
import {
  type CounterName,
  counterKey,
  counterOf,
  type Declared,
  type LeaseName,
  type LeaseRow,
  leaseKey,
  least,
  outstandingOf,
} from './rows.ts'

/** What an instance is given ahead, at the rate that it spends: so long it runs without the control plane. */
export const horizonMs = 60_000
/** The next window is leased this long before it begins: a horizon, and a little for a plane that asks early. */
const aheadMs = horizonMs + 5_000

/** A lease call with its amounts read; `subject` '' for none. */
export interface Call {
  instance: string
  /** Of the link that it came by. */
  epoch: number
  leases: (Omit<LeaseName, 'instance'> & { granted: bigint; returned: bigint; mac: string })[]
  wants: { budget: string; subject: string; missing: bigint; perSecond: bigint; next: boolean }[]
}

/** What is known of the instance beside its leases. */
export interface Standing {
  newestEpoch: number
  /** Two histories came under its name. */
  forked: boolean
  /** These books came from a backup, and not everybody has reported since. */
  recovering: boolean
}

export interface Shortage extends CounterName {
  missing: bigint
  available: bigint
  /** All that could come free: where it is less than what is missing, waiting is in vain. */
  reachable: bigint
}

/** Others hold money under a counter that is short. */
export interface Recall {
  instance: string
  budget: string
  subject: string
  amount: bigint
}

export interface Decision {
  /** Those that the call spoke of and those that it was granted from, as they are now. */
  leases: Readonly<LeaseRow>[]
  refused: LeaseRefusal | null
  short: Shortage[]
  recalls: Recall[]
  /** Of what is out although an adjustment took it away. */
  overdue: Recall[]
  /** A lease was restored: from now on these books are recovering. */
  restored: boolean
  /** Money came free under a counter: who waits may look again. */
  freed: boolean
  incidents: Incident[]
  changes: Changes
}

/** What a call needs to be decided: all of it read under the locks of `counters`. */
export interface Desk {
  nowMs: number
  standing: Standing
  declared: ReadonlyMap<string, Declared>
  /** By counterKey; of each counter that `countersOf` names. */
  books: ReadonlyMap<string, Book>
  /** By leaseKey: reported leases that nothing is new about, whose counters are therefore not locked. */
  known: ReadonlyMap<string, Readonly<LeaseRow>>
  /** Whether others wait for money under a counter: nobody is then given more than what is missing. Absent = nobody does. */
  isWaitedFor?(budget: string, subject: string): boolean
  /** Whether the control plane once granted this total. */
  isProven(lease: LeaseName, granted: bigint, mac: string): boolean
}

/** Counters that a call changes or may be granted from, each once; they are locked in the order of `byCounter`. */
export function countersOf(
  call: Call,
  { nowMs, declared, known }: Pick<Desk, 'nowMs' | 'declared' | 'known'>,
): CounterName[] {
  const names = new Map<string, CounterName>()
  const add = (name: CounterName) => names.set(counterKey(name), name)
  for (const reported of call.leases) {
    const name = { ...reported, instance: call.instance }
    const row = known.get(leaseKey(name))
    // Of a lease that nobody knows, and that claims nothing, there is nothing to keep: no counter is made for it.
    if (row ? isNews(reported, row, call.epoch) : reported.granted > 0n)
      add(counterOf({ ...name, rolling: row?.rolling }, declared.get(name.budget)))
  }
  for (const { counter } of askedOf(call, declared, nowMs)) add(counter)
  return [...names.values()]
}

/** Whether a report says more than the row does. */
export function isNews(reported: Call['leases'][number], row: Readonly<LeaseRow>, linkEpoch: number): boolean {
  if (reported.granted > row.granted || reported.returned > row.returned) return true
  return row.writtenOffAtMs !== null && row.epoch === linkEpoch
}

/** Decides one call. A fault is what no well-behaved plane sends: nothing of the call is taken. */
export function decide(call: Call, desk: Desk): Decision | { fault: string } {
  const spoken = new Map<string, LeaseName>()
  for (const reported of call.leases) {
    const fault = takeReport(call, reported, desk)
    if (fault) return { fault }
    const name = { ...reported, instance: call.instance }
    spoken.set(leaseKey(name), name)
  }
  const restored = [...desk.books.values()].some(({ incidents }) => incidents.some(({ kind }) => kind === 'RESTORED'))
  const outcome = grantAll(call, desk, restored)
  for (const name of outcome.granted) spoken.set(leaseKey(name), name)
  const { refused, short, recalls } = outcome
  return {
    ...{ refused, short, recalls, restored, overdue: recallsOverdue(desk.books.values()) },
    leases: [...spoken].flatMap(([key, name]) => bookOf(name, desk)?.lease(name) ?? desk.known.get(key) ?? []),
    freed: [...desk.books.values()].some(({ freed }) => freed),
    incidents: [...desk.books.values()].flatMap(({ incidents }) => incidents),
    changes: changesOf(desk.books.values()),
  }
}

function bookOf(name: LeaseName, { books, known, declared }: Desk): Book | undefined {
  const rolling = known.get(leaseKey(name))?.rolling
  return books.get(counterKey(counterOf({ ...name, rolling }, declared.get(name.budget))))
}

function takeReport(call: Call, reported: Call['leases'][number], desk: Desk): string | undefined {
  const name: LeaseName = { ...reported, instance: call.instance }
  const book = bookOf(name, desk)
  const row = book?.lease(name) ?? desk.known.get(leaseKey(name))
  const granted = row?.granted ?? 0n
  const isMore = reported.granted > granted
  if (isMore && !desk.isProven(name, reported.granted, reported.mac))
    return `It reported a lease of ${name.budget} that the control plane never granted.`
  if (reported.returned > (isMore ? reported.granted : granted))
    return `It returned more of ${name.budget} than it was granted.`
  if (!book) return undefined
  if (isMore) book.restore(name, reported.granted)
  if (row || isMore) book.takeReturned(name, reported.returned)
  if (name.epoch === call.epoch && call.epoch === desk.standing.newestEpoch) book.isAlive(name)
  return undefined
}

/** What is wanted of one lease. */
interface Asked {
  counter: CounterName
  window: BudgetWindow
  declared: Declared
  missing: bigint
  perSecond: bigint
  next: boolean
}

const larger = (a: bigint, b: bigint) => (a > b ? a : b)

/** Wants of live budgets, each lease once. One of a window that is too far off or does not come is left out. */
function askedOf(call: Call, declared: ReadonlyMap<string, Declared>, nowMs: number): Asked[] {
  const asked = new Map<string, Asked>()
  for (const { budget, subject, missing, perSecond, next } of call.wants) {
    const known = declared.get(budget)
    const window = known?.live ? windowOf(known, next, nowMs) : undefined
    if (!known || !window) continue
    const key = counterKey({ budget, subject, ...window })
    const same = asked.get(key)
    const counter = counterOf({ budget, subject, ...window, rolling: known.rule.period === 'ROLLING' }, known)
    asked.set(key, {
      ...{ counter, window, declared: known, next },
      missing: missing + (same?.missing ?? 0n),
      perSecond: same && same.perSecond > perSecond ? same.perSecond : perSecond,
    })
  }
  return [...asked.values()]
}

function windowOf({ rule }: Declared, next: boolean, nowMs: number): BudgetWindow | undefined {
  const present = windowAt(rule, nowMs)
  if (!next) return present
  const after = windowAfter(rule, present)
  return after && after.from - nowMs <= aheadMs ? after : undefined
}

type Outcome = Pick<Decision, 'refused' | 'short' | 'recalls'> & { granted: LeaseName[] }

/** All that is missing, or nothing; then what is to be kept filled. */
function grantAll(call: Call, desk: Desk, restored: boolean): Outcome {
  const needs = call.wants.some(({ missing }) => missing > 0n)
  const refused = refusalOf(call, desk, restored)
  if (refused) return { refused: needs ? refused : null, short: [], recalls: [], granted: [] }
  const asked = askedOf(call, desk.declared, desk.nowMs).map((want) => ({
    ...want,
    missing: want.missing > 0n ? larger(0n, want.missing + lessSince(call, want, desk)) : 0n,
  }))
  const short = shortagesOf(asked, desk)
  if (short.length > 0) return { refused: 'SHORT', short, recalls: recallsOf(call, short, desk), granted: [] }
  const inOrder = [...asked].sort((a, b) => Number(b.missing > 0n) - Number(a.missing > 0n))
  // What is missing is set aside in every counter first: nobody's supply is made from another's need.
  const aside = new Map<string, bigint>()
  for (const { counter, missing } of asked)
    aside.set(counterKey(counter), (aside.get(counterKey(counter)) ?? 0n) + missing)
  return {
    refused: null,
    short: [],
    recalls: [],
    granted: inOrder.flatMap((want) => grantOne(call, want, desk, aside)),
  }
}

/** What the plane has less of now than when it wrote down what it is missing; negative where it was granted more since. */
function lessSince(call: Call, { counter, window }: Asked, { books }: Desk): bigint {
  const { budget, subject } = counter
  const name = { budget, subject, ...window, instance: call.instance, epoch: call.epoch }
  const stated = call.leases.find((lease) => leaseKey({ ...lease, instance: call.instance }) === leaseKey(name))
  const row = books.get(counterKey(counter))!.lease(name)
  return (stated ? stated.granted - stated.returned : 0n) - (row ? row.granted - row.returned : 0n)
}

function refusalOf(call: Call, { standing, declared }: Desk, restored: boolean): LeaseRefusal | null {
  if (call.epoch !== standing.newestEpoch || standing.forked) return 'FENCED'
  if (call.wants.some(({ budget, missing }) => missing > 0n && !declared.get(budget)?.live)) return 'NO_BUDGET'
  return standing.recovering || restored ? 'RECOVERING' : null
}

/** Several leases may be of one counter: a ROLLING budget's present and next sub-window. */
function shortagesOf(asked: Asked[], { books }: Desk): Shortage[] {
  const guarded = asked.filter(({ declared, missing }) => declared.guarded && missing > 0n)
  return [...Map.groupBy(guarded, ({ counter }) => counterKey(counter))].flatMap(([key, wants]) => {
    const missing = wants.reduce((sum, want) => sum + want.missing, 0n)
    const book = books.get(key)!
    const { available } = book
    const { counter, window } = wants[0]!
    if (missing <= available) return []
    const reachable = available + holders(book).reduce((sum, row) => sum + outstandingOf(row), 0n)
    return [{ ...counter, ...window, missing, reachable, available: available > 0n ? available : 0n }]
  })
}

function grantOne(call: Call, want: Asked, desk: Desk, aside: Map<string, bigint>): LeaseName[] {
  const { counter, window, missing } = want
  const key = counterKey(counter)
  const book = desk.books.get(key)!
  const name: LeaseName = { ...counter, ...window, instance: call.instance, epoch: call.epoch }
  const others = aside.get(key)! - missing
  aside.set(key, others)
  const isWaitedFor = want.declared.guarded && desk.isWaitedFor?.(counter.budget, counter.subject)
  const amount = isWaitedFor ? missing : sizeOf(want, book, name, book.available - others)
  if (amount <= 0n) return []
  book.grant(name, amount)
  return [name]
}

/** At least what is missing; else what the rate asks for, but no more than a fair share leaves for all others. */
function sizeOf({ declared, missing, perSecond, next }: Asked, book: Book, name: LeaseName, available: bigint): bigint {
  const ahead = (perSecond * BigInt(horizonMs)) / 1_000n
  const held = book.lease(name)
  // Nothing of a window to come is reserved yet: what is out of it is still there.
  const wanted = next && held ? ahead - outstandingOf(held) : ahead
  if (!declared.guarded) return wanted > missing ? wanted : missing
  const share = available / BigInt(2 * planesOf(book, name.instance))
  const supply = least(wanted, share)
  return supply > missing ? supply : missing
}

function planesOf(book: Book, own: string): number {
  return new Set([own, ...holders(book).map(({ instance }) => instance)]).size
}

const holders = ({ leases }: Book) =>
  leases.filter(
    (row) => row.epoch > 0 && row.writtenOffAtMs === null && row.agedAtMs === null && outstandingOf(row) > 0n,
  )

function recallsOf(call: Call, short: Shortage[], { books, declared }: Desk): Recall[] {
  return short.flatMap((shortage) => {
    const { budget, subject, missing } = shortage
    const book = books.get(counterKey(counterOf(shortage, declared.get(budget))))!
    return recallsFrom(book, missing - book.available, call.instance).map((recall) => ({ ...recall, budget, subject }))
  })
}

/** Asks for what is out under counters that adjustments just took money from. */
export const recallsOverdue = (books: Iterable<Book>): Recall[] =>
  [...books].flatMap((book) =>
    book.lowered && book.declared?.guarded && book.available < 0n ? recallsFrom(book, -book.available) : [],
  )

/** Asks each instance that holds money under a counter for this much of it. */
export function recallsFrom(book: Book, amount: bigint, except?: string): Recall[] {
  const { budget, subject } = book.counter
  const instances = new Set(holders(book).map(({ instance }) => instance))
  if (except) instances.delete(except)
  return [...instances].sort().map((instance) => ({ instance, budget, subject, amount }))
}
