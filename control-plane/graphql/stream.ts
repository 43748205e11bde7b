import { accountable } from '../domain/actor.ts'
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

function enter(actor: string): void {
  const streams = open.get(actor) ?? 0
  if (streams >= streamBounds.perActorMax) throw requestError('TOO_MANY_STREAMS')
  open.set(actor, streams + 1)
}

function leave(actor: string): void {
  const left = (open.get(actor) ?? 1) - 1
  if (left > 0) open.set(actor, left)
  else open.delete(actor)
}

type MayFollow = (permissions: ReadonlySet<string>) => boolean

/**
 * A subscription's source. It ends at once when its reader goes, however long the next event would take, and with
 * NOT_PERMITTED soon after its actor may no longer follow it: a role that changed or a key that was revoked ends streams too.
 */
export function stream<Event>(
  ctx: GraphContext,
  mayFollow: MayFollow,
  start: (signal: AbortSignal) => AsyncIterable<Event>,
): AsyncIterableIterator<Event> {
  enter(accountable(ctx.actor).id)
  return new Guarded(ctx, mayFollow, start)
}

class Guarded<Event> implements AsyncIterableIterator<Event> {
  readonly #ended = new AbortController()
  readonly #source: AsyncIterator<Event>
  readonly #recheck: ReturnType<typeof setInterval>
  #forbidden = false
  #giveUp = () => {}

  constructor(
    readonly ctx: GraphContext,
    readonly mayFollow: MayFollow,
    start: (signal: AbortSignal) => AsyncIterable<Event>,
  ) {
    this.#source = start(this.#ended.signal)[Symbol.asyncIterator]()
    this.#recheck = setInterval(() => void this.#lookAgain(), streamBounds.recheckMs)
  }

  [Symbol.asyncIterator]() {
    return this
  }

  async next(): Promise<IteratorResult<Event>> {
    try {
      const next = await this.#nextOrEnd()
      if (next.done) this.#close()
      if (this.#forbidden) throw requestError('NOT_PERMITTED')
      return next
    } catch (error) {
      this.#close()
      throw forReader(error)
    }
  }

  async return(): Promise<IteratorResult<Event>> {
    this.#close()
    // Not awaited: a generator answers `return` only after the `next` it is busy with, which the signal ends.
    void Promise.resolve(this.#source.return?.()).catch(() => {})
    return { done: true, value: undefined }
  }

  /** No source can keep a reader that has gone: its end comes as soon as the stream is closed. */
  #nextOrEnd(): Promise<IteratorResult<Event>> {
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve({ done: true, value: undefined })
      if (this.#ended.signal.aborted) this.#giveUp()
      else this.#source.next().then(resolve, reject)
    })
  }

  /** While nobody can say whether the actor is still good, the stream goes on. */
  async #lookAgain(): Promise<void> {
    const actor = await this.ctx.recheck().catch(() => this.ctx.actor)
    if (actor && this.mayFollow(actor.permissions)) return
    this.#forbidden = true
    this.#close()
  }

  #close(): void {
    if (this.#ended.signal.aborted) return
    clearInterval(this.#recheck)
    this.#ended.abort()
    this.#giveUp()
    leave(accountable(this.ctx.actor).id)
  }
}

function forReader(error: unknown): unknown {
  if (!(error instanceof StreamEnded)) return error
  return requestError(error.code === 'MALFORMED_CURSOR' ? 'BAD_DOCUMENT' : error.code, error.message)
}
