import { afterEach, describe, expect, it } from 'vitest'
import type { Actor } from '../domain/actor.ts'
import { StreamEnded } from '../domain/streams.ts'
import type { GraphContext } from './context.ts'
import { openStreams, stream, streamBounds } from './stream.ts'

const given = { ...streamBounds }
afterEach(() => Object.assign(streamBounds, given))

const actorWith = (...permissions: string[]) =>
  ({ id: 'key_1', kind: 'API_KEY', permissions: new Set(permissions) }) as unknown as Actor

const contextOf = (recheck: () => Promise<Actor | undefined> = async () => actorWith('event:read')) =>
  ({ actor: actorWith('event:read'), recheck }) as unknown as GraphContext

const mayFollow = (held: ReadonlySet<string>) => held.has('event:read')

/** Says nothing until its signal fires. */
async function* silent(signal: AbortSignal): AsyncGenerator<number> {
  yield* []
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}

const code = (error: { extensions: { code: string } }) => error.extensions.code

describe('a subscription', () => {
  it('ends at once when its reader goes, even while nothing happens', async () => {
    const source = stream(contextOf(), mayFollow, silent)
    const waiting = source.next()
    expect(openStreams()).toBe(1)
    await source.return!()
    expect(await waiting).toMatchObject({ done: true })
    expect(openStreams()).toBe(0)
  })

  it('ends soon after its key is revoked or its role is taken away', async () => {
    streamBounds.recheckMs = 10
    for (const now of [undefined, actorWith('spend:read')]) {
      const source = stream(
        contextOf(async () => now),
        mayFollow,
        silent,
      )
      expect(await source.next().catch(code)).toBe('NOT_PERMITTED')
      expect(openStreams()).toBe(0)
    }
  })

  it('goes on while nobody can say whether its key is still good', async () => {
    streamBounds.recheckMs = 5
    const failing = async () => {
      throw new Error('The database does not answer.')
    }
    const source = stream(contextOf(failing), mayFollow, async function* (signal) {
      await new Promise((resolve) => setTimeout(resolve, 40))
      if (!signal.aborted) yield 1
    })
    expect(await source.next()).toEqual({ done: false, value: 1 })
    await source.return!()
  })

  it('tells why it cannot go on', async () => {
    const ended = async function* (): AsyncGenerator<number> {
      yield* []
      throw new StreamEnded('TOO_SLOW', 'Read faster.')
    }
    const error = await stream(contextOf(), mayFollow, ended)
      .next()
      .catch((caught) => caught)
    expect([code(error), error.message]).toEqual(['TOO_SLOW', 'Read faster.'])
    expect(openStreams()).toBe(0)
  })

  it('is one of at most so many of one actor', async () => {
    streamBounds.perActorMax = 2
    const open = [stream(contextOf(), mayFollow, silent), stream(contextOf(), mayFollow, silent)]
    expect(() => stream(contextOf(), mayFollow, silent)).toThrow('Too many streams')
    for (const source of open) await source.return!()
    await stream(contextOf(), mayFollow, silent).return!()
    expect(openStreams()).toBe(0)
  })
})
