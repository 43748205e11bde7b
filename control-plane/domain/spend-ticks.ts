import { encodeCursor, logStart, type Position } from '../../schema/cursor.ts'
import type { Context } from './context.ts'
import { addMeasures } from './measures.ts'
import { type AliasNames, groupsOf, type SpendGroup, type Sum } from './spend-groups.ts'
import { replaySpend, sumsOf, type TickArgs } from './spend-replay.ts'
import { beyondTheLog, StreamEnded } from './stream-ended.ts'
import type { Readers, SpendTick, SpendTickArgs } from './streams.ts'
import type { Running } from './subscription.ts'
import type { Batch } from './tenant-reader.ts'

/** At most four ticks a second. */
const tickMs = 250
const quietMs = 15_000
/** Different points that may wait for a subscriber; a slower one has to begin again from its cursor. */
const waitingMax = 50_000

/** Increments after a cursor: the missed ones as one tick, then what comes, added up between two ticks. */
export async function* followSpend(
  ctx: Pick<Context, 'db' | 'clock'>,
  readers: Readers,
  tenant: string,
  args: SpendTickArgs,
  running: Running,
): AsyncGenerator<SpendTick, void> {
  const waiting = new WaitingSums(args)
  const { after, live, beyond, detach } = await readers.start(tenant, args.after, (start) => {
    waiting.begin(start.after)
    return (batch) => {
      waiting.add(batch)
      running.bell.ring()
    }
  })
  const tick = (position: Position, groups: SpendGroup[]): SpendTick => ({
    ...{ cursor: encodeCursor(position), groups },
    at: new Date(ctx.clock.now()),
  })
  try {
    if (beyond) throw beyondTheLog()
    if (after.number < live.number) {
      const replay = ctx.db.withTenant(tenant, (tx) => replaySpend(tx, tenant, args, after.number, live.number))
      yield tick(live, await replay)
    }
    let lastMs = performance.now()
    while (!running.ended) {
      await running.bell.wait(quietMs)
      await running.pause(tickMs - (performance.now() - lastMs))
      if (running.ended) return
      if (waiting.overflowed)
        throw new StreamEnded('TOO_SLOW', 'This subscriber is too slow; resume from its last cursor.')
      const { end, groups } = waiting.take()
      const quiet = performance.now() - lastMs >= quietMs
      if (groups.length === 0 && !quiet) continue
      lastMs = performance.now()
      yield tick(end, groups)
    }
  } finally {
    detach()
  }
}

/** Sums between two ticks: as many entries as there are groups and points, however many records came. */
class WaitingSums {
  readonly #args: TickArgs
  readonly #sums = new Map<string, Sum>()
  #names: AliasNames = new Map()
  #end: Position = logStart
  #after = logStart.number
  overflowed = false

  constructor(args: TickArgs) {
    this.#args = args
  }

  begin(after: Position) {
    this.#end = after
    this.#after = after.number
  }

  /** A cursor may be ahead of this process's reader: what it has already counted is left out. */
  add({ records, end, aliasNames }: Batch) {
    this.#names = aliasNames
    if (end.number >= this.#end.number) this.#end = end
    const fresh = records.filter(({ logIndex }) => logIndex! > this.#after)
    for (const sum of sumsOf(fresh, this.#args, aliasNames)) {
      const key = JSON.stringify([sum.values, sum.atMs])
      const known = this.#sums.get(key)
      if (known) addMeasures(known.measures, sum.measures)
      else if (this.#sums.size < waitingMax) this.#sums.set(key, sum)
      else this.overflowed = true
    }
  }

  take(): { end: Position; groups: SpendGroup[] } {
    const groups = groupsOf(this.#sums.values(), this.#args, this.#names)
    this.#sums.clear()
    return { end: this.#end, groups }
  }
}
