import type { FlightRecord, Outcome } from '../../schema/flight-record.ts'
import type { Tx } from '../db/database.ts'

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

/** Newest first; `after` is time and id of the last row of the page before. */
export async function listRecords(
  tx: Tx,
  tenant: string,
  query: { filter?: FlightFilter | null; first: number; after?: { at: Date; id: string } | null },
): Promise<{ rows: RecordRow[]; hasNext: boolean }> {
  void tx, tenant, query
  throw new Error('not built yet')
}

export async function findRecord(tx: Tx, tenant: string, id: string): Promise<RecordRow | undefined> {
  void tx, tenant, id
  throw new Error('not built yet')
}
