import { mintId } from '../../../schema/ids.ts'
import { fundsWaitMsMax } from '../../../schema/link-lease.ts'
import type { Tx } from '../../db/database.ts'
import type { AuditActor } from '../audit.ts'
import type { Context } from '../context.ts'
import { changesOf } from './book.ts'
import { presentCounter } from './counter.ts'
import { recallsOverdue } from './decide.ts'
import { askBack } from './recalls.ts'
import { type AdjustmentRow, counterKey } from './rows.ts'
import { declaredOf, openBooks, writeChanges } from './store.ts'

export interface Adjustment {
  budget: string
  /** '' where the budget has one counter. */
  subject: string
  /** Negative takes money away. */
  amount: bigint
  reason: string
  actor: AuditActor
  /** It ends with its window in any case. */
  expiresAtMs: number | null
}

/**
 * Adds money to the present window of a live budget's counter, and wakes who waits for it; what is taken away while planes hold it
 * is asked back. For a caller that locked the tenant's row and has checked the input.
 */
export async function adjustCounter(tx: Tx, ctx: Context, tenant: string, given: Adjustment): Promise<AdjustmentRow> {
  const nowMs = ctx.clock.now()
  const { budget, subject } = given
  const declared = await declaredOf(tx, tenant, [budget])
  const known = declared.get(budget)
  if (!known?.live) throw new Error(`there is no budget ${budget} to adjust`)
  const counter = { budget, subject, ...presentCounter(known.rule, nowMs) }
  const books = await openBooks(tx, tenant, [counter], { declared, names: [], nowMs })
  const row: AdjustmentRow = {
    ...{ ...counter, ...given, id: mintId('budgetAdjustment', nowMs), kind: 'MANUAL', atMs: nowMs, endedAtMs: null },
  }
  books.get(counterKey(counter))!.adjust(row)
  await writeChanges(tx, tenant, changesOf(books.values()))
  await askBack(tx, ctx, tenant, recallsOverdue(books.values()), fundsWaitMsMax)
  await ctx.db.notify(tx, 'funds', tenant)
  return row
}
