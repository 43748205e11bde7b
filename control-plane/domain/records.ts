import { and, desc, eq, gte, inArray, lt, or, type SQL, sql } from 'drizzle-orm'
import type { FlightRecord, Outcome } from '../../schema/flight-record.ts'
import type { Tx } from '../db/database.ts'
import { flightRecord } from '../db/tables.ts'

export interface RecordRow {
  record: FlightRecord
  /** Hash over the canonical text. */
  hash: string
  /** Number in the tenant's log; null until it is there. */
  logIndex: number | null
}

/** Ids, all of them: resolve Refs before. */
export interface FlightFilter {
  at?: { from?: Date | null; to?: Date | null } | null
  team?: string[] | null
  project?: string[] | null
  principal?: string[] | null
  apiKey?: string[] | null
  provider?: string[] | null
  model?: string[] | null
  /** Names as they were asked for. */
  alias?: string[] | null
  tier?: string[] | null
  dataPlane?: string[] | null
  outcome?: Outcome[] | null
  refusal?: string[] | null
  requestId?: string[] | null
  traceId?: string[] | null
  requestLabels?: Record<string, string> | null
}

/** Fields whose values in a filter are alternatives, with the record's field of the same meaning. */
const listed = {
  team: 'team',
  project: 'project',
  principal: 'principal',
  apiKey: 'apiKey',
  provider: 'provider',
  model: 'model',
  alias: 'alias',
  tier: 'tier',
  dataPlane: 'dataPlane',
  outcome: 'outcome',
  refusal: 'refusal',
  requestId: 'id',
  traceId: 'traceId',
} as const
const listedNames = Object.keys(listed) as (keyof typeof listed)[]

export function rowOf({ body, hash, number }: typeof flightRecord.$inferSelect): RecordRow {
  return { record: JSON.parse(body) as FlightRecord, hash, logIndex: number }
}

/** Newest first; `after` is time and id of the last row of the page before. */
export async function listRecords(
  tx: Tx,
  tenant: string,
  query: { filter?: FlightFilter | null; first: number; after?: { at: Date; id: string } | null },
): Promise<{ rows: RecordRow[]; hasNext: boolean }> {
  const { filter, first, after } = query
  const rows = await tx
    .select()
    .from(flightRecord)
    .where(and(eq(flightRecord.tenant, tenant), ...conditionsOf(filter ?? {}), after ? before(after) : undefined))
    .orderBy(desc(flightRecord.at), desc(flightRecord.id))
    .limit(first + 1)
  return { rows: rows.slice(0, first).map(rowOf), hasNext: rows.length > first }
}

const before = ({ at, id }: { at: Date; id: string }) =>
  or(lt(flightRecord.at, at), and(eq(flightRecord.at, at), lt(flightRecord.id, id)))

function conditionsOf(filter: FlightFilter): (SQL | undefined)[] {
  const { at, requestLabels } = filter
  return [
    at?.from ? gte(flightRecord.at, at.from) : undefined,
    at?.to ? lt(flightRecord.at, at.to) : undefined,
    requestLabels ? sql`${flightRecord.requestLabels} @> ${JSON.stringify(requestLabels)}::jsonb` : undefined,
    ...listedNames.map((name) => {
      const values = filter[name]
      if (!values) return undefined
      return values.length === 0 ? sql`false` : inArray(flightRecord[listed[name]], values as string[])
    }),
  ]
}

/** The same filter for a record that is in memory already: live streams must choose as queries do. */
export function matches(filter: FlightFilter, record: FlightRecord): boolean {
  const { at, requestLabels } = filter
  if (at?.from && record.at < at.from.getTime()) return false
  if (at?.to && record.at >= at.to.getTime()) return false
  if (requestLabels && Object.entries(requestLabels).some(([key, value]) => record.requestLabels[key] !== value))
    return false
  return listedNames.every((name) => {
    const values = filter[name] as string[] | null | undefined
    const value = record[listed[name]]
    return !values || (value !== null && values.includes(value))
  })
}

export async function findRecord(tx: Tx, tenant: string, id: string): Promise<RecordRow | undefined> {
  const [row] = await tx
    .select()
    .from(flightRecord)
    .where(and(eq(flightRecord.tenant, tenant), eq(flightRecord.id, id)))
    .limit(1)
  return row && rowOf(row)
}
