import { and, eq, inArray, isNull } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { enrolmentToken, instance } from '../db/tables.ts'
import type { Context } from './context.ts'
import { revokeSecrets } from './key-secrets.ts'
import type { Draft } from './plan.ts'

/** What goes with a key or a data plane that is archived: its secrets, its enrolment tokens and its instances. */
export async function retireIssued(tx: Tx, ctx: Context, tenant: string, drafts: Draft[]): Promise<void> {
  const leaving = drafts.filter(({ after }) => after.archivedAt).map(({ after }) => after)
  for (const one of leaving) if (one.kind === 'apiKey') await revokeSecrets(tx, ctx, tenant, one)
  const planes = leaving.flatMap((one) => (one.kind === 'dataPlane' ? [one.id] : []))
  if (planes.length === 0) return
  await tx
    .delete(enrolmentToken)
    .where(and(eq(enrolmentToken.tenant, tenant), inArray(enrolmentToken.dataPlane, planes)))
  await tx
    .update(instance)
    .set({ retiredAt: new Date(ctx.clock.now()) })
    .where(and(eq(instance.tenant, tenant), inArray(instance.dataPlane, planes), isNull(instance.retiredAt)))
  await ctx.db.notify(tx, 'planes', tenant)
}
