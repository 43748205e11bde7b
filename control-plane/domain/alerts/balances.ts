import type { Resource } from '../../../schema/config/index.ts'
import type { Tx } from '../../db/database.ts'
import { balancesOf } from '../ledger/balance.ts'
import type { BudgetStanding } from './standing.ts'

/** Where every counter of these budgets stands in the ledger. What left a ring counts no longer. */
export async function standingsOf(
  tx: Tx,
  tenant: string,
  budgets: readonly Resource<'budget'>[],
  nowMs: number,
  /** Of budgets with a counter for each …: only these, also where nothing was spent yet; absent = all that there are. */
  subjects?: readonly string[],
): Promise<BudgetStanding[]> {
  if (budgets.length === 0) return []
  const byId = new Map(budgets.map((budget) => [budget.id, budget]))
  const balances = await balancesOf(tx, tenant, { budgets: [...byId.keys()], nowMs, subjects })
  return balances.map(({ budget, subject, window, limit, adjustments, spent, released, available }) => ({
    ...{ budget: byId.get(budget)!, subject, window, limit, adjustments, available },
    spent: spent - released,
  }))
}
