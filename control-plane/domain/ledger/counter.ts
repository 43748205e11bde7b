import { type BudgetWindow, endOfTime, type PeriodRule, ringOf, windowAt } from '../../../schema/budget-window.ts'

/** What the counter of a ROLLING budget spans: one row, whose leases are of sub-windows. No LIFETIME budget begins then. */
export const allTime: BudgetWindow = { from: -1, to: endOfTime }

/** The window of the counter that a lease of this window is granted under. */
export function counterWindow(rule: PeriodRule, leaseWindow: BudgetWindow): BudgetWindow {
  return rule.period === 'ROLLING' ? allTime : leaseWindow
}

/** The window of the counter that counts at a moment. */
export function presentCounter(rule: PeriodRule, nowMs: number): BudgetWindow {
  return counterWindow(rule, windowAt(rule, nowMs))
}

/** As it is shown: of a ROLLING period the ring that ends now. */
export function shownWindow(rule: PeriodRule, nowMs: number): BudgetWindow {
  const window = windowAt(rule, nowMs)
  return rule.period === 'ROLLING' ? ringOf(rule, window) : window
}
