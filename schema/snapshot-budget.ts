import type { PeriodRule } from './budget-window.ts'
import type { BudgetAction, CounterPer } from './config/index.ts'
import type { SnapshotScope } from './snapshot-policy.ts'

/** What may be spent within a scope. Its limit and what is left of it stay at the control plane: a plane spends from leases. */
export interface SnapshotBudget {
  id: string
  name: string
  scope: SnapshotScope
  /** One counter for each … inside the scope; null = one for all of it. */
  per: CounterPer | null
  /** A plane that does not know it takes it for BLOCK. */
  onExhausted: BudgetAction
  /** Position of a tier; null unless `onExhausted` is DOWNGRADE. */
  downgradeTo: number | null
  waitForFundsMs: number
  /** What a WARN budget's postings name their window by, since they come from no lease. */
  rule: PeriodRule
}
