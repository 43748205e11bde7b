import { type BudgetWindow, type PeriodRule, windowAt } from '../../../schema/budget-window.ts'
import { Demand } from './demand.ts'
import type { Lease } from './lease.ts'
import type { Moment } from './moment.ts'

/** Calls that may be under way for a counter, one of each: an answer at once, one that waits for money, one that asks ahead. */
export type AskKind = 'ask' | 'park' | 'renew'

/** What an instance holds under one counter of a budget: its leases, what it needs, and who waits. */
export class HeldCounter {
  /** By epoch and window; seldom more than two or three. */
  readonly leases: Lease[] = []
  readonly demand = new Demand()
  /** Number of the call under way of each kind; 0 = none. */
  readonly under: Record<AskKind, number> = { ask: 0, park: 0, renew: 0 }
  /** Ceilings of the requests that wait for money and fall under this counter. */
  waiting = 0n
  /** What calls under way count on, so that an answer finds it here: those who come later do not take it; others who ask do. */
  pledged = 0n
  /** Until then nobody passes a request that waits for money here. */
  lineUntilMs = 0
  lastUsedMs = 0
  /** Below so much free money more is asked for. */
  low = 0n
  renewAfterMs = 0
  nextAfterMs = 0
  trimAfterMs = 0
  /** Others wait for money: so much more of what comes free is given back, until then. */
  recall = { left: 0n, untilMs: Number.NEGATIVE_INFINITY }
  /** Its budget is no more, or its tenant is not served here. */
  isGone = false
  /** Nothing is held any more: whoever still refers to it finds the one that took its place. */
  isForgotten = false
  #current: Lease | undefined
  #window: BudgetWindow | undefined
  #rule: PeriodRule | undefined

  constructor(
    readonly budget: string,
    readonly subject: string | null,
  ) {}

  /** The lease that a request falls under now. */
  leaseAt(now: Moment): Lease | undefined {
    if (this.#current?.isOpen(now)) return this.#current
    this.#current = this.leases.findLast((lease) => lease.isOpen(now))
    return this.#current
  }

  add(lease: Lease): void {
    this.leases.push(lease)
  }

  remove(lease: Lease): void {
    this.leases.splice(this.leases.indexOf(lease), 1)
    if (this.#current === lease) this.#current = undefined
  }

  /** The window that a moment lies in, by the budget's own rule: where there is no lease to name it. */
  windowAt(rule: PeriodRule, controlMs: number): BudgetWindow {
    const kept = this.#window
    if (kept && this.#rule === rule && controlMs >= kept.from && controlMs < kept.to) return kept
    this.#rule = rule
    this.#window = windowAt(rule, controlMs)
    return this.#window
  }

  isRecalled(atMs: number): boolean {
    return this.recall.left > 0n && this.recall.untilMs >= atMs
  }

  get reserved(): bigint {
    return this.leases.reduce((sum, { reserved }) => sum + reserved, 0n)
  }

  /** Nobody waits, and no call is under way. */
  get isQuiet(): boolean {
    return this.waiting === 0n && !this.isAsking
  }

  get isAsking(): boolean {
    return this.under.ask !== 0 || this.under.park !== 0 || this.under.renew !== 0
  }
}
