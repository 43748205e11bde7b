import { and, asc, eq, gt, inArray } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { instance, limitDeal, tenant as tenantTable } from '../db/tables.ts'
import { resourcesByIds } from './resources.ts'

export type DataPlaneState = 'ENROLLING' | 'CURRENT' | 'BEHIND' | 'UNREACHABLE' | 'OFFLINE' | 'RETIRED'

/** One process of a data plane. */
export interface Instance {
  id: string
  tenant: string
  dataPlane: string
  state: DataPlaneState
  host: string | null
  version: string | null
  epoch: number
  startedAt: Date
  lastSeenAt: Date | null
  activeRevision: number | null
  /** Number of the newest key delta it confirmed. */
  revocationNumber: number | null
  snapshotAgeMs: number | null
  clockOffsetMs: number | null
  recordsThrough: Date | null
  signingKey: string
  encryptionKey: string
}

export type InstanceRow = typeof instance.$inferSelect

/** An instance that was not heard for so long is unreachable: a heartbeat comes every 5 s. */
export const silentAfterMs = 20_000

export function stateOf(row: InstanceRow, desiredRevision: number, nowMs: number): DataPlaneState {
  if (row.retiredAt) return 'RETIRED'
  if (!row.startedAt) return 'ENROLLING'
  if (!row.connectedAt) return 'OFFLINE'
  if (!row.lastSeenAt || nowMs - row.lastSeenAt.getTime() > silentAfterMs) return 'UNREACHABLE'
  return row.activeRevision !== null && row.activeRevision >= desiredRevision ? 'CURRENT' : 'BEHIND'
}

export function instanceOf(row: InstanceRow, desiredRevision: number, nowMs: number): Instance {
  const { id, tenant, dataPlane, host, version, epoch, lastSeenAt, activeRevision, snapshotAgeMs } = row
  return {
    ...{ id, tenant, dataPlane, host, version, epoch, lastSeenAt, activeRevision, snapshotAgeMs },
    state: stateOf(row, desiredRevision, nowMs),
    startedAt: row.startedAt ?? row.enrolledAt,
    revocationNumber: row.deltaNumber,
    clockOffsetMs: row.clockOffsetMs,
    recordsThrough: row.recordsThrough,
    signingKey: row.signingKey,
    encryptionKey: row.encryptionKey,
  }
}

/** The revision that every plane of this tenant should run. */
export async function desiredRevisionOf(tx: Tx, tenant: string): Promise<number> {
  const [row] = await tx
    .select({ revision: tenantTable.configRevision })
    .from(tenantTable)
    .where(eq(tenantTable.id, tenant))
  return row?.revision ?? 0
}

/** In the order of ids, which is the order of enrolment. A filter by state looks at whole pages. */
export async function listInstances(
  tx: Tx,
  tenant: string,
  query: { dataPlane?: string | null; state?: DataPlaneState[] | null; first: number; after?: string | null },
  nowMs: number,
): Promise<{ rows: Instance[]; hasNext: boolean }> {
  const desired = await desiredRevisionOf(tx, tenant)
  const pageSize = 500
  const found: Instance[] = []
  for (let after = query.after; ; ) {
    const page = await tx
      .select()
      .from(instance)
      .where(
        and(
          eq(instance.tenant, tenant),
          query.dataPlane ? eq(instance.dataPlane, query.dataPlane) : undefined,
          after ? gt(instance.id, after) : undefined,
        ),
      )
      .orderBy(asc(instance.id))
      .limit(pageSize)
    const rows = page.map((row) => instanceOf(row, desired, nowMs))
    found.push(...rows.filter(({ state }) => !query.state || query.state.includes(state)))
    if (found.length > query.first || page.length < pageSize) break
    after = page.at(-1)!.id
  }
  return { rows: found.slice(0, query.first), hasNext: found.length > query.first }
}

/** In the order of `ids`. */
export async function instancesByIds(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
  nowMs: number,
): Promise<(Instance | undefined)[]> {
  if (ids.length === 0) return []
  const desired = await desiredRevisionOf(tx, tenant)
  const rows = await tx
    .select()
    .from(instance)
    .where(and(eq(instance.tenant, tenant), inArray(instance.id, [...ids])))
  const found = new Map(rows.map((row) => [row.id, instanceOf(row, desired, nowMs)]))
  return ids.map((id) => found.get(id))
}

export interface DataPlaneFacts {
  state: DataPlaneState
  desiredRevision: number
  /** The oldest revision that any of its connected instances runs. */
  activeRevision: number | null
  /** How its instances share what rate limits admit. */
  limitSharing: LimitSharing
}

export const limitSharings = ['SINGLE_PLANE', 'SHARED_STORE', 'SHARES'] as const
export type LimitSharing = (typeof limitSharings)[number]

/** In the order of `ids`. */
export async function dataPlaneFacts(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
  nowMs: number,
): Promise<DataPlaneFacts[]> {
  if (ids.length === 0) return []
  const desiredRevision = await desiredRevisionOf(tx, tenant)
  const planes = await resourcesByIds(tx, tenant, ids)
  const rows = await tx
    .select()
    .from(instance)
    .where(and(eq(instance.tenant, tenant), inArray(instance.dataPlane, [...ids])))
  const sharing = await countSharing(tx, tenant)
  return ids.map((id, index) => {
    const own = rows.filter(({ dataPlane }) => dataPlane === id)
    const states = own.map((row) => ({ row, state: stateOf(row, desiredRevision, nowMs) }))
    const connected = states.filter(({ state }) => state === 'CURRENT' || state === 'BEHIND')
    const active = connected.map(({ row }) => row.activeRevision ?? 0)
    return {
      state: planes[index]?.archivedAt ? 'RETIRED' : planeState(states.map(({ state }) => state)),
      desiredRevision,
      activeRevision: active.length > 0 ? Math.min(...active) : null,
      limitSharing: sharingOf(own, sharing),
    }
  })
}

/** Instances that have a part of the tenant's rate limits, of whichever plane. */
async function countSharing(tx: Tx, tenant: string): Promise<number> {
  const [row] = await tx.select({ target: limitDeal.target }).from(limitDeal).where(eq(limitDeal.tenant, tenant))
  return row?.target.length ?? 0
}

/** Connected instances that count in a store all do; where some do not, they have their shares beside it. */
function sharingOf(rows: InstanceRow[], sharing: number): LimitSharing {
  const counting = rows.filter(({ retiredAt, connectedAt, limitSharing }) => !retiredAt && connectedAt && limitSharing)
  if (counting.length > 0 && counting.every(({ limitSharing }) => limitSharing === 'SHARED_STORE'))
    return 'SHARED_STORE'
  return sharing > 1 ? 'SHARES' : 'SINGLE_PLANE'
}

/** Those that are connected speak for the plane; where none is, the worst of the others does. */
function planeState(states: DataPlaneState[]): DataPlaneState {
  const order: DataPlaneState[] = ['BEHIND', 'CURRENT', 'UNREACHABLE', 'OFFLINE']
  return order.find((state) => states.includes(state)) ?? 'ENROLLING'
}
