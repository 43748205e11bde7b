import { and, eq, inArray, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { instance, tenant as tenantTable } from '../db/tables.ts'
import type { Context } from './context.ts'
import { type InstanceRow, silentAfterMs, stateOf } from './instances.ts'
import { beginRecovery } from './ledger/standing.ts'
import { emit } from './outbox.ts'

/** For so long a tenant that put a plane out still takes what that plane had recorded for it. */
const lastDeliveryMs = 24 * 3_600_000

/** One process, as the link knows it: with all the tenants that it serves. */
export interface LinkedInstance {
  id: string
  /** The same id in each tenant. */
  dataPlane: string
  epoch: number
  lastSeenAt: Date | null
  signingKey: string
  encryptionKey: string
  /** Tenants whose snapshots it is given; none = retired. */
  serves: string[]
  /** Tenants whose records are taken from it: these, and those that put it out less than a day ago. */
  recordsFor: string[]
}

/** One link of an instance. */
export interface LinkName {
  instance: string
  epoch: number
}

/** Across tenants: who a link says it is. */
export async function findInstance(ctx: Context, id: string): Promise<LinkedInstance | undefined> {
  const rows = await ctx.db.withInstallation((tx) => rowsOf(tx, eq(instance.id, id)))
  const [first] = rows
  if (!first) return undefined
  const { dataPlane, epoch, lastSeenAt, signingKey, encryptionKey } = first
  return {
    ...{ id, dataPlane, epoch, lastSeenAt, signingKey, encryptionKey },
    serves: rows.filter(({ retiredAt }) => !retiredAt).map(({ tenant }) => tenant),
    recordsFor: rows.filter((row) => takesRecords(row, ctx)).map(({ tenant }) => tenant),
  }
}

/** Who a batch of one tenant's records is of; undefined where the tenant takes none from it. */
export async function findSender(
  ctx: Context,
  id: string,
  tenant: string,
): Promise<Pick<LinkedInstance, 'id' | 'dataPlane' | 'epoch'> | undefined> {
  const [row] = await ctx.db.withTenant(tenant, (tx) =>
    rowsOf(tx, and(eq(instance.tenant, tenant), eq(instance.id, id))),
  )
  return row && takesRecords(row, ctx) ? { id, dataPlane: row.dataPlane, epoch: row.epoch } : undefined
}

const takesRecords = ({ retiredAt }: InstanceRow, { clock }: Context) =>
  !retiredAt || retiredAt.getTime() > clock.now() - lastDeliveryMs

/** In the order of tenants, those that it serves first: facts of the process itself are the same in each of these. */
async function rowsOf(tx: Tx, condition: SQL | undefined): Promise<InstanceRow[]> {
  return tx.select().from(instance).where(condition).orderBy(sql`${instance.retiredAt} is not null`, instance.tenant)
}

/**
 * A link opened: the next epoch of this instance, larger than every one before, also those that a database from a backup does not
 * know: that the instance was given one proves the restore. The old epoch's records are still taken.
 */
export async function openEpoch(
  ctx: Context,
  id: string,
  hello: { bootId: string; host: string; version: string; epoch?: number; can?: string[]; limitStore?: boolean },
): Promise<number> {
  return ctx.db.withInstallation(async (tx) => {
    const now = new Date(ctx.clock.now())
    const told = hello.epoch ?? 0
    const setBack = await rowsOf(tx, and(eq(instance.id, id), lt(instance.epoch, told)))
    // Every tenant's row counts on by one: they began together, and stay together.
    const rows = await tx
      .update(instance)
      .set({
        ...{ bootId: hello.bootId, host: hello.host, version: hello.version },
        ...{ startedAt: now, lastSeenAt: now, connectedAt: now, recordsThrough: null },
        epoch: sql`greatest(${instance.epoch}, ${told}::bigint) + 1`,
        limitSharing: hello.limitStore ? 'SHARED_STORE' : hello.can?.includes('shares') ? 'SHARES' : null,
      })
      .where(eq(instance.id, id))
      .returning()
    if (rows.length === 0) throw new Error(`there is no instance ${id}`)
    for (const { tenant } of setBack) {
      await beginRecovery(tx, tenant, ctx.clock.now())
      await ctx.db.notify(tx, 'planes', tenant)
    }
    await tellStates(tx, ctx, rows, () => true)
    return rows[0]!.epoch
  })
}

export interface Heartbeat {
  sentAtMs: number
  applied: {
    tenant: string
    revision: number
    deltaNumber: number
    snapshotAgeMs: number
    /** As below, of this tenant alone. */
    recordsThroughMs?: number | null
  }[]
  recordsThroughMs: number | null
}

const int4Max = 2_147_483_647

/** Notes a heartbeat; a change of state becomes an event. False where a newer link has taken this one's place. */
export async function seen(ctx: Context, link: LinkName, heartbeat: Heartbeat): Promise<boolean> {
  return ctx.db.withInstallation(async (tx) => {
    const before = await rowsOf(tx, eq(instance.id, link.instance))
    if (before.some(({ epoch }) => epoch !== link.epoch)) return false
    const nowMs = ctx.clock.now()
    const offsetMs = Math.round(heartbeat.sentAtMs - nowMs)
    await tx
      .update(instance)
      .set({
        lastSeenAt: new Date(nowMs),
        connectedAt: sql`coalesce(${instance.connectedAt}, ${new Date(nowMs).toISOString()}::timestamptz)`,
        clockOffsetMs: Math.max(-int4Max, Math.min(int4Max, offsetMs)),
        recordsThrough: throughOf(heartbeat.recordsThroughMs, heartbeat, nowMs),
      })
      .where(ofLink(link))
    await noteApplied(tx, link, heartbeat, nowMs)
    const after = await rowsOf(tx, ofLink(link))
    const revisions = new Map(before.map(({ tenant, activeRevision }) => [tenant, activeRevision]))
    await tellStates(tx, ctx, after, (row) => row.activeRevision !== revisions.get(row.tenant))
    return true
  })
}

const ofLink = ({ instance: id, epoch }: LinkName) => and(eq(instance.id, id), eq(instance.epoch, epoch))

/** Records carry the plane's clock, and so does this; but nothing is settled that lies in the future here. */
const throughOf = (throughMs: number | null | undefined, { sentAtMs }: Heartbeat, nowMs: number) =>
  new Date(Math.min(throughMs ?? sentAtMs, nowMs))

/** What each tenant's snapshot is there, in one statement whatever their number. */
async function noteApplied(tx: Tx, link: LinkName, heartbeat: Heartbeat, nowMs: number) {
  if (heartbeat.applied.length === 0) return
  const applied = heartbeat.applied.map(({ tenant, revision, deltaNumber, snapshotAgeMs, recordsThroughMs }) => ({
    ...{ tenant, revision, deltas: deltaNumber, age: snapshotAgeMs },
    through: recordsThroughMs === undefined ? null : throughOf(recordsThroughMs, heartbeat, nowMs),
  }))
  await tx.execute(sql`
    update ${instance} set active_revision = a.revision, delta_number = a.deltas, snapshot_age_ms = a.age,
      records_through = coalesce(a.through, records_through)
    from jsonb_to_recordset(${JSON.stringify(applied)}::jsonb)
      as a(tenant text, revision bigint, deltas bigint, age bigint, through timestamptz)
    where ${instance.tenant} = a.tenant and ${ofLink(link)}`)
}

/** Its link closed. A link that a newer one has taken the place of says nothing of the instance any more. */
export async function gone(ctx: Context, link: LinkName): Promise<void> {
  await ctx.db.withInstallation(async (tx) => {
    const rows = await tx.update(instance).set({ connectedAt: null }).where(ofLink(link)).returning()
    await tellStates(tx, ctx, rows, () => false)
  })
}

/** Tells of instances that have fallen silent: nothing arrives from them that could. Run every now and then. */
export async function tellSilent(ctx: Context): Promise<void> {
  await ctx.db.withInstallation(async (tx) => {
    const before = new Date(ctx.clock.now() - silentAfterMs)
    const silent = and(isNull(instance.retiredAt), isNotNull(instance.connectedAt), lt(instance.lastSeenAt, before))
    await tellStates(tx, ctx, await rowsOf(tx, silent), () => false)
  })
}

/** Each state that changed becomes an event of its tenant; where `anyway` says so, also one that did not. */
async function tellStates(tx: Tx, ctx: Context, rows: InstanceRow[], anyway: (row: InstanceRow) => boolean) {
  const nowMs = ctx.clock.now()
  const desired = await desiredRevisions(tx, rows)
  for (const row of rows) {
    const state = stateOf(row, desired.get(row.tenant) ?? 0, nowMs)
    if (state === row.toldState && !anyway(row)) continue
    await tx
      .update(instance)
      .set({ toldState: state })
      .where(and(eq(instance.tenant, row.tenant), eq(instance.id, row.id)))
    await emit(tx, row.tenant, nowMs, { kind: 'DATA_PLANE_CHANGED', dataPlane: row.dataPlane })
    await ctx.db.notify(tx, 'records', row.tenant)
  }
}

async function desiredRevisions(tx: Tx, rows: InstanceRow[]): Promise<Map<string, number>> {
  if (rows.length === 0) return new Map()
  const tenants = [...new Set(rows.map(({ tenant }) => tenant))]
  const found = await tx
    .select({ id: tenantTable.id, revision: tenantTable.configRevision })
    .from(tenantTable)
    .where(inArray(tenantTable.id, tenants))
  return new Map(found.map(({ id, revision }) => [id, revision]))
}
