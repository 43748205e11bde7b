import { and, eq, gt, lte, sql } from 'drizzle-orm'
import { parseAmount } from '../../schema/money.ts'
import type { Tx } from '../db/database.ts'
import { spendTick } from '../db/tables.ts'
import { floorTo, type Interval } from './intervals.ts'
import { type Dimensions, dimensionsOf, type Measures, measuresOf } from './measures.ts'
import type { RecordRow } from './records.ts'
import {
  type AliasNames,
  covers,
  type Grouping,
  groupsOf,
  type SpendFilter,
  type SpendGroup,
  type Sum,
  valuesOf,
} from './spend-groups.ts'
import { aliasNames, conditionsOf, type SumRow, sumOf, sumsFrom } from './spend-query.ts'
import { tooOld } from './stream-ended.ts'
import { logEnd, type RunRow, recordsBetween } from './tenant-reader.ts'

export interface TickArgs extends Grouping {
  interval: Interval
  filter?: SpendFilter | null
}

/** Where the one point of TOTAL stands in a tick, which knows no window. */
const totalAtMs = 0

/** What records add to a series, one by one. */
function sumsOf(records: RecordRow[], args: TickArgs, names: AliasNames): Sum[] {
  return records.flatMap(({ record }) => sumFor(dimensionsOf(record), record.at, measuresOf(record), args, names) ?? [])
}

/** What runs of the sequencer add to a series. */
export function sumsOfRuns(runs: RunRow[], args: TickArgs, names: AliasNames): Sum[] {
  return runs.flatMap((run) => {
    const measures = { ...run, cost: parseAmount(run.cost)! }
    return sumFor(run, run.at.getTime(), measures, args, names) ?? []
  })
}

function sumFor(
  dimensions: Dimensions,
  ms: number,
  measures: Measures,
  args: TickArgs,
  names: AliasNames,
): Sum | undefined {
  if (!covers(args.filter ?? {}, dimensions, names)) return undefined
  const atMs = args.interval === 'TOTAL' ? totalAtMs : floorTo(args.interval, ms)
  return { values: valuesOf(dimensions, args), atMs, measures }
}

/**
 * What the records `after` < number ≤ `last` add to a series, from the ticks that were kept. A tick tells of a whole run of the
 * sequencer; where `after` lies inside one, that run's later records are added up themselves. What is no longer kept ends the stream.
 */
export async function replaySpend(
  tx: Tx,
  tenant: string,
  args: TickArgs,
  after: number,
  last: number,
): Promise<SpendGroup[]> {
  const names = await aliasNames(tx, tenant)
  const [cut] = await tx
    .select({ number: spendTick.number })
    .from(spendTick)
    .where(and(eq(spendTick.tenant, tenant), gt(spendTick.number, after), lte(spendTick.first, after)))
    .limit(1)
  const start = Math.min(cut?.number ?? after, last)
  const partial = cut ? await recordsBetween(tx, tenant, after, start, recordsPerRunMax) : []
  const where = and(
    eq(spendTick.tenant, tenant),
    gt(spendTick.number, start),
    lte(spendTick.number, last),
    ...(await conditionsOf(tx, tenant, args.filter ?? {})),
  )
  const rows = (await tx.execute(sumsFrom(spendTick, args, where ?? sql`true`, totalAtMs))) as unknown as SumRow[]
  // Asked after the rows were read: whatever was dropped before that is told here.
  const { ticksPruned, recordsPruned } = await logEnd(tx, tenant)
  if (after < ticksPruned || (cut && after < recordsPruned)) throw tooOld()
  const keys = (args.groupBy?.length ?? 0) + (args.groupByLabels?.length ?? 0)
  return groupsOf([...rows.map((row) => sumOf(row, keys)), ...sumsOf(partial, args, names)], args, names)
}

/** More than one run of the sequencer takes. */
const recordsPerRunMax = 10_000
