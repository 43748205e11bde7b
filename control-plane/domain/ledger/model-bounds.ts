import { eq, sql } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import type { FlightRecord } from '../../../schema/flight-record.ts'
import type { Tx } from '../../db/database.ts'
import { modelBounds } from '../../db/tables.ts'
import { systemActor } from '../actor.ts'
import type { Context } from '../context.ts'
import { resourcesByIds } from '../resources.ts'
import { lockTenant } from '../tenant-lock.ts'
import { writeRevision } from '../write.ts'
import { leaseOf } from './postings.ts'
import { type LeaseName, leaseKey } from './rows.ts'
import { leasesNamed } from './store.ts'

/** Models of records that posted to a lease with an overrun are not believed any more until they are declared anew. */
export async function breakBounds(
  ctx: Context,
  tenant: string,
  leases: readonly LeaseName[],
  records: readonly FlightRecord[],
): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    await lockTenant(tx, tenant)
    const overrun = new Set((await leasesNamed(tx, tenant, leases)).filter((row) => row.overrun > 0n).map(leaseKey))
    const guilty = records.filter(({ instance, postings }) =>
      postings.some((posting) => overrun.has(leaseKey(leaseOf(instance, posting)))),
    )
    const shownBy = new Map(guilty.map(({ model, id }) => [model!, id]))
    const broken = await brokenModels(tx, tenant)
    const models = (await resourcesByIds(tx, tenant, [...shownBy.keys()].sort())).filter(
      (one): one is Resource<'model'> => one?.kind === 'model' && one.archivedAt === null && !isBroken(broken, one),
    )
    if (models.length > 0) await distrust(tx, ctx, tenant, models, shownBy)
  })
}

/** A revision of its own, so that every gateway hears of it at once. */
async function distrust(
  tx: Tx,
  ctx: Context,
  tenant: string,
  models: Resource<'model'>[],
  shownBy: ReadonlyMap<string, string>,
): Promise<void> {
  const at = new Date(ctx.clock.now())
  const rows = models.map(({ id, revision }) => ({ tenant, model: id, revision, at, record: shownBy.get(id)! }))
  const replaced = { revision: sql`excluded.revision`, at, record: sql`excluded.record` }
  await tx
    .insert(modelBounds)
    .values(rows)
    .onConflictDoUpdate({ target: [modelBounds.tenant, modelBounds.model], set: replaced })
  const targets = models.map(({ id, name }) => ({
    ...{ id, name },
    changes: [{ path: ['bounds', 'broken'], before: 'false', after: shownBy.get(id)! }],
  }))
  const reason =
    'It cost more than its bounds allow, beyond a limit. Raise its bounds: until it is declared anew they are not believed.'
  await writeRevision(tx, ctx, systemActor(tenant), [], { action: 'model.distrust', changes: [], targets, reason })
}

/** Models whose bounds were broken, with the revision of the model for which that holds. */
export async function brokenModels(tx: Tx, tenant: string): Promise<Map<string, number>> {
  const rows = await tx.select().from(modelBounds).where(eq(modelBounds.tenant, tenant))
  return new Map(rows.map(({ model, revision }) => [model, revision]))
}

/** Whether the model is still as it was when its bounds were broken. */
export const isBroken = (broken: ReadonlyMap<string, number>, { id, revision }: Pick<Resource, 'id' | 'revision'>) =>
  (broken.get(id) ?? -1) >= revision
