import type { ReservationNeed } from '../../../data-plane/ports.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import type { KnownLease, LeaseAnswer, LeaseCall, LeaseRecall } from '../../../schema/link-lease.ts'
import { parseAmount } from '../../../schema/money.ts'
import { Calls } from './calls.ts'
import type { HeldCounter } from './held-counter.ts'
import { Holdings, type LeaseRoom } from './holdings.ts'
import { Lease } from './lease.ts'
import { frameOf, type LeaseFrame, type LeaseTotals, newTotals } from './lease-frame.ts'
import type { Moment } from './moment.ts'
import { Reports } from './reports.ts'
import type { LeaseReservation } from './reservation.ts'
import { shortageHere, sourcesFor, takeFrom } from './reserving.ts'
import { askAhead, giveBackUnusable, noteGrant, noteRecall, noteRenewed, tickCounter } from './upkeep.ts'
import type { Funding, Waiter } from './waiter.ts'
import { WaitingLine } from './waiting-line.ts'

const tickMs = 1_000
/** Leases of a book that shares its room with no other. */
const leasesMax = 10_000
/** A counter under which nothing is held is kept for so long after its last request. */
const forgetMs = 30_000

/** What a turn asks of the world outside. */
export interface Effects {
  /** To be appended to the journal in this order, at once; `durable` is told when they are on disk. */
  frames: LeaseFrame[]
  /** To be sent in this order, at once: they speak only of what is durable. Dropped where there is no link. */
  calls: LeaseCall[]
  /** Sentences for the log. */
  incidents: string[]
  /** The next turn, if nothing comes before: by `Moment.atMs`. */
  wakeAtMs: number
}

export interface PlaneBookOptions {
  tenant: string
  /** Of the newest link, as the journal has it; 0 = there was none. */
  epoch: number
  /** What the journal proves. */
  leases: readonly LeaseTotals[]
  /** Numbers for calls, each larger than the one before. */
  nextCall: () => number
  /** Shared by all books of an instance. */
  room?: LeaseRoom
}

/**
 * One tenant's money at one instance. Pure: it does nothing but change itself and say, by `turn`, what is to be written and sent.
 * After any call `wantsTurn` tells whether a turn is due. See README.md for the contract with journal and link.
 */
export class PlaneBook {
  readonly tenant: string
  wantsTurn = true
  readonly #holdings: Holdings
  readonly #calls: Calls
  readonly #line: WaitingLine
  readonly #reports: Reports
  readonly #unframed = new Set<Lease>()
  /** Leases that were let go of. */
  #closed: LeaseFrame[] = []
  /** Counters to be looked at in the next turn. */
  readonly #due = new Set<HeldCounter>()
  #incidents: string[] = []
  #epoch: number
  #isLinked = false
  #isDraining = false
  #isServed = true
  #tickedMs = Number.NEGATIVE_INFINITY
  #isTicking = false

  constructor({ tenant, epoch, leases, nextCall, room = { left: leasesMax } }: PlaneBookOptions) {
    this.#holdings = new Holdings(room)
    this.tenant = tenant
    this.#epoch = epoch
    this.#calls = new Calls(tenant, nextCall)
    this.#line = new WaitingLine(this.#holdings, this.#calls)
    this.#reports = new Reports(this.#calls)
    for (const totals of leases) {
      const entry = this.#holdings.addLease(totals, totals)
      if (entry) entry.lease.isFenced = totals.epoch !== epoch
    }
  }

  /** At once, from what is held. Short also where others wait for the same money: only `fund` says that there is none. */
  reserve(need: ReservationNeed, now: Moment): Funding {
    const sources = sourcesFor(this.#holdings, need, now, false)
    if (sources === undefined) return shortageHere(this.#holdings, need, now)
    const reservation = takeFrom(this.#holdings, need, sources, now)
    // Counters without money are let go of by ticks alone.
    if (!this.#isTicking) this.wantsTurn = true
    for (const counter of need.counters) if (counter.of.isHard) this.#noteUse(this.#holdings.of(counter), now)
    return reservation
  }

  #noteUse(held: HeldCounter, now: Moment): void {
    const lease = held.leaseAt(now)
    if (lease === undefined || lease.free >= held.low || now.atMs < held.renewAfterMs) return
    this.#attend(held)
  }

  #attend(held: HeldCounter): void {
    this.#due.add(held)
    this.wantsTurn = true
  }

  /** Settles once: at once, or in a later turn. The waiter is for `leave`. */
  fund(need: ReservationNeed, now: Moment, settle: (funding: Funding) => void): Waiter | undefined {
    const funding = this.reserve(need, now)
    if ('ceiling' in funding) settle(funding)
    else if (!this.#mayAsk) settle({ ...funding, reason: 'UNREACHABLE' })
    else {
      this.wantsTurn = true
      return this.#line.join(need, now, settle)
    }
    return undefined
  }

  /** Whoever asked has left: nothing is reserved for it any more. */
  leave(waiter: Waiter): void {
    this.#line.leave(waiter)
    this.wantsTurn = true
  }

  /** What the attempt cost. The reservation stays until `recorded`: until then a crash charges its ceiling. */
  post(reservation: LeaseReservation, cost: bigint): RecordPosting[] {
    if (reservation.cost !== undefined) throw new Error('a reservation is settled once')
    reservation.cost = cost
    if (cost > reservation.held) {
      for (const source of reservation.sources) if (source instanceof Lease) source.reserve(cost - reservation.held)
      reservation.held = cost
    }
    return reservation.postings(cost)
  }

  /** The attempt cost nothing. */
  void(reservation: LeaseReservation): void {
    this.post(reservation, 0n)
  }

  /** A frame that says what a settled attempt cost is in the journal: what it did not use comes free. */
  recorded(reservation: LeaseReservation): void {
    const { cost, held, sources, counters } = reservation
    if (cost === undefined) throw new Error('a reservation is recorded after it is settled')
    if (reservation.isReleased) return
    reservation.isReleased = true
    for (let at = 0; at < sources.length; at++) {
      const source = sources[at]!
      if (!(source instanceof Lease)) continue
      const counter = this.#holdings.of(counters[at]!)
      source.settle(held, cost)
      counter.demand.spent += cost
      if (source.free < 0n && cost > reservation.ceiling) this.#tellOverdrawn(source)
      if (counter.waiting > 0n) this.wantsTurn = true
      if (source.isFenced || counter.recall.left > 0n || counter.isGone || this.#isDraining) this.#attend(counter)
    }
  }

  #tellOverdrawn({ budget, subject }: Lease): void {
    const whom = subject === null ? '' : ` (${subject})`
    this.#incidents.push(
      `A request cost more than could be reserved under budget ${budget}${whom}: nothing is left of its lease.`,
    )
    this.wantsTurn = true
  }

  /** A link is open. A newer epoch ends the grants of those before it. */
  linkOpened(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#isLinked = true
    this.#calls.endAll()
    for (const lease of this.#holdings.leases()) {
      lease.isFenced = lease.epoch !== this.#epoch
      lease.told = -1n
    }
    this.#reports.oweAll()
    for (const held of this.#holdings.counters()) this.#attend(held)
    this.wantsTurn = true
  }

  linkClosed(now: Moment): void {
    this.#isLinked = false
    this.#calls.endAll()
    this.#line.refuseAll(now, 'UNREACHABLE')
    this.wantsTurn = true
  }

  answered(answer: LeaseAnswer, now: Moment): void {
    for (const known of answer.leases) {
      const entry = this.#holdings.findLease(known) ?? this.#adopt(known)
      if (!entry) continue
      const { lease, counter } = entry
      lease.isFenced = known.epoch !== this.#epoch
      this.#due.add(counter)
      if (!lease.learn(known)) continue
      this.#unframed.add(lease)
      if (lease.isSaving) noteGrant(counter, now)
    }
    const call = this.#calls.end(answer.call)
    if (call) this.#line.answered(answer, call, now)
    if (call?.kind === 'renew') for (const held of call.counters) noteRenewed(held, now)
    this.wantsTurn = true
  }

  /** A lease that was never heard of here, or forgotten: what the control plane has records of is spent. */
  #adopt(known: KnownLease) {
    const entry = this.#holdings.addLease(known, { ...newTotals(known), posted: parseAmount(known.posted)! })
    if (entry) entry.lease.isAdopted = true
    return entry
  }

  recalled(recall: LeaseRecall, now: Moment): void {
    for (const { budget, subject, amount, forMs } of recall.asks) {
      const held = this.#holdings.find(budget, subject)
      this.#reports.oweWord(held)
      if (!held) continue
      noteRecall(held, parseAmount(amount)!, forMs, now)
      this.#attend(held)
    }
    this.wantsTurn = true
  }

  /** These frames are on disk. */
  durable(frames: readonly LeaseFrame[]): void {
    for (const frame of frames) {
      // One that was let go of may have come back meanwhile, as another.
      const entry = frame.closed ? undefined : this.#holdings.findLease(frame)
      entry?.lease.saved(parseAmount(frame.granted)!, parseAmount(frame.returned)!)
      if (entry) this.#due.add(entry.counter)
    }
    this.wantsTurn = true
  }

  /** The budgets that there are now; null = the tenant is not served here. Money of all others is given back. */
  budgetsAre(budgets: ReadonlySet<string> | null): void {
    this.#isServed = budgets !== null
    for (const held of this.#holdings.counters()) {
      held.isGone = !budgets?.has(held.budget)
      if (held.isGone) this.#attend(held)
    }
  }

  /** From now on all that is free is given back, and nothing is asked for. */
  drain(): void {
    this.#isDraining = true
    for (const held of this.#holdings.counters()) this.#attend(held)
  }

  /** Everything is spent or given back, and the control plane was told. */
  get isDrained(): boolean {
    for (const { reserved, free, returned, known } of this.#holdings.leases())
      if (reserved > 0n || free > 0n || returned > (known?.returned ?? 0n)) return false
    return this.#line.size === 0
  }

  /** Nothing is held, and nobody waits. */
  get isEmpty(): boolean {
    return this.#holdings.size === 0 && this.#line.size === 0
  }

  /** Money that is held, and what of it is reserved; at 10⁻¹². */
  get money(): { held: bigint; reserved: bigint } {
    const money = { held: 0n, reserved: 0n }
    for (const { free, reserved } of this.#holdings.leases()) {
      money.held += free + reserved
      money.reserved += reserved
    }
    return money
  }

  /** Counters that are known here, with money or without. */
  get counters(): number {
    return this.#holdings.counterCount
  }

  /** Totals of every lease, for whoever checks them. */
  get leases(): Iterable<Readonly<Lease>> {
    return this.#holdings.leases()
  }

  /** Does what is due, and says what is to be written and sent. */
  turn(now: Moment): Effects {
    this.wantsTurn = false
    for (const call of this.#calls.lost(now.atMs)) {
      this.#reports.oweAll()
      this.#line.lost(call, now)
    }
    const ticks = now.atMs >= this.#tickedMs + tickMs
    if (ticks) this.#tick(now)
    this.#line.serve(now)
    for (const held of this.#line.giveBackNext(now)) this.#due.add(held)
    for (const held of this.#due) this.#tend(held, now)
    if (this.#isLinked) this.#call(now)
    this.#due.clear()
    const frames = this.#frames()
    const incidents = this.#incidents
    this.#incidents = []
    return { frames, calls: this.#calls.take(), incidents, wakeAtMs: this.#wakeAtMs(now) }
  }

  #tick(now: Moment): void {
    const elapsedMs = Math.min(now.atMs - this.#tickedMs, 60_000)
    this.#tickedMs = now.atMs
    this.#reports.tick(now)
    for (const held of this.#holdings.counters()) {
      tickCounter(held, now, elapsedMs, this.#isLinked)
      this.#due.add(held)
    }
  }

  #tend(held: HeldCounter, now: Moment): void {
    giveBackUnusable(held, now, this.#isDraining)
    for (const lease of [...held.leases]) {
      if (lease.isUnframed) this.#unframed.add(lease)
      if (lease.isSettled && (lease.isFenced || lease.isOver(now))) this.#close(held, lease)
    }
    if (held.leases.length === 0 && held.isQuiet && now.atMs - held.lastUsedMs > forgetMs) this.#holdings.forget(held)
  }

  #close(held: HeldCounter, lease: Lease): void {
    this.#holdings.removeLease(held, lease)
    this.#unframed.delete(lease)
    this.#closed.push({ ...frameOf(this.tenant, lease), closed: true })
  }

  #call(now: Moment): void {
    this.#reports.tellAll(this.#holdings.leases(), now)
    if (this.#mayAsk) {
      this.#line.ask(now)
      askAhead([...this.#due], this.#calls, now)
    }
    this.#reports.tellNews(this.#due, now)
  }

  get #mayAsk(): boolean {
    return this.#isLinked && this.#isServed && !this.#isDraining
  }

  /** What is new of totals, each once. */
  #frames(): LeaseFrame[] {
    const frames = [...this.#unframed].map((lease) => lease.frame(this.tenant))
    this.#unframed.clear()
    const closed = this.#closed
    this.#closed = []
    return [...frames, ...closed]
  }

  #wakeAtMs(now: Moment): number {
    this.#isTicking = !this.isEmpty || this.#holdings.counterCount > 0
    const tickAtMs = this.#isTicking ? this.#tickedMs + tickMs : Number.POSITIVE_INFINITY
    return Math.min(tickAtMs, this.#line.nextMs(now.atMs), this.#calls.nextLostMs)
  }
}
