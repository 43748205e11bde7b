import { comparePositions, encodeCursor, logStart } from '../../schema/cursor.ts'
import type { Context } from './context.ts'
import { type FlightFilter, matches, type RecordRow } from './records.ts'
import { beyondTheLog, tooOld } from './stream-ended.ts'
import type { FlightArgs, FlightTick, Readers } from './streams.ts'
import type { Running } from './subscription.ts'
import { logEnd, recordsBetween } from './tenant-reader.ts'

const tickMs = 250
const quietMs = 15_000
/** Records in one tick, and that may wait for a subscriber; beyond that the newest are skipped and counted. */
const recordsPerTick = 200
const replayPage = 500

/** Records as they finish, in the order of the log. The replay of what was missed leaves nothing out; live it is sampled. */
export async function* followRecords(
  ctx: Pick<Context, 'db'>,
  readers: Readers,
  tenant: string,
  args: FlightArgs,
  running: Running,
): AsyncGenerator<FlightTick, void> {
  const filter: FlightFilter = args.filter ?? {}
  let waiting: RecordRow[] = []
  let skipped = 0
  let end = logStart
  const { after, live, beyond, detach } = await readers.start(tenant, args.after, 'records', (start) => {
    end = start.after
    return (batch) => {
      if (comparePositions(batch.end, end) > 0) end = batch.end
      for (const row of batch.records) {
        if (row.logIndex! <= start.after.number || !matches(filter, row.record)) continue
        if (waiting.length < recordsPerTick) waiting.push(row)
        else skipped += 1
      }
      running.bell.ring()
    }
  })
  try {
    if (beyond) throw beyondTheLog()
    yield* replay(ctx, tenant, filter, after.number, live.number, running)
    let lastMs = performance.now()
    while (!running.ended) {
      await running.bell.wait(quietMs)
      if (running.ended) return
      const quiet = performance.now() - lastMs >= quietMs
      if (waiting.length === 0 && skipped === 0 && !quiet) continue
      const tick = { cursor: encodeCursor(end), records: waiting, skipped }
      waiting = []
      skipped = 0
      lastMs = performance.now()
      yield tick
      await running.pause(tickMs)
    }
  } finally {
    detach()
  }
}

async function* replay(
  ctx: Pick<Context, 'db'>,
  tenant: string,
  filter: FlightFilter,
  after: number,
  last: number,
  running: Running,
): AsyncGenerator<FlightTick, void> {
  for (let from = after; from < last && !running.ended; ) {
    const page = await ctx.db.withTenant(tenant, async (tx) => {
      const rows = await recordsBetween(tx, tenant, from, last, replayPage)
      // Asked after the rows were read: whatever was dropped before that is told here.
      if (from < (await logEnd(tx, tenant)).recordsPruned) throw tooOld()
      return rows
    })
    from = page.length < replayPage ? last : page.at(-1)!.logIndex!
    const records = page.filter(({ record }) => matches(filter, record))
    for (let at = 0; at < records.length; at += recordsPerTick) {
      const some = records.slice(at, at + recordsPerTick)
      const whole = at + recordsPerTick >= records.length
      const number = whole ? from : some.at(-1)!.logIndex!
      yield { cursor: encodeCursor({ number, sub: 0 }), records: some, skipped: 0 }
    }
  }
}
