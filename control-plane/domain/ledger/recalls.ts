import { inArray, sql } from 'drizzle-orm'
import { fundsWaitMsMax, leasesPerMessageMax } from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { leaseRecall } from '../../db/tables.ts'
import type { Context } from '../context.ts'
import type { Recall } from './decide.ts'

/** What an instance is to be asked back for. */
export interface RecallAsk extends Recall {
  forMs: number
}

/** Leaves recalls for the control planes that hold the instances' links, and wakes them. */
export async function askBack(
  tx: Tx,
  ctx: Context,
  tenant: string,
  recalls: readonly Recall[],
  forMs: number,
): Promise<void> {
  if (recalls.length === 0) return
  const untilAt = new Date(ctx.clock.now() + Math.min(forMs, fundsWaitMsMax))
  const rows = recalls.map(({ instance, budget, subject, amount }) => ({
    ...{ tenant, instance, budget, subject, untilAt, amount: formatAmount(amount) },
  }))
  await tx.insert(leaseRecall).values(rows)
  await ctx.db.notify(tx, 'recalls', tenant)
}

/** Takes what these instances are to be asked back for: each recall is taken once, by who holds the link. */
export async function takeRecalls(
  ctx: Context,
  tenant: string,
  instances: readonly string[],
): Promise<{ instance: string; budget: string; subject: string | null; amount: string; forMs: number }[]> {
  if (instances.length === 0) return []
  const nowMs = ctx.clock.now()
  const rows = await ctx.db.withTenant(tenant, (tx) =>
    tx
      .delete(leaseRecall)
      .where(
        sql`(${leaseRecall.tenant}, ${leaseRecall.id}) in (select tenant, id from ${leaseRecall}
          where ${leaseRecall.tenant} = ${tenant} and ${inArray(leaseRecall.instance, [...instances])}
          order by id limit ${leasesPerMessageMax} for update skip locked)`,
      )
      .returning(),
  )
  return rows.map(({ instance, budget, subject, amount, untilAt }) => ({
    ...{ instance, budget, subject: subject === '' ? null : subject, amount: shortAmount(amount) },
    forMs: Math.max(0, Math.min(fundsWaitMsMax, untilAt.getTime() - nowMs)),
  }))
}

/** PostgreSQL fills a numeric with zeros. */
const shortAmount = (text: string) => formatAmount(parseAmount(text)!)
