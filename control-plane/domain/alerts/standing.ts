import { endOfTime } from '../../../schema/budget-window.ts'
import type { Resource } from '../../../schema/config/index.ts'

/** Where one counter of a budget stands now. Amounts are at 10⁻¹² of the tenant's currency. */
export interface BudgetStanding {
  budget: Resource<'budget'>
  /** Whom this counter counts; null = the budget's one counter. */
  subject: string | null
  /** Of a ROLLING period the ring of all its sub-windows, whose end moves on. */
  window: { from: number; to: number }
  limit: bigint
  adjustments: bigint
  spent: bigint
  /** Neither spent nor leased. */
  available: bigint
}

/** What may be spent in this window in all. */
export const allowanceOf = ({ limit, adjustments }: BudgetStanding): bigint => limit + adjustments

/** What is not spent yet, leased or not. */
export const leftOf = (standing: BudgetStanding): bigint => allowanceOf(standing) - standing.spent

/**
 * How long what is left has to last: to the window's end; of a ROLLING period, which has no end, its whole length again, since
 * what is spent now counts for so long. Null: for ever.
 */
export function leftMsOf({ budget, window }: BudgetStanding, nowMs: number): number | null {
  if (window.to >= endOfTime) return null
  if (budget.spec.period === 'ROLLING') return window.to - window.from
  return Math.max(0, window.to - nowMs)
}

/** One window's name, so that what is told of one is not taken for the next: a ROLLING period is always the same. */
export const windowName = ({ budget, window }: BudgetStanding): string =>
  budget.spec.period === 'ROLLING' ? 'rolling' : String(window.from)
