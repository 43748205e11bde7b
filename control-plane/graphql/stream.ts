import { StreamEnded } from '../domain/streams.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'

export const streamBounds = { perActorMax: 100, recheckMs: 15_000 }

const open = new Map<string, number>()

/** Streams open right now, of everyone; for the metrics. */
export function openStreams(): number {
  let sum = 0
  for (const count of open.values()) sum += count
  return sum
}

/**
 * A subscription's source. It ends at once when its reader goes, however long the next event would take, and with
 * NOT_PERMITTED soon after its actor may no longer follow it: a role that changed or a key that was revoked ends streams too.
 */
export function stream<Event>(
  ctx: GraphContext,
  mayFollow: (permissions: ReadonlySet<string>) => boolean,
  start: (signal: AbortSignal) => AsyncIterable<Event>,
): AsyncIterableIterator<Event> {
  const { id } = ctx.actor
  const streams = open.get(id) ?? 0
  if (streams >= streamBounds.perActorMax) throw requestError('TOO_MANY_STREAMS')
  open.set(id, streams + 1)

  const ended = new AbortController()
  let forbidden = false
  const source = start(ended.signal)[Symbol.asyncIterator]()
  const recheck = setInterval(async () => {
    const actor = await ctx.recheck().catch(() => ctx.actor)
    if (actor && mayFollow(actor.permissions)) return
    forbidden = true
    ended.abort()
  }, streamBounds.recheckMs)

  const close = () => {
    if (ended.signal.reason === closed) return
    clearInterval(recheck)
    ended.abort(closed)
    const left = (open.get(id) ?? 1) - 1
    if (left > 0) open.set(id, left)
    else open.delete(id)
  }

  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      try {
        const next = await source.next()
        if (forbidden) throw requestError('NOT_PERMITTED')
        if (next.done) close()
        return next
      } catch (error) {
        close()
        throw forbidden ? requestError('NOT_PERMITTED') : forReader(error)
      }
    },
    async return() {
      close()
      // Not awaited: a generator answers `return` only after the `next` it is busy with, which the signal ends.
      void Promise.resolve(source.return?.()).catch(() => {})
      return { done: true, value: undefined }
    },
  }
}

const closed = new Error('The reader left.')

function forReader(error: unknown): unknown {
  if (!(error instanceof StreamEnded)) return error
  if (error.code === 'NOT_PERMITTED') return requestError('NOT_PERMITTED', error.message)
  return requestError(error.code === 'TOO_SLOW' ? 'TOO_SLOW' : 'BAD_DOCUMENT', error.message)
}
