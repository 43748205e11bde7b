import { encodeCursor, type Position } from '../../schema/cursor.ts'
import type { Context } from './context.ts'
import type { SharedTick, SpendFeeds } from './spend-feed.ts'
import type { SpendGroup } from './spend-groups.ts'
import { replaySpend } from './spend-replay.ts'
import { beyondTheLog, StreamEnded } from './stream-ended.ts'
import type { SpendTick, SpendTickArgs } from './streams.ts'
import type { Running } from './subscription.ts'

/** Ticks that may wait for a subscriber; a slower one begins again from its cursor, and gets what it missed as one. */
const waitingMax = 64
const idleMs = 60_000

/** Increments after a cursor: the missed ones as one tick, then those that everybody gets who follows the same series. */
export async function* followSpend(
  ctx: Pick<Context, 'db' | 'clock'>,
  feeds: SpendFeeds,
  tenant: string,
  args: SpendTickArgs,
  running: Running,
): AsyncGenerator<SpendTick, void> {
  const waiting: SharedTick[] = []
  let overflowed = false
  const { after, position, beyond, detach } = await feeds.join(tenant, args, args.after, (tick) => {
    if (tick === 'OVERFLOWED' || waiting.length >= waitingMax) overflowed = true
    else waiting.push(tick)
    running.bell.ring()
  })
  const replayed = async (from: Position, to: Position): Promise<SpendTick> => {
    const replay = (tx: Parameters<typeof replaySpend>[0]) => replaySpend(tx, tenant, args, from.number, to.number)
    const groups: SpendGroup[] = await ctx.db.withTenant(tenant, replay)
    return { cursor: encodeCursor(to), at: new Date(ctx.clock.now()), groups }
  }
  try {
    if (beyond) throw beyondTheLog()
    if (after.number < position.number) yield await replayed(after, position)
    while (!running.ended) {
      if (overflowed) throw new StreamEnded('TOO_SLOW', 'This subscriber is too slow; resume from its last cursor.')
      const next = waiting.shift()
      if (!next) await running.bell.wait(idleMs)
      // A cursor may be ahead of this process: what it counted already is left out.
      else if (next.start.number >= after.number) yield next.tick
      else if (next.end.number > after.number) yield await replayed(after, next.end)
    }
  } finally {
    detach()
  }
}
