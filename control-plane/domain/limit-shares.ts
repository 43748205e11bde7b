import { and, asc, eq, gt, isNull } from 'drizzle-orm'
import { type Shares, silentPartMs } from '../../schema/link-shares.ts'
import type { Tx } from '../db/database.ts'
import { instance, limitDeal } from '../db/tables.ts'
import type { Context } from './context.ts'
import { type Deal, dealAgain, dealTaken, isSettled } from './limit-deals.ts'

/** Whom a deal is told to, by instance. */
export type Dealt = ReadonlyMap<string, Omit<Shares, 'type' | 'tenant'>>

/** Looks who is there, deals anew where that has changed, and answers what everybody has. */
export async function dealShares(ctx: Context, tenant: string): Promise<Dealt> {
  return changeDeal(ctx, tenant, (known) => known)
}

/** An instance says that a deal is in force there; or that it leaves, with all that it had. */
export async function sharesTaken(
  ctx: Context,
  id: string,
  { tenant, deal, leaving }: { tenant: string; deal: number; leaving: boolean },
): Promise<Dealt> {
  if (leaving)
    await ctx.db.withTenant(tenant, (tx) =>
      tx
        .update(instance)
        .set({ limitSharing: null })
        .where(and(eq(instance.tenant, tenant), eq(instance.id, id))),
    )
  return changeDeal(ctx, tenant, (known) => (known && !leaving ? dealTaken(known, id, deal) : known))
}

/** Under a lock, so that control planes deal one after the other. */
async function changeDeal(
  ctx: Context,
  tenant: string,
  change: (known: Deal | undefined) => Deal | undefined,
): Promise<Dealt> {
  return ctx.db.withTenant(tenant, async (tx) => {
    const known = await lockedDeal(tx, tenant)
    const there = await thereNow(tx, tenant, ctx.clock.now())
    const next = dealAgain(change(known), there)
    if (!known || !isSame(known, next)) {
      const row = { ...next, tenant, dealtAt: new Date(ctx.clock.now()) }
      await tx.insert(limitDeal).values(row).onConflictDoUpdate({ target: limitDeal.tenant, set: row })
      await ctx.db.notify(tx, 'shares', tenant)
    }
    return toldOf(next, there)
  })
}

async function lockedDeal(tx: Tx, tenant: string): Promise<Deal | undefined> {
  const nobody = { deal: 0, target: [], holders: [], waiting: [], fresh: true, dealtAt: new Date(0) }
  await tx
    .insert(limitDeal)
    .values({ tenant, ...nobody })
    .onConflictDoNothing()
  const [row] = await tx.select().from(limitDeal).where(eq(limitDeal.tenant, tenant)).for('update')
  if (!row || row.deal === 0) return undefined
  const { deal, target, holders, waiting, fresh } = row
  return { deal, target, holders, waiting, fresh }
}

/** Instances that count in their own memory, and were heard of lately. */
async function thereNow(tx: Tx, tenant: string, nowMs: number): Promise<string[]> {
  const rows = await tx
    .select({ id: instance.id })
    .from(instance)
    .where(
      and(
        eq(instance.tenant, tenant),
        isNull(instance.retiredAt),
        eq(instance.limitSharing, 'SHARES'),
        gt(instance.lastSeenAt, new Date(nowMs - silentPartMs)),
      ),
    )
    .orderBy(asc(instance.id))
  return rows.map(({ id }) => id)
}

function toldOf(deal: Deal, there: readonly string[]): Dealt {
  const { target, fresh } = deal
  const common = { deal: deal.deal, of: Math.max(1, target.length), settled: isSettled(deal), fresh }
  return new Map(
    there.map((id) => {
      const at = target.indexOf(id)
      return [id, { ...common, at: at < 0 ? null : at, holds: deal.holders.includes(id) }]
    }),
  )
}

const isSame = (one: Deal, other: Deal) =>
  one.deal === other.deal && one.waiting.length === other.waiting.length && one.holders.length === other.holders.length
