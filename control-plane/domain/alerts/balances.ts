import type { Tx } from '../../db/database.ts'
import type { BudgetStanding } from './standing.ts'

/** Where every counter of every live budget stands, read from the ledger. */
export async function standingsOf(_tx: Tx, _tenant: string, _nowMs: number): Promise<BudgetStanding[]> {
  return []
}
