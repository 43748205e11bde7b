import type { Clock, Ledger, Reservation, ReservationNeed, Shortage } from '../../../data-plane/ports.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import type { LeaseAnswer, LeaseCall, LeaseRecall } from '../../../schema/link-lease.ts'
import { CallWindow } from './call-window.ts'
import { ControlClock } from './control-clock.ts'
import type { LeaseRoom } from './holdings.ts'
import type { LeaseFrame, LeaseTotals } from './lease-frame.ts'
import { PlaneBook } from './plane-book.ts'
import { LeaseReservation } from './reservation.ts'
import type { Waiter } from './waiter.ts'

/** Leases of an instance, all tenants together: they stand at the begin of every journal segment. */
const leasesMax = 20_000
const drainPollMs = 10

/** Where leases are made durable, and what was. The recorder's journal, so that records and leases have one order. */
export interface LeaseJournal {
  /** Of the newest link. */
  readonly epoch: number
  readonly tenantsWithLeases: readonly string[]
  leasesOf(tenant: string): LeaseTotals[]
  /** Appends frames in order, at once; calls back when all of them are on disk, however late. */
  keepLeases(frames: readonly LeaseFrame[], durable: () => void): void
  /** Set by the ledger: hears of an exchange when its intent or record has been appended, or never will be. */
  onWritten: (exchange: string) => void
}

/** What the link tells the ledger. */
export interface LinkedLedger {
  linkOpened(epoch: number, send: (call: LeaseCall) => void): void
  linkClosed(): void
  answered(answer: LeaseAnswer): void
  recalled(recall: LeaseRecall): void
  /** The control plane's clock minus ours, just measured. */
  clockOffset(ms: number): void
}

/** One tenant's money here, at 10⁻¹². */
export interface HeldMoney {
  tenant: string
  held: bigint
  reserved: bigint
}

/** The ledger of a gateway: a book for each tenant, kept in the journal and filled over the link. */
export class LeaseLedger implements Ledger, LinkedLedger {
  readonly #journal: LeaseJournal
  readonly #clock: ControlClock
  readonly #log: (level: 'warn', sentence: string) => void
  readonly #books = new Map<string, PlaneBook>()
  readonly #room: LeaseRoom = { left: leasesMax }
  /** Attempts that are settled, by exchange, until a frame of it says so. */
  readonly #settled = new Map<string, LeaseReservation[]>()
  readonly #due = new Set<PlaneBook>()
  readonly #wakes = new Map<PlaneBook, number>()
  #link: { epoch: number; calls: CallWindow } | undefined
  #isTurning = false
  #calls = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #timerAtMs = Number.POSITIVE_INFINITY
  #isClosed = false

  constructor(options: { journal: LeaseJournal; clock: Clock; log: (level: 'warn', sentence: string) => void }) {
    this.#journal = options.journal
    this.#clock = new ControlClock(options.clock)
    this.#log = options.log
    this.#journal.onWritten = (exchange) => this.#written(exchange)
    for (const tenant of this.#journal.tenantsWithLeases) this.#bookOf(tenant)
  }

  reserve(need: ReservationNeed): Reservation | Shortage {
    if (need.counters.length === 0) return unlimited(need.ceiling)
    const book = this.#bookOf(need.tenant)
    const funding = book.reserve(need, this.#clock.now())
    this.#attend(book)
    return funding
  }

  fund(need: ReservationNeed, signal?: AbortSignal): Promise<Reservation | Shortage> {
    if (need.counters.length === 0) return Promise.resolve(unlimited(need.ceiling))
    const book = this.#bookOf(need.tenant)
    return new Promise((resolve) => {
      let waiter: Waiter | undefined
      const leave = () => {
        if (waiter) book.leave(waiter)
        this.#attend(book)
        resolve({ short: [], reason: 'UNREACHABLE' })
      }
      waiter = book.fund(need, this.#clock.now(), (funding) => {
        signal?.removeEventListener('abort', leave)
        resolve(funding)
      })
      if (signal?.aborted) leave()
      else signal?.addEventListener('abort', leave, { once: true })
      this.#attend(book)
    })
  }

  post(reservation: Reservation, cost: bigint): RecordPosting[] {
    if (!(reservation instanceof LeaseReservation)) return []
    const postings = this.#bookOf(reservation.tenant).post(reservation, cost)
    this.#hold(reservation)
    return postings
  }

  void(reservation: Reservation): void {
    this.post(reservation, 0n)
  }

  /** Until a frame of its exchange is in the journal nothing of it comes free. */
  #hold(reservation: LeaseReservation): void {
    const { exchange } = reservation
    if (exchange === undefined) this.#release(reservation)
    else {
      const settled = this.#settled.get(exchange)
      if (settled) settled.push(reservation)
      else this.#settled.set(exchange, [reservation])
    }
  }

  #written(exchange: string): void {
    const settled = this.#settled.get(exchange)
    if (!settled) return
    this.#settled.delete(exchange)
    for (const reservation of settled) this.#release(reservation)
  }

  #release(reservation: LeaseReservation): void {
    const book = this.#bookOf(reservation.tenant)
    book.recorded(reservation)
    this.#attend(book)
  }

  /** The tenants that this gateway serves, each with the budgets of its configuration. */
  serve(tenants: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const tenant of tenants.keys()) this.#bookOf(tenant)
    for (const [tenant, book] of this.#books) {
      const budgets = tenants.get(tenant) ?? null
      book.budgetsAre(budgets)
      this.#attend(book)
      if (budgets === null && book.isEmpty) this.#close(tenant, book)
    }
  }

  linkOpened(epoch: number, send: (call: LeaseCall) => void): void {
    this.#link = { epoch, calls: new CallWindow(send) }
    for (const book of this.#books.values()) {
      book.linkOpened(epoch)
      this.#attend(book)
    }
  }

  linkClosed(): void {
    this.#link = undefined
    for (const book of this.#books.values()) {
      book.linkClosed(this.#clock.now())
      this.#attend(book)
    }
  }

  answered(answer: LeaseAnswer): void {
    const book = this.#bookOf(answer.tenant)
    this.#link?.calls.answered(answer.call)
    book.answered(answer, this.#clock.now())
    this.#attend(book)
  }

  recalled(recall: LeaseRecall): void {
    const book = this.#bookOf(recall.tenant)
    book.recalled(recall, this.#clock.now())
    this.#attend(book)
  }

  clockOffset(ms: number): void {
    this.#clock.measured(ms)
  }

  /** Gives everything back that is not reserved; true where the control plane has heard of all of it in time. */
  async drain(timeoutMs: number): Promise<boolean> {
    for (const book of this.#books.values()) {
      book.drain()
      this.#attend(book)
    }
    const isDrained = () => [...this.#books.values()].every((book) => book.isDrained)
    const untilMs = performance.now() + timeoutMs
    while (!isDrained() && this.#link && performance.now() < untilMs) await Bun.sleep(drainPollMs)
    return isDrained()
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
  }

  /** What is held, by tenant. */
  get money(): HeldMoney[] {
    return [...this.#books].map(([tenant, book]) => ({ tenant, ...book.money }))
  }

  #bookOf(tenant: string): PlaneBook {
    const found = this.#books.get(tenant)
    if (found) return found
    const { epoch } = this.#journal
    const leases = this.#journal.leasesOf(tenant)
    const book = new PlaneBook({ tenant, epoch, leases, nextCall: () => ++this.#calls, room: this.#room })
    this.#books.set(tenant, book)
    if (this.#link) book.linkOpened(this.#link.epoch)
    this.#attend(book)
    return book
  }

  #close(tenant: string, book: PlaneBook): void {
    this.#books.delete(tenant)
    this.#wakes.delete(book)
    this.#due.delete(book)
  }

  /** A turn soon, if one is due: what happens at the same time shares it. */
  #attend(book: PlaneBook): void {
    if (!book.wantsTurn || this.#isClosed) return
    this.#due.add(book)
    if (this.#isTurning) return
    this.#isTurning = true
    queueMicrotask(() => this.#turnAll())
  }

  #turnAll(): void {
    this.#isTurning = false
    const due = [...this.#due]
    this.#due.clear()
    for (const book of due) this.#turn(book)
  }

  #turn(book: PlaneBook): void {
    const now = this.#clock.now()
    const { frames, calls, incidents, wakeAtMs } = book.turn(now)
    if (frames.length > 0)
      this.#journal.keepLeases(frames, () => {
        book.durable(frames)
        this.#attend(book)
      })
    for (const call of calls) this.#link?.calls.push(call)
    for (const sentence of incidents) this.#log('warn', sentence)
    this.#wakes.set(book, wakeAtMs)
    this.#wakeAt(wakeAtMs, now.atMs)
    this.#attend(book)
  }

  /** One timer for all books. */
  #wakeAt(wakeAtMs: number, atMs: number): void {
    if (wakeAtMs >= this.#timerAtMs || this.#isClosed) return
    clearTimeout(this.#timer)
    this.#timerAtMs = wakeAtMs
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, Math.ceil(wakeAtMs - atMs)))
  }

  #wake(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    const { atMs } = this.#clock.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (const [book, wakeAtMs] of this.#wakes) {
      if (wakeAtMs <= atMs) this.#turn(book)
      else nextMs = Math.min(nextMs, wakeAtMs)
    }
    this.#wakeAt(nextMs, atMs)
  }
}

/** An attempt that no budget counts. */
const unlimited = (ceiling: bigint): Reservation => ({ ceiling, atCeiling: nothing })
const nothing = (): RecordPosting[] => []
