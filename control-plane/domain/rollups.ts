import { and, eq, inArray, sql } from 'drizzle-orm'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import type { Tx } from '../db/database.ts'
import { spendRollup, spendTick } from '../db/tables.ts'
import {
  addMeasures,
  type Dimensions,
  dimensionsOf,
  emptyHistogram,
  latencyBucket,
  type Measures,
  measuresOf,
  noMeasures,
  tupleOf,
} from './measures.ts'
import { chunks } from './resources.ts'

type RollupInterval = 'MINUTE' | 'HOUR' | 'DAY'

const lengthMs: Record<RollupInterval, number> = { MINUTE: 60_000, HOUR: 3_600_000, DAY: 86_400_000 }
const rowsPerStatement = 500

interface Cell {
  interval: RollupInterval
  at: Date
  tuple: string
  dimensions: Dimensions
  measures: Measures
  latency: number[]
}

/**
 * Adds newly numbered records to the rollups and writes what was added as ticks, in the transaction that numbers them: who
 * reads rollups and the log's end in one moment has exactly the records up to there. The caller holds the log's lock.
 */
export async function addToRollups(
  tx: Tx,
  tenant: string,
  records: FlightRecord[],
  numbers: { first: number; last: number; at: Date },
): Promise<void> {
  const cells = cellsOf(records)
  for (const interval of ['MINUTE', 'HOUR', 'DAY'] as const) {
    const some = cells.filter((cell) => cell.interval === interval)
    for (const chunk of chunks(some, rowsPerStatement)) await mergeCells(tx, tenant, interval, chunk)
  }
  const minutes = cells.filter(({ interval }) => interval === 'MINUTE')
  for (const chunk of chunks(minutes, rowsPerStatement)) {
    const place = { tenant, number: numbers.last, first: numbers.first, writtenAt: numbers.at }
    await tx.insert(spendTick).values(chunk.map((cell) => ({ ...place, ...columnsOf(cell) })))
  }
}

function cellsOf(records: FlightRecord[]): Cell[] {
  const cells = new Map<string, Cell>()
  for (const record of records) {
    const dimensions = dimensionsOf(record)
    const tuple = tupleOf(dimensions)
    const measures = measuresOf(record)
    for (const interval of ['MINUTE', 'HOUR', 'DAY'] as const) {
      const startMs = Math.floor(record.at / lengthMs[interval]) * lengthMs[interval]
      const key = `${interval} ${startMs} ${tuple}`
      let cell = cells.get(key)
      if (!cell) {
        const empty = { measures: noMeasures(), latency: emptyHistogram() }
        cell = { interval, at: new Date(startMs), tuple, dimensions, ...empty }
        cells.set(key, cell)
      }
      addMeasures(cell.measures, measures)
      cell.latency[latencyBucket(record.timing.totalMs)]! += 1
    }
  }
  return [...cells.values()]
}

const columnsOf = ({ at, tuple, dimensions, measures, latency }: Cell) => ({
  ...{ at, tuple, ...dimensions, ...measures, latency },
  cost: formatAmount(measures.cost),
})

/** Read, add, write: under the log's lock nobody else writes rollups of this tenant. */
async function mergeCells(tx: Tx, tenant: string, interval: RollupInterval, cells: Cell[]) {
  const stored = await tx
    .select()
    .from(spendRollup)
    .where(
      and(
        eq(spendRollup.tenant, tenant),
        eq(spendRollup.interval, interval),
        inArray(
          spendRollup.at,
          [...new Set(cells.map(({ at }) => at.getTime()))].map((ms) => new Date(ms)),
        ),
        inArray(spendRollup.tuple, [...new Set(cells.map(({ tuple }) => tuple))]),
      ),
    )
  const before = new Map(stored.map((row) => [`${row.at.getTime()} ${row.tuple}`, row]))
  const sums = cells.map((cell) => {
    const row = before.get(`${cell.at.getTime()} ${cell.tuple}`)
    if (!row) return cell
    // The cell itself is also the tick: it stays the increment.
    const measures = { ...cell.measures }
    addMeasures(measures, { ...row, cost: parseAmount(row.cost)! })
    return { ...cell, measures, latency: cell.latency.map((count, bucket) => count + (row.latency[bucket] ?? 0)) }
  })
  await tx
    .insert(spendRollup)
    .values(sums.map((cell) => ({ tenant, interval, ...columnsOf(cell) })))
    .onConflictDoUpdate({
      target: [spendRollup.tenant, spendRollup.interval, spendRollup.at, spendRollup.tuple],
      set: replaced as never,
    })
}

const summed = [
  'cost',
  'requests',
  'refused',
  'failed',
  'tokens',
  'inputTokens',
  'cachedInputTokens',
  'outputTokens',
  'latency',
] as const
const replaced = Object.fromEntries(summed.map((key) => [key, sql.raw(`excluded."${spendRollup[key].name}"`)]))
