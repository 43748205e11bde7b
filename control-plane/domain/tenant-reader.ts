import { and, asc, desc, eq, gt, lte, or } from 'drizzle-orm'
import { comparePositions, type Position } from '../../schema/cursor.ts'
import type { Tx } from '../db/database.ts'
import { flightRecord, logState, outboxEvent, spendTick } from '../db/tables.ts'
import type { Context } from './context.ts'
import type { OutboxBody } from './outbox.ts'
import { type RecordRow, rowOf } from './records.ts'
import { recordsPerRun } from './sequencer.ts'
import type { AliasNames } from './spend-groups.ts'
import { aliasNames } from './spend-query.ts'

export interface PlacedEvent {
  position: Position
  at: Date
  body: OutboxBody
}

/** What a listener follows. What nobody follows is not read. */
export type Part = 'records' | 'runs' | 'events'

/** What the log gained: everything after the batch before, up to and with `end`. Parts that nobody follows are empty. */
export interface Batch {
  end: Position
  records: RecordRow[]
  /** What the sequencer's runs added to spending, by minute and tuple. `end` never lies between records of one run. */
  runs: RunRow[]
  events: PlacedEvent[]
  aliasNames: AliasNames
}

export type RunRow = typeof spendTick.$inferSelect

/** More than one run of the sequencer, so that a batch can always end with a whole one. */
const recordsPerBatch = 2 * recordsPerRun
const runRowsPerBatch = 5_000
const eventsPerBatch = 2_000

/**
 * Follows one tenant's log for every subscriber of this process: the tables are read once, whatever the number of subscribers.
 * Attaching is one step with reading `position`, so nothing falls between what is replayed and what comes live.
 */
export class TenantReader {
  readonly #db: Context['db']
  readonly tenant: string
  readonly #listeners = new Map<(batch: Batch) => void, Part>()
  position: Position
  #running: Promise<void> | undefined
  #again = false

  constructor(db: Context['db'], tenant: string, position: Position) {
    this.#db = db
    this.tenant = tenant
    this.position = position
  }

  attach(part: Part, listener: (batch: Batch) => void): () => void {
    this.#listeners.set(listener, part)
    return () => this.#listeners.delete(listener)
  }

  get idle(): boolean {
    return this.#listeners.size === 0
  }

  /** Something may be new. Faults are left to the next wake-up: the tables keep what was not read. */
  wake(): void {
    this.#again = true
    this.#running ??= this.#follow()
  }

  async stop(): Promise<void> {
    this.#listeners.clear()
    this.#again = false
    await this.#running
  }

  async #follow() {
    while (this.#again && !this.idle) {
      this.#again = false
      const parts = new Set(this.#listeners.values())
      const batch = await this.#db
        .withTenant(this.tenant, (tx) => readBatch(tx, this.tenant, this.position, parts), { isolation: 'SNAPSHOT' })
        .catch(() => undefined)
      if (!batch || comparePositions(batch.end, this.position) <= 0) continue
      this.#again = true
      // Somebody came meanwhile who follows what was not read: once more, for all.
      if ([...this.#listeners.values()].some((part) => !parts.has(part))) continue
      this.position = batch.end
      for (const listener of this.#listeners.keys()) listener(batch)
    }
    // In the same step as the check above: a wake-up in between would be lost.
    this.#running = undefined
  }
}

export interface LogEnd extends Position {
  /** Up to which number each is no longer kept; -1 = all of it is. */
  eventsPruned: number
  recordsPruned: number
  ticksPruned: number
}

/** Where a tenant's log ends now, and from where on it is kept. */
export async function logEnd(tx: Tx, tenant: string): Promise<LogEnd> {
  const [row] = await tx.select().from(logState).where(eq(logState.tenant, tenant))
  const { eventsPruned = -1, recordsPruned = -1, ticksPruned = -1 } = row ?? {}
  return { number: row?.lastNumber ?? -1, sub: row?.lastSub ?? 0, eventsPruned, recordsPruned, ticksPruned }
}

async function readBatch(
  tx: Tx,
  tenant: string,
  after: Position,
  parts: ReadonlySet<Part>,
): Promise<Batch | undefined> {
  const { number, sub } = await logEnd(tx, tenant)
  let end: Position = { number, sub }
  if (comparePositions(end, after) <= 0) return undefined
  const records = parts.has('records')
    ? await recordsBetween(tx, tenant, after.number, end.number, recordsPerBatch)
    : []
  if (records.length === recordsPerBatch) end = await wholeRun(tx, tenant, records.at(-1)!.logIndex!, end)
  const runs = parts.has('runs') ? await runsBetween(tx, tenant, after.number, end.number) : []
  if (runs.length === runRowsPerBatch) end = { number: wholeRuns(runs).at(-1)!.number, sub: 0 }
  const events = parts.has('events') ? await eventsBetween(tx, tenant, after, end, eventsPerBatch) : []
  if (events.length === eventsPerBatch) end = events.at(-1)!.position
  return {
    end,
    records: records.filter(({ logIndex }) => logIndex! <= end.number),
    runs: runs.filter((run) => run.number <= end.number),
    events,
    aliasNames: runs.length > 0 ? await aliasNames(tx, tenant) : new Map(),
  }
}

/** The last end of a run that is not later than a number. */
async function wholeRun(tx: Tx, tenant: string, last: number, end: Position): Promise<Position> {
  const [run] = await tx
    .select({ number: spendTick.number })
    .from(spendTick)
    .where(and(eq(spendTick.tenant, tenant), lte(spendTick.number, last)))
    .orderBy(desc(spendTick.number))
    .limit(1)
  return run && run.number < end.number ? { number: run.number, sub: 0 } : end
}

async function runsBetween(tx: Tx, tenant: string, after: number, last: number): Promise<RunRow[]> {
  return tx
    .select()
    .from(spendTick)
    .where(and(eq(spendTick.tenant, tenant), gt(spendTick.number, after), lte(spendTick.number, last)))
    .orderBy(asc(spendTick.number))
    .limit(runRowsPerBatch)
}

/** Without the last run, which may have been cut; a single one is never larger than a batch. */
function wholeRuns(rows: RunRow[]): RunRow[] {
  const whole = rows.filter(({ number }) => number < rows.at(-1)!.number)
  return whole.length > 0 ? whole : rows
}

/** Records with `after` < number ≤ `last`, in order. */
export async function recordsBetween(
  tx: Tx,
  tenant: string,
  after: number,
  last: number,
  most: number,
): Promise<RecordRow[]> {
  const rows = await tx
    .select()
    .from(flightRecord)
    .where(and(eq(flightRecord.tenant, tenant), gt(flightRecord.number, after), lte(flightRecord.number, last)))
    .orderBy(asc(flightRecord.number))
    .limit(most)
  return rows.map(rowOf)
}

/** Events behind `after`, up to and with `last`, in order. */
export async function eventsBetween(
  tx: Tx,
  tenant: string,
  after: Position,
  last: Position,
  most: number,
): Promise<PlacedEvent[]> {
  const { number, sub } = outboxEvent
  const rows = await tx
    .select()
    .from(outboxEvent)
    .where(
      and(
        eq(outboxEvent.tenant, tenant),
        or(gt(number, after.number), and(eq(number, after.number), gt(sub, after.sub))),
        or(lte(number, last.number - 1), and(eq(number, last.number), lte(sub, last.sub))),
      ),
    )
    .orderBy(asc(number), asc(sub))
    .limit(most)
  return rows.map((row) => ({
    position: { number: row.number!, sub: row.sub! },
    at: row.at,
    body: row.body as OutboxBody,
  }))
}
