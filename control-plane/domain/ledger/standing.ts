import { eq, sql } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import type { Tx } from '../../db/database.ts'
import { ledgerRecovery } from '../../db/tables.ts'
import type { Context } from '../context.ts'
import type { LinkName } from '../plane-links.ts'
import { fillSpec } from '../resources.ts'
import type { Standing } from './decide.ts'
import type { Declared } from './rows.ts'
import { declaredAs, isTrue } from './store.ts'

/** What is known of an instance beside its leases, and of budgets, read at once; undefined where the tenant has no such instance. */
export async function standingOf(
  tx: Tx,
  tenant: string,
  instance: string,
  budgets: readonly string[],
): Promise<{ standing: Standing; declared: Map<string, Declared> } | undefined> {
  const ids = JSON.stringify([...new Set(budgets)])
  const rows = await tx.execute(sql`
    select epoch,
      exists(select from chain_head h where h.tenant = i.tenant and h.instance = i.id and h.forked) as forked,
      exists(select from ledger_recovery r where r.tenant = i.tenant) as recovering,
      (select jsonb_agg(jsonb_build_object('id', b.id, 'spec', b.spec, 'archived', b.archived_at is not null)) from resource b
        where b.tenant = i.tenant and b.kind = 'budget' and b.id in (select jsonb_array_elements_text(${ids}::jsonb)))::text as budgets
    from instance i where tenant = ${tenant} and id = ${instance}`)
  const [row] = rows as unknown as Record<string, unknown>[]
  if (!row) return undefined
  const found = JSON.parse((row.budgets as string | null) ?? '[]') as { id: string; spec: object; archived: boolean }[]
  const declared = found.map(({ id, spec, archived }) => {
    const filled = fillSpec('budget', spec as Record<string, unknown>)
    return declaredAs({ id, spec: filled, archivedAt: archived ? new Date(0) : null } as unknown as Resource<'budget'>)
  })
  return {
    standing: { newestEpoch: Number(row.epoch), forked: isTrue(row.forked), recovering: isTrue(row.recovering) },
    declared: new Map(declared.map((budget) => [budget.id, budget])),
  }
}

/** Whether an instance has not yet said, on its newest link, what it holds; one that never did is not waited for. */
export async function isUnheard(tx: Tx, tenant: string, instance: string): Promise<boolean> {
  const rows = await tx.execute(sql`
    select from instance where tenant = ${tenant} and id = ${instance} and leases_reported_at < started_at`)
  return (rows as unknown as unknown[]).length > 0
}

export async function isRecovering(tx: Tx, tenant: string): Promise<boolean> {
  const rows = await tx.select().from(ledgerRecovery).where(eq(ledgerRecovery.tenant, tenant))
  return rows.length > 0
}

/** These books came from a backup: from now on nothing is granted until every instance has said what it holds. */
export async function beginRecovery(tx: Tx, tenant: string, nowMs: number): Promise<void> {
  const since = new Date(nowMs)
  await tx.insert(ledgerRecovery).values({ tenant, since }).onConflictDoNothing({ target: ledgerRecovery.tenant })
}

/**
 * Whether a link began before these books were found to be from a backup: its plane says what it holds at the beginning of a
 * link, so it has to come anew.
 */
export async function mustReport(ctx: Context, { instance, epoch }: LinkName): Promise<boolean> {
  const rows = await ctx.db.withInstallation((tx) =>
    tx.execute(sql`
      select from instance i join ledger_recovery r on r.tenant = i.tenant
      where i.id = ${instance} and i.epoch = ${epoch} and i.retired_at is null and i.started_at < r.since
        and coalesce(i.leases_reported_at < r.since, true)`),
  )
  return (rows as unknown as unknown[]).length > 0
}

/** A plane that runs a revision which is not there yet proves that these books were set back. */
export async function noteHeld(ctx: Context, held: readonly { tenant: string; sequence: number }[]): Promise<void> {
  if (held.length === 0) return
  await ctx.db.withInstallation(async (tx) => {
    const rows = await tx.execute(sql`
      select t.id from jsonb_to_recordset(${JSON.stringify(held.map(({ tenant, sequence }) => ({ tenant, sequence })))}::jsonb)
        as h(tenant text, sequence bigint)
      join tenant t on t.id = h.tenant and t.config_revision < h.sequence`)
    for (const { id } of rows as unknown as { id: string }[]) {
      await beginRecovery(tx, id, ctx.clock.now())
      await ctx.db.notify(tx, 'planes', id)
    }
  })
}

/** Notes that an instance has said of every lease what it holds. */
export async function noteWhole(tx: Tx, tenant: string, instance: string, nowMs: number): Promise<void> {
  await tx.execute(sql`
    update instance set leases_reported_at = ${new Date(nowMs).toISOString()}::timestamptz
    where tenant = ${tenant} and id = ${instance}`)
}

/** Ends a recovery once nobody is left who has neither reported since it began nor was written off. */
export async function endRecovery(tx: Tx, tenant: string): Promise<boolean> {
  const ended = await tx
    .delete(ledgerRecovery)
    .where(
      sql`${eq(ledgerRecovery.tenant, tenant)} and not exists (
        select from instance where instance.tenant = ${tenant} and retired_at is null
          and coalesce(leases_reported_at < ${ledgerRecovery.since}, true)
          and coalesce(written_off_at < ${ledgerRecovery.since}, true))`,
    )
    .returning()
  return ended.length > 0
}
