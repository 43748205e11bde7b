import { and, eq, sql } from 'drizzle-orm'
import type { Tx } from '../../db/database.ts'
import { instance as instanceTable } from '../../db/tables.ts'
import type { Context } from '../context.ts'
import { changesOf } from './book.ts'
import { counterKey, counterOf, type LeaseRow, leaseKey } from './rows.ts'
import { endRecovery } from './standing.ts'
import { declaredOf, leasesIn, openBooks, writeChanges } from './store.ts'

/**
 * Gives up what an instance holds, under one budget or under all of them: from now on it is presumed spent, until records or
 * returns say better. Answers the leases that were given up, with what was out of them. For a caller that locked the tenant's
 * row, or takes no lock after this.
 */
export async function writeOffLeases(
  tx: Tx,
  ctx: Context,
  tenant: string,
  { instance, budget }: { instance: string; budget?: string },
): Promise<LeaseRow[]> {
  const open = await leasesIn(
    tx,
    sql`select * from lease where tenant = ${tenant} and instance = ${instance} and epoch > 0 and written_off_at is null
      and granted > returned + posted ${budget === undefined ? sql`` : sql`and budget = ${budget}`}`,
  )
  const nowMs = ctx.clock.now()
  const declared = await declaredOf(
    tx,
    tenant,
    open.map((row) => row.budget),
  )
  const counters = new Map(open.map((row) => counterOf(row, undefined)).map((name) => [counterKey(name), name]))
  const books = await openBooks(tx, tenant, [...counters.values()], { declared, names: open, nowMs })
  for (const row of open) books.get(counterKey(counterOf(row, undefined)))!.writeOff(row)
  await writeChanges(tx, tenant, changesOf(books.values()))
  if (budget === undefined) await noteWrittenOff(tx, ctx, tenant, instance)
  const after = new Map([...books.values()].flatMap(({ leases }) => leases.map((row) => [leaseKey(row), { ...row }])))
  return open.flatMap((row) => after.get(leaseKey(row)) ?? []).filter(({ writtenOffAtMs }) => writtenOffAtMs !== null)
}

async function noteWrittenOff(tx: Tx, ctx: Context, tenant: string, instance: string): Promise<void> {
  await tx
    .update(instanceTable)
    .set({ writtenOffAt: new Date(ctx.clock.now()) })
    .where(and(eq(instanceTable.tenant, tenant), eq(instanceTable.id, instance)))
  if (await endRecovery(tx, tenant)) await ctx.db.notify(tx, 'funds', tenant)
}
