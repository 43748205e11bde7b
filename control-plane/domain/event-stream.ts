import { encodeCursor, isAfter, logStart, type Position } from '../../schema/cursor.ts'
import type { Context } from './context.ts'
import { StreamEnded } from './stream-ended.ts'
import type { Event, EventArgs, EventKind, Readers, Start } from './streams.ts'
import type { Running } from './subscription.ts'
import { eventsBetween, logEnd, type PlacedEvent } from './tenant-reader.ts'

const heartbeatMs = 15_000
const waitingMax = 1_000
const replayPage = 500

/** Every event after a cursor, in order; heartbeats in between carry the cursor on. */
export async function* followEvents(
  ctx: Pick<Context, 'db' | 'clock'>,
  readers: Readers,
  tenant: string,
  args: EventArgs,
  running: Running,
): AsyncGenerator<Event, void> {
  const wanted = (kind: EventKind) => !args.kinds || args.kinds.length === 0 || args.kinds.includes(kind)
  const waiting: PlacedEvent[] = []
  let end = logStart
  let overflowed = false
  const { after, live, beyond, detach } = await readers.start(tenant, args.after, 'events', (start) => {
    end = start.after
    return (batch) => {
      if (isAfter(batch.end, end)) end = batch.end
      for (const event of batch.events) {
        if (!wanted(event.body.kind) || !isAfter(event.position, start.after)) continue
        if (waiting.length < waitingMax) waiting.push(event)
        else overflowed = true
      }
      running.bell.ring()
    }
  })
  try {
    const reset = await resetFor(ctx, tenant, { after, live, beyond })
    if (reset) yield reset
    else yield* replay(ctx, tenant, after, live, wanted, running)
    while (!running.ended) {
      if (overflowed) throw new StreamEnded('TOO_SLOW', 'This subscriber is too slow; resume from its last cursor.')
      const next = waiting.shift()
      if (next) {
        yield eventOf(next)
        continue
      }
      const since = performance.now()
      await running.bell.wait(heartbeatMs)
      const quiet = waiting.length === 0 && performance.now() - since >= heartbeatMs
      if (!running.ended && quiet && wanted('HEARTBEAT')) yield heartbeat(ctx, end)
    }
  } finally {
    detach()
  }
}

const heartbeat = ({ clock }: Pick<Context, 'clock'>, position: Position): Event => ({
  kind: 'HEARTBEAT',
  cursor: encodeCursor(position),
  at: new Date(clock.now()),
})

/** A cursor from before what is kept, or from beyond the log's end, cannot be resumed: the stream goes on from now. */
async function resetFor(
  ctx: Pick<Context, 'db' | 'clock'>,
  tenant: string,
  { after, live, beyond }: Pick<Start, 'after' | 'live' | 'beyond'>,
): Promise<Event | undefined> {
  const { eventsPruned } = await ctx.db.withTenant(tenant, (tx) => logEnd(tx, tenant))
  if (!beyond && after.number >= eventsPruned) return undefined
  return {
    kind: 'STREAM_RESET',
    cursor: encodeCursor(live),
    at: new Date(ctx.clock.now()),
    oldest: encodeCursor({ number: eventsPruned, sub: 0 }),
  }
}

async function* replay(
  ctx: Pick<Context, 'db'>,
  tenant: string,
  after: Position,
  last: Position,
  wanted: (kind: EventKind) => boolean,
  running: Running,
): AsyncGenerator<Event, void> {
  for (let from = after; isAfter(last, from) && !running.ended; ) {
    const page = await ctx.db.withTenant(tenant, (tx) => eventsBetween(tx, tenant, from, last, replayPage))
    for (const event of page) if (wanted(event.body.kind)) yield eventOf(event)
    from = page.length < replayPage ? last : page.at(-1)!.position
  }
}

function eventOf({ position, at, body }: PlacedEvent): Event {
  return { cursor: encodeCursor(position), at, ...body }
}
