import type {
  BudgetCounter,
  CounterShortage,
  Ledger,
  Reservation,
  ReservationNeed,
  Shortage,
} from '../../data-plane/ports.ts'
import { type BudgetWindow, windowAfter, windowAt } from '../../schema/budget-window.ts'
import type { RecordPosting } from '../../schema/flight-record.ts'
import { formatAmount } from '../../schema/money.ts'

/** The limit of one counter in each of its windows, at 10⁻¹²; null = none. */
export type LimitOf = (budget: BudgetCounter['of'], subject: string | null) => bigint | null

/** A ledger of one process with fixed limits, exact, nothing of it durable: for tests, and to compare others with. */
export class MemoryLedger implements Ledger {
  readonly #limitOf: LimitOf
  readonly #accounts = new Map<string, Account>()
  readonly #waiters = new Set<() => void>()

  constructor(limitOf: LimitOf) {
    this.#limitOf = limitOf
  }

  reserve(need: ReservationNeed): Reservation | Shortage {
    const held = need.counters.map((counter) => ({ counter, account: this.#accountOf(counter, need.atMs) }))
    const short = held.flatMap(({ counter, account }) => shortageOf(counter, account, need.ceiling))
    if (short.length > 0) return { short }
    for (const { account } of held) account.reserved += need.ceiling
    return new MemoryReservation(need.ceiling, held)
  }

  async fund(need: ReservationNeed, signal?: AbortSignal): Promise<Reservation | Shortage> {
    let waitMs: number | undefined
    const startedMs = performance.now()
    for (;;) {
      const reservation = this.reserve(need)
      if (!('short' in reservation)) return reservation
      waitMs ??= Math.min(...reservation.short.map(({ counter }) => counter.of.waitForFundsMs))
      const leftMs = waitMs - (performance.now() - startedMs)
      if (leftMs <= 0 || signal?.aborted) return reservation
      await this.#change(leftMs, signal)
    }
  }

  post(reservation: Reservation, cost: bigint): RecordPosting[] {
    const held = this.#release(reservation)
    for (const { account } of held) account.spent += cost
    this.#tell()
    return postingsOf(held, cost)
  }

  void(reservation: Reservation): void {
    this.#release(reservation)
    this.#tell()
  }

  /** What is posted and reserved of a budget in all windows, at 10⁻¹². */
  balanceOf(budget: string, subject: string | null = null): { spent: bigint; reserved: bigint } {
    const own = [...this.#accounts.values()].filter((one) => one.budget === budget && one.subject === subject)
    return {
      spent: own.reduce((sum, { spent }) => sum + spent, 0n),
      reserved: own.reduce((sum, { reserved }) => sum + reserved, 0n),
    }
  }

  #release(reservation: Reservation): readonly Held[] {
    if (!(reservation instanceof MemoryReservation)) throw new Error('a reservation of another ledger')
    if (reservation.isOver) throw new Error('a reservation ends once')
    reservation.isOver = true
    for (const { account } of reservation.held) account.reserved -= reservation.ceiling
    return reservation.held
  }

  #accountOf({ of, subject }: BudgetCounter, atMs: number): Account {
    const window = windowAt(of.rule, atMs)
    const key = JSON.stringify([of.id, subject, window.from])
    let account = this.#accounts.get(key)
    if (!account) {
      const resetsAtMs = windowAfter(of.rule, window)?.from ?? null
      const limit = of.isHard ? this.#limitOf(of, subject) : null
      account = { budget: of.id, subject, window, resetsAtMs, limit, spent: 0n, reserved: 0n }
      this.#accounts.set(key, account)
    }
    return account
  }

  /** Money came free, the wait is over, or nobody waits any more. */
  #change(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', done)
        this.#waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, waitMs)
      signal?.addEventListener('abort', done)
      this.#waiters.add(done)
    })
  }

  #tell(): void {
    for (const waiter of [...this.#waiters]) waiter()
  }
}

interface Account {
  readonly budget: string
  readonly subject: string | null
  readonly window: BudgetWindow
  readonly resetsAtMs: number | null
  readonly limit: bigint | null
  spent: bigint
  reserved: bigint
}

interface Held {
  readonly counter: BudgetCounter
  readonly account: Account
}

class MemoryReservation implements Reservation {
  isOver = false

  constructor(
    readonly ceiling: bigint,
    readonly held: readonly Held[],
  ) {}

  atCeiling(): RecordPosting[] {
    return postingsOf(this.held, this.ceiling)
  }
}

/** What costs nothing needs nothing, however much of a budget is gone. */
function shortageOf(
  counter: BudgetCounter,
  { limit, spent, reserved, resetsAtMs }: Account,
  ceiling: bigint,
): CounterShortage[] {
  if (limit === null || ceiling === 0n) return []
  const left = limit - spent - reserved
  if (ceiling <= left) return []
  return [{ counter, missing: ceiling - left, affordable: left > 0n ? left : 0n, resetsAtMs }]
}

function postingsOf(held: readonly Held[], amount: bigint): RecordPosting[] {
  return held.map(({ counter: { of, subject }, account: { window } }) => ({
    ...{ amount: formatAmount(amount), budget: of.id, leaseEpoch: of.isHard ? 1 : 0, subject, window },
  }))
}
