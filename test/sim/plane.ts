import { PlaneBook } from '../../adapters/ports/ledger/plane-book.ts'
import type { LeaseReservation } from '../../adapters/ports/ledger/reservation.ts'
import type { Waiter } from '../../adapters/ports/ledger/waiter.ts'
import type { BudgetCounter, Shortage } from '../../data-plane/ports.ts'
import type { RecordPosting } from '../../schema/flight-record.ts'
import { formatAmount } from '../../schema/money.ts'
import type { MachineClock } from './clock.ts'
import type { Disk } from './disk.ts'
import { type JournalEntry, type Replayed, replay } from './journal.ts'
import type { Downward, MoneyRecord, Upward } from './messages.ts'
import { tenant } from './store.ts'
import type { Timeline } from './timeline.ts'
import type { Truth } from './truth.ts'

/** One try at a provider: what it may cost, what it does cost, how long that takes. */
export interface AttemptPlan {
  ceiling: bigint
  cost: bigint
  takesMs: number
  /** It ended without a usage figure: nobody here knows what it costs. */
  unknown: boolean
}

export interface SimRequest {
  id: string
  counters: BudgetCounter[]
  /** Several where the first ones fail. */
  attempts: AttemptPlan[]
  leavesAfterMs: number | null
  /** Narrowest refusals first: what may be asked instead where money is short. */
  instead: bigint[]
}

/** What a plane tells whoever checks it. */
export interface PlaneWatch {
  started(leases: Replayed['leases']): void
  waits(request: SimRequest, ceiling: bigint): void
  reserved(request: SimRequest): void
  refused(request: SimRequest, ceiling: bigint, shortage: Shortage): void
  left(request: SimRequest): void
}

/** The other end of a link, as the plane sees it. */
export interface Uplink {
  send(message: Upward): void
  close(): void
}

const resendMs = 1_000
const heartbeatMs = 5_000
/** Of a breach. */
const unsavedMs = 500
const turnsMax = 100

/** One process of an instance, on its journal: the shell around the book, as a gateway has it. */
export class PlaneProcess {
  readonly book: PlaneBook
  readonly chains: Map<number, MoneyRecord[]>
  epoch: number
  uplink: Uplink | undefined
  inFlight = 0
  isDraining = false
  /** Money as a power cut finds it: which records are on the disk. */
  #durableRecords = new Set<string>()
  #acked = new Map<number, number>()
  #isDead = false
  #isTurning = false
  #call = 0
  #cancelWake: () => void = () => undefined
  readonly #timers: (() => void)[] = []

  constructor(
    readonly timeline: Timeline,
    readonly disk: Disk<JournalEntry>,
    readonly clock: MachineClock,
    readonly truth: Truth,
    readonly watch: PlaneWatch,
    options: PlaneOptions = {},
  ) {
    this.options = options
    const found = replay(disk.entries, options.forgetsIntents)
    this.epoch = found.epoch
    this.chains = found.chains
    for (const records of found.chains.values()) for (const { id } of records) this.#durableRecords.add(id)
    watch.started(found.leases)
    this.#charge(found)
    this.book = new PlaneBook({ tenant, epoch: found.epoch, leases: found.leases, nextCall: () => ++this.#call })
    this.#turn()
  }
  readonly options: PlaneOptions

  /** What was in flight when the process before died is charged as its intent stands. */
  #charge({ open }: Replayed): void {
    for (const { id, postings } of open) {
      if (!this.options.isCopy) this.truth.settles(id, [], postings)
      this.#append({ id, postings })
    }
    if (open.length > 0) this.#syncRecords(open.map(({ id }) => id))
  }

  end(): void {
    this.#isDead = true
    this.uplink?.close()
    this.uplink = undefined
    this.disk.kill()
    this.clock.forget()
    this.#cancelWake()
    for (const cancel of this.#timers) cancel()
  }

  drain(): void {
    this.isDraining = true
    this.book.drain()
    this.#turn()
  }

  get isDrained(): boolean {
    return this.inFlight === 0 && this.book.isDrained && this.#isDelivered
  }

  get #isDelivered(): boolean {
    return [...this.chains].every(([epoch, records]) => (this.#acked.get(epoch) ?? 0) >= records.length)
  }

  serve(request: SimRequest): void {
    if (this.isDraining) return
    this.#attempt(request, 0, request.attempts[0]!.ceiling, 0, [], [])
  }

  #attempt(
    request: SimRequest,
    nth: number,
    ceiling: bigint,
    softer: number,
    spent: readonly RecordPosting[],
    pending: readonly LeaseReservation[],
  ): void {
    const moment = this.clock.moment
    const need = { tenant, counters: request.counters, ceiling, atMs: moment.controlMs, exchange: request.id }
    let waiter: Waiter | undefined
    let isSettled = false
    this.watch.waits(request, ceiling)
    waiter = this.book.fund(need, moment, (funding) => {
      isSettled = true
      // As a promise does: what comes of it happens after the book is done.
      this.#later(0, () => {
        if ('ceiling' in funding) this.#begin(request, nth, funding, spent, pending)
        else this.#short(request, nth, ceiling, softer, funding, spent, pending)
        this.#turn()
      })
    })
    if (waiter && !isSettled && request.leavesAfterMs !== null && nth === 0)
      this.#later(request.leavesAfterMs, () => {
        if (isSettled) return
        this.watch.left(request)
        this.book.leave(waiter)
        this.#turn()
      })
    this.#turn()
  }

  #short(
    request: SimRequest,
    nth: number,
    ceiling: bigint,
    softer: number,
    shortage: Shortage,
    spent: readonly RecordPosting[],
    pending: readonly LeaseReservation[],
  ): void {
    this.watch.refused(request, ceiling, shortage)
    const instead = shortage.reason ? undefined : request.instead[softer]
    if (instead !== undefined && instead < ceiling && nth === 0)
      this.#later(0, () => this.#attempt(request, nth, instead, softer + 1, spent, pending))
    else if (nth > 0) this.#record(request, spent, pending)
  }

  #begin(
    request: SimRequest,
    nth: number,
    reservation: LeaseReservation,
    spent: readonly RecordPosting[],
    pending: readonly LeaseReservation[],
  ): void {
    const planned = request.attempts[nth]!
    const { ceiling } = reservation
    // Asked for less, it costs less.
    const cost = ceiling < planned.ceiling && planned.cost > ceiling ? ceiling : planned.cost
    const reserved = reservation.atCeiling()
    this.watch.reserved(request)
    this.inFlight++
    this.disk.write({ kind: 'intent', id: request.id, nth, postings: [...spent, ...reserved] })
    for (const before of pending) this.book.recorded(before)
    this.truth.begins(this.disk, request.id, reserved, ceiling, cost)
    this.#later(planned.takesMs, () => {
      this.inFlight--
      const charged = planned.unknown && cost < ceiling ? ceiling : cost
      const postings = this.book.post(reservation, charged)
      const all = [...spent, ...postings]
      const next = request.attempts[nth + 1]
      // What it did not use comes free when the next attempt's intent, or the record, says so.
      const kept =
        next && charged < ceiling ? reserved.map((each) => ({ ...each, amount: formatAmount(ceiling - charged) })) : []
      this.truth.settles(request.id, kept, all)
      const left = [...pending.filter((each) => !each.isReleased), reservation]
      if (next) this.#attempt(request, nth + 1, next.ceiling, 0, all, left)
      else this.#record(request, all, left)
      this.#turn()
    })
  }

  #record(request: SimRequest, postings: readonly RecordPosting[], pending: readonly LeaseReservation[]): void {
    this.#append({ id: request.id, postings })
    this.truth.settles(request.id, [], postings)
    for (const reservation of pending) this.book.recorded(reservation)
    this.#syncRecords([request.id])
    this.#turn()
  }

  #append(record: MoneyRecord): void {
    const chain = this.chains.get(this.epoch) ?? []
    this.chains.set(this.epoch, chain)
    chain.push(record)
    this.disk.write({ kind: 'record', epoch: this.epoch, record })
  }

  /** Only what is durable is delivered. */
  #syncRecords(ids: string[]): void {
    this.disk.sync(() => {
      for (const id of ids) this.#durableRecords.add(id)
      this.deliver()
    })
  }

  opened(uplink: Uplink, welcome: Extract<Downward, { type: 'welcome' }>): void {
    this.uplink = uplink
    this.clock.heard(welcome.serverTimeMs)
    this.#acked = new Map(welcome.heads.map(({ epoch, next }) => [epoch, next]))
    if (welcome.epoch > this.epoch) {
      this.epoch = welcome.epoch
      this.disk.write({ kind: 'epoch', epoch: welcome.epoch })
      this.disk.sync(() => undefined)
    }
    this.book.linkOpened(welcome.epoch)
    this.#turn()
    this.deliver()
    this.#heartbeat(uplink)
  }

  closed(uplink: Uplink): void {
    if (this.uplink !== uplink) return
    this.uplink = undefined
    this.book.linkClosed(this.clock.moment)
    this.#turn()
  }

  receive(message: Downward): void {
    if (this.#isDead) return
    if (message.type === 'recordsAck')
      this.#acked.set(message.epoch, Math.max(message.next, this.#acked.get(message.epoch) ?? 0))
    else if (message.type === 'heartbeatAck') this.clock.heard(message.serverTimeMs)
    else if (message.type === 'leaseAnswer') this.book.answered(message, this.clock.moment)
    else if (message.type === 'leaseRecall') this.book.recalled(message, this.clock.moment)
    this.#turn()
  }

  #heartbeat(uplink: Uplink): void {
    if (this.#isDead || this.uplink !== uplink) return
    uplink.send({ type: 'heartbeat' })
    this.#later(heartbeatMs, () => this.#heartbeat(uplink))
    this.#redeliver(uplink)
  }

  #redeliver(uplink: Uplink): void {
    if (this.uplink !== uplink) return
    this.deliver()
    if (!this.#isDelivered) this.#later(resendMs, () => this.#redeliver(uplink))
  }

  /** What is durable and not acknowledged, of every chain, in order. */
  deliver(): void {
    for (const [epoch, records] of this.chains) {
      const from = this.#acked.get(epoch) ?? 0
      const waiting = records.slice(from)
      const end = waiting.findIndex(({ id }) => !this.#durableRecords.has(id))
      const batch = end === -1 ? waiting : waiting.slice(0, end)
      if (batch.length > 0) this.uplink?.send({ type: 'records', epoch, from, records: batch })
    }
  }

  /** Turns until the book rests. What it says is written and sent at once. */
  #turn(): void {
    if (this.#isTurning || this.#isDead) return
    this.#isTurning = true
    let wakeAtMs = 0
    for (let turns = 0; turns === 0 || this.book.wantsTurn; turns++) {
      if (turns >= turnsMax) throw new Error('a plane never rests')
      const effects = this.book.turn(this.clock.moment)
      wakeAtMs = effects.wakeAtMs
      if (effects.frames.length > 0) this.#save(effects.frames)
      for (const call of effects.calls) this.uplink?.send(call)
    }
    this.#isTurning = false
    this.#cancelWake()
    const inMs = Math.max(0.5, wakeAtMs - this.clock.moment.atMs)
    if (Number.isFinite(inMs)) this.#cancelWake = this.timeline.after(inMs, () => this.#turn())
  }

  #save(frames: ReturnType<PlaneBook['turn']>['frames']): void {
    if (this.options.spendsUnsaved) {
      this.#later(unsavedMs, () => this.#write(frames))
      this.book.durable(frames)
      return
    }
    this.#write(frames)
    this.disk.sync(() => {
      this.book.durable(frames)
      this.#turn()
    })
  }

  #write(frames: ReturnType<PlaneBook['turn']>['frames']): void {
    for (const frame of frames) this.disk.write({ kind: 'lease', frame })
  }

  #later(ms: number, act: () => void): void {
    this.#timers.push(
      this.timeline.after(ms, () => {
        if (!this.#isDead) act()
      }),
    )
  }
}

export interface PlaneOptions {
  /** A copy of another's folder: what its intents charge is charged twice. */
  isCopy?: boolean
  /** A breach: what was in flight is not charged after a crash. */
  forgetsIntents?: boolean
  /** A breach: a grant is used at once, and written later. */
  spendsUnsaved?: boolean
}
