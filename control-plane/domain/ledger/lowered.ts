import { sql } from 'drizzle-orm'
import { fundsWaitMsMax } from '../../../schema/link-lease.ts'
import { formatAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
import { everyIdOf } from '../resources.ts'
import { changesOf } from './book.ts'
import { presentCounter } from './counter.ts'
import { recallsFrom } from './decide.ts'
import { askBack } from './recalls.ts'
import type { CounterName } from './rows.ts'
import { declaredOf, openBooks, writeChanges } from './store.ts'

/** Asks for money back where more is out than the limit, which may just have been lowered, allows. */
export async function recallLowered(ctx: Context, tenant: string): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    const nowMs = ctx.clock.now()
    const all = await declaredOf(tx, tenant, await everyIdOf(tx, tenant, ['budget']))
    const guarded = [...all.values()].filter((budget) => budget.guarded)
    const windows = guarded.map(({ id, limit, rule }) => ({
      ...{ budget: id, limit: formatAmount(limit), ...presentCounter(rule, nowMs) },
    }))
    const counters = windows.length > 0 ? await exceeded(tx, tenant, windows) : []
    const books = await openBooks(tx, tenant, counters, { declared: all, names: [], nowMs })
    await writeChanges(tx, tenant, changesOf(books.values()))
    const recalls = [...books.values()].flatMap((book) => recallsFrom(book, -book.available))
    await askBack(tx, ctx, tenant, recalls, fundsWaitMsMax)
  })
}

const countersMax = 1_000

async function exceeded(
  tx: Tx,
  tenant: string,
  windows: { budget: string; limit: string; from: number; to: number }[],
): Promise<CounterName[]> {
  const rows = await tx.execute(sql`
    select c.budget, c.subject, n."from", n."to"
    from jsonb_to_recordset(${JSON.stringify(windows)}::jsonb) as n(budget text, "limit" numeric, "from" bigint, "to" bigint)
    join budget_counter c on c.tenant = ${tenant} and c.budget = n.budget and c.window_from = n."from" and c.window_to = n."to"
    where c.committed > n."limit" + c.adjustments
    limit ${countersMax}`)
  return (rows as unknown as Record<string, string>[]).map(({ budget, subject, from, to }) => ({
    ...{ budget: budget!, subject: subject!, from: Number(from), to: Number(to) },
  }))
}
