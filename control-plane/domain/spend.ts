import { and, eq, gte, isNull, lt, or, type SQL, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { encodeCursor } from '../../schema/cursor.ts'
import type { Tx } from '../db/database.ts'
import { flightRecord, instance, spendRollup } from '../db/tables.ts'
import { stateOf } from './instances.ts'
import { ceilTo, coverOf, floorTo, type Interval } from './intervals.ts'
import { liveResources, resourcesByIds } from './resources.ts'
import { foldRest, type Grouping, groupsOf, type SpendFilter, type SpendGroup } from './spend-groups.ts'
import { aliasNames, conditionsOf, type SumRow, sumOf, sumsFrom } from './spend-query.ts'

export type { Interval } from './intervals.ts'
export type { SpendDimension, SpendFilter, SpendGroup, SpendKey, SpendPoint } from './spend-groups.ts'
export { spendDimensions } from './spend-groups.ts'

export interface SpendArgs extends Grouping {
  /** Half-open; rounded outwards to whole intervals (whole minutes for TOTAL). `to` absent = now on. */
  window: { from?: Date | null; to?: Date | null }
  interval: Interval
  filter?: SpendFilter | null
  /** The largest groups; the rest is folded into one whose key values are `other`. Null = every group. */
  top?: number | null
}

export interface SpendSeries {
  window: { from: Date; to: Date }
  interval: Interval
  currency: string
  groups: SpendGroup[]
  /** The same however it is grouped. */
  total: bigint
  settledThrough: Date
  /** Ids of data planes that are not waited for. */
  pending: string[]
  cursor: string
}

/** Planes whose clocks run ahead, and intervals that have only begun: without an end, the window reaches past now. */
const aheadMs = 3_600_000

/** Rollups and the cursor they stand at, read in one statement: add the ticks after `cursor` and nothing is missed or counted twice. */
export async function spend(tx: Tx, tenant: string, args: SpendArgs, nowMs: number): Promise<SpendSeries> {
  const { interval, window } = args
  const fromMs = floorTo(interval, window.from?.getTime() ?? 0)
  const toMs = ceilTo(interval, window.to?.getTime() ?? nowMs + aheadMs)
  // Read before the sums: what arrives in between is in the sums, and settled too early is never said.
  const settled = await settlement(tx, tenant, nowMs)
  const where = and(
    eq(spendRollup.tenant, tenant),
    coveredBy(interval, fromMs, toMs),
    ...(await conditionsOf(tx, tenant, args.filter ?? {})),
  )
  const rows = (await tx.execute(sql`
    select log_state.last_number, log_state.last_sub, sums.*
    from log_state left join (${sumsFrom(spendRollup, args, where, fromMs)}) as sums on true
    where log_state.tenant = ${tenant}`)) as unknown as (SumRow & { last_number: string; last_sub: string })[]
  const keys = (args.groupBy?.length ?? 0) + (args.groupByLabels?.length ?? 0)
  const sums = rows.filter(({ bucket }) => bucket !== null).map((row) => sumOf(row, keys))
  const names = args.groupBy?.includes('ALIAS') ? await aliasNames(tx, tenant) : new Map<string, string>()
  const groups = groupsOf(sums, args, names)
  const [own] = await resourcesByIds(tx, tenant, [tenant])
  const end = rows[0]
  return {
    window: { from: new Date(fromMs), to: new Date(toMs) },
    interval,
    currency: (own as Resource<'tenant'>).spec.currency,
    groups: foldRest(groups, args.top),
    total: groups.reduce((sum, group) => sum + group.total, 0n),
    ...settled,
    cursor: encodeCursor({ number: Number(end?.last_number ?? -1), sub: Number(end?.last_sub ?? 0) }),
  }
}

function coveredBy(interval: Interval, fromMs: number, toMs: number): SQL | undefined {
  const spans = coverOf(interval, fromMs, toMs).map((span) =>
    and(
      eq(spendRollup.interval, span.interval),
      gte(spendRollup.at, new Date(span.fromMs)),
      lt(spendRollup.at, new Date(span.toMs)),
    ),
  )
  return spans.length > 0 ? or(...spans) : sql`false`
}

/** For so long a plane that went away is still waited for in words: its journal may hold records. */
const rememberedMs = 24 * 3_600_000

/** Up to when every connected plane has delivered everything, and that is numbered; and which planes are not connected. */
async function settlement(tx: Tx, tenant: string, nowMs: number): Promise<{ settledThrough: Date; pending: string[] }> {
  const rows = await tx
    .select()
    .from(instance)
    .where(and(eq(instance.tenant, tenant), isNull(instance.retiredAt)))
  const [waiting] = await tx
    .select({ at: sql<string | null>`min(${flightRecord.at})` })
    .from(flightRecord)
    .where(and(eq(flightRecord.tenant, tenant), isNull(flightRecord.number)))
  const bounds = [nowMs, ...(waiting?.at ? [Date.parse(waiting.at)] : [])]
  const pending = new Set<string>()
  for (const row of rows) {
    const state = stateOf(row, 0, nowMs)
    const seenMs = row.lastSeenAt?.getTime() ?? row.enrolledAt.getTime()
    if (state === 'UNREACHABLE' || (state === 'OFFLINE' && nowMs - seenMs < rememberedMs)) pending.add(row.dataPlane)
    else if (row.connectedAt) bounds.push(row.recordsThrough?.getTime() ?? row.connectedAt.getTime())
  }
  const planes = await liveResources(tx, tenant, ['dataPlane'])
  for (const { id, spec } of planes) if (spec.adapter === 'AIR_GAPPED') pending.add(id)
  return { settledThrough: new Date(Math.min(...bounds)), pending: [...pending].sort() }
}
