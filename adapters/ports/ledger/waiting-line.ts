import type { BudgetCounter, CounterShortage, ReservationNeed, Shortage } from '../../../data-plane/ports.ts'
import {
  fundsWaitMsMax,
  type LeaseAnswer,
  type LeaseShortage,
  type LeaseWant,
  wantsPerCallMax,
} from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Calls, CallUnderWay } from './calls.ts'
import type { HeldCounter } from './held-counter.ts'
import type { Holdings } from './holdings.ts'
import { larger } from './lease-frame.ts'
import type { Moment } from './moment.ts'
import { missingAt, resetAt, shortageHere, sourcesFor, takeFrom } from './reserving.ts'
import { giveBackNext, noteShort } from './upkeep.ts'
import type { Funding, Waiter } from './waiter.ts'

/** Requests of one tenant that may wait for money at a time. */
export const waitersMax = 8_192
/** For so long nobody passes a request that waits; after that a smaller one behind it may be served first. */
const lineMs = 250
/** Calls for one request. */
const asksMax = 8
/** What the last try may take beyond the wait. */
const lastTryMs = 5_000

/**
 * Requests that wait for money, in the order in which they came. Each states what it is missing in a call of its own: first one that
 * is answered at once, then one that waits for money at the control plane, and it is refused only by the answer to its own call, or
 * by one that says there is less than it needs.
 */
export class WaitingLine {
  readonly #holdings: Holdings
  readonly #calls: Calls
  readonly #waiters = new Set<Waiter>()
  readonly #lined = new Set<HeldCounter>()

  constructor(holdings: Holdings, calls: Calls) {
    this.#holdings = holdings
    this.#calls = calls
  }

  get size(): number {
    return this.#waiters.size
  }

  /** When somebody's patience ends next, after this moment. */
  nextMs(atMs: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const { lastAtMs, giveUpMs, holdsUntilMs } of this.#waiters)
      for (const ms of [holdsUntilMs, lastAtMs, giveUpMs]) if (ms > atMs && ms < next) next = ms
    return next
  }

  join(need: ReservationNeed, now: Moment, settle: (funding: Funding) => void): Waiter {
    const waiter = this.#waiterFor(need, now, settle)
    if (this.#waiters.size >= waitersMax || this.#isBetweenWindows(need, now))
      settle(shortageHere(this.#holdings, need, now, 'UNREACHABLE'))
    else this.#add(waiter, now)
    return waiter
  }

  /** With a clock so far off nobody can say which window it is. */
  #isBetweenWindows({ counters }: ReservationNeed, { controlMs, marginMs }: Moment): boolean {
    if (marginMs === 0) return false
    return counters.some((counter) => {
      const { from, to } = this.#holdings.of(counter).windowAt(counter.of.rule, controlMs)
      return counter.of.isHard && (controlMs - marginMs < from || controlMs + marginMs >= to)
    })
  }

  #waiterFor(need: ReservationNeed, now: Moment, settle: (funding: Funding) => void): Waiter {
    const hard = need.counters.filter(({ of }) => of.isHard)
    const lacking = hard.filter((counter) => missingAt(this.#holdings.of(counter), need.ceiling, now) > 0n)
    const waits = (lacking.length > 0 ? lacking : hard).map(({ of }) => of.waitForFundsMs)
    const waitMs = Math.min(fundsWaitMsMax, ...waits)
    return {
      ...{ need, settle, call: 0, asks: 0, wasAsked: false, isFunded: false, pledges: [] },
      counters: hard.map((counter) => this.#holdings.of(counter)),
      holdsUntilMs: now.atMs + lineMs,
      lastAtMs: now.atMs + waitMs,
      giveUpMs: now.atMs + waitMs + lastTryMs,
    }
  }

  /** Whoever asked has left. */
  leave(waiter: Waiter): void {
    if (!this.#waiters.delete(waiter)) return
    pledge(waiter, [])
    for (const held of waiter.counters) held.waiting -= waiter.need.ceiling
  }

  #add(waiter: Waiter, now: Moment): void {
    this.#waiters.add(waiter)
    this.#holdLine(waiter, now)
    for (const held of waiter.counters) {
      held.waiting += waiter.need.ceiling
      held.lastUsedMs = now.atMs
    }
  }

  #settle(waiter: Waiter, funding: Funding): void {
    this.leave(waiter)
    waiter.settle(funding)
  }

  /** Nobody can be asked, so nobody waits. */
  refuseAll(now: Moment, reason: NonNullable<Shortage['reason']>): void {
    for (const waiter of [...this.#waiters])
      this.#settle(waiter, shortageHere(this.#holdings, waiter.need, now, reason))
  }

  /** Gives those who wait what is there: first those whose call was granted, then in the order in which they came. */
  serve(now: Moment): void {
    for (const held of this.#lined) held.lineUntilMs = 0
    this.#lined.clear()
    if (this.#waiters.size === 0) return
    for (const waiter of this.#waiters) if (waiter.isFunded) this.#serveOne(waiter, now, true)
    for (const waiter of this.#waiters) {
      const isServed = this.#serveOne(waiter, now, now.atMs >= waiter.lastAtMs)
      if (isServed) continue
      if (now.atMs >= waiter.giveUpMs)
        this.#settle(waiter, shortageHere(this.#holdings, waiter.need, now, 'UNREACHABLE'))
      else if (now.atMs < waiter.holdsUntilMs) this.#holdLine(waiter, now)
    }
  }

  #serveOne(waiter: Waiter, now: Moment, passesLine: boolean): boolean {
    const { pledges } = waiter
    // What is kept for it is no obstacle to it.
    pledge(waiter, [])
    const sources = sourcesFor(this.#holdings, waiter.need, now, passesLine)
    pledge(waiter, pledges)
    if (sources) this.#settle(waiter, takeFrom(this.#holdings, waiter.need, sources, now))
    return sources !== undefined
  }

  /** Only where it lacks money: an empty budget does not hold up those above it. */
  #holdLine(waiter: Waiter, now: Moment): void {
    for (const held of waiter.counters) {
      // What others need elsewhere is not saved up here.
      if (held.isRecalled(now.atMs) || missingAt(held, waiter.need.ceiling, now) === 0n) continue
      held.lineUntilMs = Math.max(held.lineUntilMs, waiter.holdsUntilMs)
      this.#lined.add(held)
    }
  }

  /** Of a ring, what is held for its next step is missing in the present one. Answers the counters that it was given back of. */
  giveBackNext(now: Moment): HeldCounter[] {
    const given: HeldCounter[] = []
    for (const { need } of this.#waiters)
      for (const { of, subject } of need.counters) {
        const held = of.isHard && of.rule.period === 'ROLLING' ? this.#holdings.find(of.id, subject) : undefined
        if (held && missingAt(held, need.ceiling, now) > 0n && giveBackNext(held, now)) given.push(held)
      }
    return given
  }

  /** Writes the calls of those whose turn it is to ask. */
  ask(now: Moment): void {
    for (const waiter of this.#waiters) {
      if (waiter.call !== 0) continue
      const lacking = waiter.counters.filter((held) => missingAt(held, waiter.need.ceiling, now) > 0n)
      // A grant that is not durable yet is on its way to it.
      if (lacking.length === 0 || lacking.some((held) => held.leaseAt(now)?.isSaving)) continue
      // So is what is being given back, to who gives it out again.
      if (lacking.some(({ leases }) => leases.some(({ isReturning }) => isReturning))) continue
      // Granted more than once and still not served: the rest of its patience is for what comes free.
      if (waiter.asks >= asksMax) continue
      const isLast = now.atMs >= waiter.lastAtMs
      const kind = waiter.wasAsked && !isLast && !waiter.isFunded ? 'park' : 'ask'
      if (lacking.some(({ under }) => under[kind] !== 0)) continue
      const waitMs = kind === 'park' ? Math.ceil(waiter.lastAtMs - now.atMs) : 0
      this.#askFor(waiter, kind, lacking, waitMs, now)
    }
  }

  #askFor(waiter: Waiter, kind: 'ask' | 'park', lacking: HeldCounter[], waitMs: number, now: Moment): void {
    // Such a request is told in the end that nobody answered.
    if (lacking.length > wantsPerCallMax || this.#holdings.isFull) return
    const wants: LeaseWant[] = lacking.map((held) => ({
      budget: held.budget,
      subject: held.subject,
      missing: formatAmount(missingAt(held, waiter.need.ceiling, now)),
      perSecond: formatAmount(held.demand.statedPerSecond(held.waiting)),
      next: false,
    }))
    const leases = lacking.flatMap((held) => {
      const present = held.leaseAt(now)
      return held.leases.filter((lease) => lease === present || lease.isUntold)
    })
    // Short of a little after it was granted the rest, it keeps all it has; else nothing is kept from others.
    if (!waiter.isFunded) pledge(waiter, [])
    waiter.isFunded = false
    waiter.asks++
    this.#calls.write({ kind, counters: lacking, leases, waiter, whole: false }, wants, waitMs, now.atMs)
  }

  /** What an answer means for those who wait; the leases it names have been taken already. */
  answered({ refused, short }: LeaseAnswer, { waiter, kind, counters }: CallUnderWay, now: Moment): void {
    if (waiter) waiter.wasAsked = true
    if (refused === null) {
      if (waiter && this.#waiters.has(waiter)) fund(waiter)
      return
    }
    if (waiter) pledge(waiter, [])
    if (refused !== 'SHORT') {
      const reason = refused === 'RECOVERING' ? 'RECOVERING' : 'UNREACHABLE'
      for (const each of [...this.#waiters])
        if (each.counters.some((held) => counters.includes(held)) && this.#lacks(each, now))
          this.#settle(each, shortageHere(this.#holdings, each.need, now, reason))
      return
    }
    for (const { budget, subject } of short) {
      const held = this.#holdings.find(budget, subject)
      if (held) noteShort(held, now)
    }
    // It has waited for as long as it may, by the control plane's clock.
    if (waiter && kind === 'park') waiter.lastAtMs = Math.min(waiter.lastAtMs, now.atMs)
    for (const each of [...this.#waiters]) if (now.atMs >= each.lastAtMs) this.#refuseIfShort(each, short, now)
  }

  #lacks({ counters, need }: Waiter, now: Moment): boolean {
    return counters.some((held) => missingAt(held, need.ceiling, now) > 0n)
  }

  /** Refused where there is less than it needs, here and everywhere. */
  #refuseIfShort(waiter: Waiter, shorts: readonly LeaseShortage[], now: Moment): void {
    const { need } = waiter
    const short: CounterShortage[] = []
    for (const { budget, subject, window, available } of shorts) {
      const counter = need.counters.find(({ of, subject: whom }) => of.id === budget && whom === subject)
      if (!counter?.of.isHard) continue
      const affordable = larger(0n, this.#toComeAt(counter, now) + parseAmount(available)!)
      if (affordable >= need.ceiling) continue
      const missing = need.ceiling - affordable
      short.push({ counter, missing, affordable, resetsAtMs: resetAt(window.to) })
    }
    if (short.length > 0) this.#settle(waiter, { short })
  }

  /** What is free here, and what was granted and is not durable yet. */
  #toComeAt(counter: BudgetCounter, now: Moment): bigint {
    const lease = this.#holdings.of(counter).leaseAt(now)
    return lease ? lease.free + lease.granted - lease.durableGranted : 0n
  }

  /** A call of somebody who waits was lost: who has waited long enough is told that nobody answered. */
  lost({ waiter }: CallUnderWay, now: Moment): void {
    if (waiter) pledge(waiter, [])
    if (waiter && this.#waiters.has(waiter) && now.atMs >= waiter.lastAtMs)
      this.#settle(waiter, shortageHere(this.#holdings, waiter.need, now, 'UNREACHABLE'))
  }
}

function fund(waiter: Waiter): void {
  waiter.isFunded = true
  pledge(waiter, waiter.counters)
}

/** Keeps money for a waiter under these counters, and no longer under those before. */
function pledge(waiter: Waiter, counters: readonly HeldCounter[]): void {
  for (const held of waiter.pledges) held.pledged -= waiter.need.ceiling
  for (const held of counters) held.pledged += waiter.need.ceiling
  waiter.pledges = counters
}
