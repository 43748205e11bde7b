import { and, eq, gt, gte, inArray, isNull, lte, sql } from 'drizzle-orm'
import type { AlertTrigger, Resource } from '../../../schema/config/index.ts'
import { budgetTriggers } from '../../../schema/config/index.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { flightRecord, instance, resource, snapshot, spendRollup, spendTick } from '../../db/tables.ts'
import { desiredRevisionOf, type InstanceRow, stateOf } from '../instances.ts'
import type { Dimensions } from '../measures.ts'
import { liveResources } from '../resources.ts'
import { standingsOf } from './balances.ts'
import { hourSlices, minuteSlices } from './burn-rate.ts'
import { isWithin, treeOf } from './coverage.ts'
import { forecastOf } from './forecast-facts.ts'
import type { Facts, SpentSlice } from './judge.ts'

type Rule = Resource<'alertRule'>

/** What the judgement of these rules needs, and nothing else is read. */
export async function gatherFacts(tx: Tx, tenant: string, rules: readonly Rule[], nowMs: number): Promise<Facts> {
  const wanted = new Set(rules.map(({ spec }) => spec.on))
  const asks = (...some: AlertTrigger[]) => some.some((trigger) => wanted.has(trigger))
  const ofBudgets = rules.filter(({ spec }) => budgetTriggers.has(spec.on))
  const budgets = ofBudgets.length > 0 ? await liveResources(tx, tenant, ['budget']) : []
  const keys = asks('API_KEY_EXPIRING') ? await expiringKeys(tx, tenant, nowMs) : []
  const tree = treeOf(await scopesOf(tx, tenant, budgets, keys))
  const covered = budgets.filter((one) => ofBudgets.some((rule) => isWithin(rule.spec.scope, one.spec.scope, tree)))
  const standings = await standingsOf(tx, tenant, covered, nowMs)
  return {
    ...{ nowMs, standings, tree },
    forecasts: asks('BUDGET_FORECAST') ? await forecastsOf(tx, tenant, standings, nowMs) : new Map(),
    minute: asks('BURN_RATE') ? await lastMinute(tx, tenant, nowMs) : [],
    hour: asks('BURN_RATE', 'ERROR_RATE') ? await lastHour(tx, tenant, nowMs) : [],
    refused: asks('BUDGET_EXHAUSTED') ? await refusedLately(tx, tenant, nowMs) : [],
    planes: asks('DATA_PLANE_BEHIND') ? await planesOf(tx, tenant, nowMs) : [],
    keys: keys.map(({ id, name, spec }) => ({ id, name, expiresAtMs: Date.parse(spec.expiresAt!) })),
  }
}

/** Parents of the scopes that are spoken of; keys only where a budget or an expiry is of one. */
async function scopesOf(tx: Tx, tenant: string, budgets: Resource<'budget'>[], keys: Resource<'apiKey'>[]) {
  if (budgets.length + keys.length === 0) return []
  const named = [...new Set(budgets.map(({ spec }) => spec.scope))]
  const some = await liveResources(tx, tenant, ['project', 'model'])
  if (!named.some((scope) => scope.startsWith('key_'))) return [...some, ...keys]
  const rows = await tx
    .select()
    .from(resource)
    .where(and(eq(resource.tenant, tenant), inArray(resource.id, named), eq(resource.kind, 'apiKey')))
  return [...some, ...keys, ...(rows as unknown as Resource<'apiKey'>[])]
}

async function forecastsOf(tx: Tx, tenant: string, standings: Facts['standings'], nowMs: number) {
  const found: [
    Facts['standings'][number],
    { forecast: Awaited<ReturnType<typeof forecastOf>>['forecast']; knownHours: number },
  ][] = []
  for (const standing of standings.slice(0, forecastsMax)) {
    const { forecast, knownHours } = await forecastOf(tx, tenant, standing, nowMs)
    if (forecast) found.push([standing, { forecast, knownHours }])
  }
  return new Map(found) as Facts['forecasts']
}

/** A round reads the history of so many counters at most. */
const forecastsMax = 500
const minuteMs = 60_000
const hourMs = 3_600_000

const dimensionColumns = (table: typeof spendRollup | typeof spendTick) => ({
  ...{ team: table.team, project: table.project, principal: table.principal, apiKey: table.apiKey },
  ...{ provider: table.provider, model: table.model, alias: table.alias, tier: table.tier },
  ...{ dataPlane: table.dataPlane, requestLabels: table.requestLabels },
})

const sums = (table: typeof spendRollup | typeof spendTick) => ({
  cost: sql<string>`sum(${table.cost})`,
  requests: sql`sum(${table.requests})`.mapWith(Number),
  failed: sql`sum(${table.failed})`.mapWith(Number),
})

/** By when it became known here: what a gateway reports late counts as now. */
async function lastMinute(tx: Tx, tenant: string, nowMs: number): Promise<SpentSlice[]> {
  const slice = sliceOf(sql`${spendTick.writtenAt}`, nowMs, minuteMs / minuteSlices)
  const columns = dimensionColumns(spendTick)
  const rows = await tx
    .select({ slice, ...columns, ...sums(spendTick) })
    .from(spendTick)
    .where(
      and(
        eq(spendTick.tenant, tenant),
        gt(spendTick.writtenAt, new Date(nowMs - minuteMs)),
        lte(spendTick.writtenAt, new Date(nowMs)),
      ),
    )
    .groupBy(sql`1`, ...Object.values(columns))
  return rows.map(slicedOf)
}

async function lastHour(tx: Tx, tenant: string, nowMs: number): Promise<SpentSlice[]> {
  const slice = sliceOf(sql`${spendRollup.at}`, nowMs, hourMs / hourSlices)
  const columns = dimensionColumns(spendRollup)
  const rows = await tx
    .select({ slice, ...columns, ...sums(spendRollup) })
    .from(spendRollup)
    .where(
      and(
        eq(spendRollup.tenant, tenant),
        eq(spendRollup.interval, 'MINUTE'),
        gt(spendRollup.at, new Date(nowMs - hourMs)),
        lte(spendRollup.at, new Date(nowMs)),
      ),
    )
    .groupBy(sql`1`, ...Object.values(columns))
  return rows.map(slicedOf)
}

const sliceOf = (at: ReturnType<typeof sql>, nowMs: number, lengthMs: number) =>
  sql`floor((${nowMs}::bigint - extract(epoch from ${at}) * 1000) / ${lengthMs}::int)`.mapWith(Number)

interface SlicedRow extends Dimensions {
  slice: number
  cost: string
  requests: number
  failed: number
}

function slicedOf({ slice, cost, requests, failed, ...spent }: SlicedRow): SpentSlice {
  return { slice, cost: parseAmount(cost)!, requests, failed, spent }
}

const refusedMax = 200

async function refusedLately(tx: Tx, tenant: string, nowMs: number): Promise<Dimensions[]> {
  const columns = {
    ...{ team: flightRecord.team, project: flightRecord.project, principal: flightRecord.principal },
    ...{ apiKey: flightRecord.apiKey, provider: flightRecord.provider, model: flightRecord.model },
    ...{ alias: flightRecord.aliasId, tier: flightRecord.tier, dataPlane: flightRecord.dataPlane },
    requestLabels: flightRecord.requestLabels,
  }
  const rows = await tx
    .selectDistinct(columns)
    .from(flightRecord)
    .where(
      and(
        eq(flightRecord.tenant, tenant),
        eq(flightRecord.refusal, 'budget_exhausted'),
        gte(flightRecord.at, new Date(nowMs - minuteMs)),
      ),
    )
    .limit(refusedMax)
  return rows.map(({ requestLabels, ...plain }) => ({
    ...(Object.fromEntries(Object.entries(plain).map(([key, id]) => [key, id ?? ''])) as Omit<
      Dimensions,
      'requestLabels'
    >),
    requestLabels,
  }))
}

/** Since when a data plane lacks the newest configuration, or was not heard at all. */
async function planesOf(tx: Tx, tenant: string, nowMs: number): Promise<Facts['planes']> {
  const planes = await liveResources(tx, tenant, ['dataPlane'])
  const desired = await desiredRevisionOf(tx, tenant)
  const rows = await tx
    .select()
    .from(instance)
    .where(and(eq(instance.tenant, tenant), isNull(instance.retiredAt)))
  const oldest = rows.reduce((least, row) => Math.min(least, row.activeRevision ?? desired), desired)
  const compiled = await tx
    .select({ revision: snapshot.revision, at: snapshot.createdAt })
    .from(snapshot)
    .where(and(eq(snapshot.tenant, tenant), gt(snapshot.revision, oldest)))
  const offeredMs = (active: number) =>
    compiled.reduce((first, { revision, at }) => (revision > active ? Math.min(first, at.getTime()) : first), nowMs)
  const byPlane = Map.groupBy(rows, ({ dataPlane }) => dataPlane)
  return planes.map(({ id, name }) => ({
    ...{ id, name },
    behindSinceMs: behindSince(byPlane.get(id) ?? [], desired, nowMs, offeredMs),
  }))
}

function behindSince(
  rows: readonly InstanceRow[],
  desired: number,
  nowMs: number,
  offeredMs: (active: number) => number,
): number | null {
  const started = rows.filter(({ startedAt }) => startedAt)
  const states = started.map((row) => ({ row, state: stateOf(row, desired, nowMs) }))
  if (states.length === 0) return null
  const connected = states.filter(({ state }) => state === 'CURRENT' || state === 'BEHIND')
  if (connected.length === 0)
    return Math.max(...started.map(({ lastSeenAt, startedAt }) => (lastSeenAt ?? startedAt!).getTime()))
  const behind = connected
    .filter(({ state }) => state === 'BEHIND')
    .map(({ row }) => offeredMs(row.activeRevision ?? 0))
  return behind.length === 0 ? null : Math.min(...behind)
}

const keysMax = 1_000
/** The longest that a threshold may ask. */
const aheadMsMax = 3_650 * 86_400_000

async function expiringKeys(tx: Tx, tenant: string, nowMs: number): Promise<Resource<'apiKey'>[]> {
  const end = sql`${resource.spec} ->> 'expiresAt'`
  const rows = await tx
    .select()
    .from(resource)
    .where(
      and(
        eq(resource.tenant, tenant),
        eq(resource.kind, 'apiKey'),
        isNull(resource.archivedAt),
        sql`${end} > ${new Date(nowMs).toISOString()}`,
        sql`${end} <= ${new Date(nowMs + aheadMsMax).toISOString()}`,
        sql`exists (select 1 from api_key_secret as secret where secret.tenant = ${resource.tenant}
          and secret.api_key = ${resource.id} and secret.revoked_at is null)`,
      ),
    )
    .orderBy(end)
    .limit(keysMax)
  return rows as unknown as Resource<'apiKey'>[]
}
