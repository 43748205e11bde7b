import { and, asc, count, eq, gt, isNull, lt } from 'drizzle-orm'
import { mintId } from '../../schema/ids.ts'
import { type ProviderFinding, providerCheckMsMax } from '../../schema/link.ts'
import type { Tx } from '../db/database.ts'
import { providerCheck } from '../db/tables.ts'
import type { Context } from './context.ts'

export type Check = typeof providerCheck.$inferSelect

/** Under way at once, of one tenant. */
export const checksMax = 8
/** Until a control plane has handed a check to a gateway; and from then on until the gateway has answered. */
const takeMsMax = 4_000
const findMsMax = providerCheckMsMax + 8_000
const lookAgainMs = 500
/** A row that its asker did not remove. */
const abandonedMs = 60_000

/** Notes a check and wakes the control planes; null where as many as may be are under way. */
export async function addCheck(
  tx: Tx,
  ctx: Context,
  tenant: string,
  asked: Pick<Check, 'provider' | 'credential' | 'dataPlane' | 'revision'>,
): Promise<Check | null> {
  const nowMs = ctx.clock.now()
  const own = eq(providerCheck.tenant, tenant)
  await tx.delete(providerCheck).where(and(own, lt(providerCheck.askedAt, new Date(nowMs - abandonedMs))))
  const [underWay] = await tx.select({ checks: count() }).from(providerCheck).where(own)
  if (underWay!.checks >= checksMax) return null
  const row = { ...asked, tenant, id: mintId('correlation', nowMs), askedAt: new Date(nowMs) }
  const [check] = await tx.insert(providerCheck).values(row).returning()
  await ctx.db.notify(tx, 'checks', tenant)
  return check!
}

/** A gateway with an open link here. */
export interface Able {
  instance: string
  dataPlane: string
}

/** Takes the checks that nobody has taken and one of these gateways can make; each is given to one of them. */
export async function takeChecks(ctx: Context, tenant: string, able: readonly Able[]): Promise<Check[]> {
  if (able.length === 0) return []
  return ctx.db.withTenant(tenant, async (tx) => {
    const since = new Date(ctx.clock.now() - takeMsMax)
    const untaken = and(isNull(providerCheck.instance), gt(providerCheck.askedAt, since))
    const waiting = await tx
      .select()
      .from(providerCheck)
      .where(and(eq(providerCheck.tenant, tenant), untaken))
      .orderBy(asc(providerCheck.id))
      .limit(checksMax)
      .for('update', { skipLocked: true })
    const taken: Check[] = []
    for (const check of waiting) {
      const fit = able.filter(({ dataPlane }) => check.dataPlane === null || check.dataPlane === dataPlane)
      const chosen = fit[Math.floor(Math.random() * fit.length)]
      if (!chosen) continue
      await tx.update(providerCheck).set(chosen).where(ofCheck(tenant, check.id))
      taken.push({ ...check, ...chosen })
    }
    return taken
  })
}

/** Keeps what a gateway found, for who asked: only from the one that was asked, and once. */
export async function noteFinding(
  ctx: Context,
  instance: string,
  { tenant, id, finding }: { tenant: string; id: string; finding: ProviderFinding },
): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    const asked = and(ofCheck(tenant, id), eq(providerCheck.instance, instance), isNull(providerCheck.finding))
    const noted = await tx.update(providerCheck).set({ finding }).where(asked).returning({ id: providerCheck.id })
    if (noted.length > 0) await ctx.db.notify(tx, 'checks', tenant)
  })
}

const ofCheck = (tenant: string, id: string) => and(eq(providerCheck.tenant, tenant), eq(providerCheck.id, id))

/** What came of a check, waiting until something did; its row is gone then. */
export async function awaitFinding(
  ctx: Context,
  tenant: string,
  id: string,
): Promise<{ finding: ProviderFinding; dataPlane: string | null } | 'UNTAKEN'> {
  let wake = () => {}
  const stop = await ctx.db.listen('checks', (of) => {
    if (of === tenant || of === '') wake()
  })
  try {
    const beganMs = performance.now()
    for (;;) {
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const [row] = await ctx.db.withTenant(tenant, (tx) => tx.select().from(providerCheck).where(ofCheck(tenant, id)))
      if (row?.finding) return { finding: row.finding as ProviderFinding, dataPlane: row.dataPlane }
      const waitedMs = performance.now() - beganMs
      if (!row?.instance && waitedMs > takeMsMax) return 'UNTAKEN'
      if (waitedMs > findMsMax) return { finding: silent, dataPlane: row?.dataPlane ?? null }
      await withinMs(woken, lookAgainMs)
    }
  } finally {
    await stop()
    await ctx.db.withTenant(tenant, (tx) => tx.delete(providerCheck).where(ofCheck(tenant, id)))
  }
}

const silent: ProviderFinding = {
  ...{ ok: false, status: null, latencyMs: null, models: [] },
  detail: 'The gateway that was asked did not say in time what it found; try again.',
}

function withinMs(event: Promise<void>, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeoutMs)
    void event.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
