import { describe, expect, it } from 'vitest'
import { type LiveState, live, type OpenStream, StreamRefused } from './live.ts'

interface Event {
  cursor: string
}

const log = Array.from({ length: 200 }, (_, index) => ({ cursor: String(index).padStart(3, '0') }))

/** A server that keeps everything, and drops each connection after some events. */
const dropping = (perConnection: number): OpenStream<Event> =>
  async function* (after, _signal, opened) {
    opened()
    yield* log.filter(({ cursor }) => after === null || cursor > after).slice(0, perConnection)
    throw new Error('reset')
  }

async function collect(open: OpenStream<Event>, states: LiveState[] = []): Promise<string[]> {
  const stop = new AbortController()
  const seen: string[] = []
  const onState = (state: LiveState) => states.push(state)
  for await (const { cursor } of live(open, { after: null, signal: stop.signal, onState, waitMs: 1 })) {
    seen.push(cursor)
    if (seen.length === log.length) stop.abort()
  }
  return seen
}

describe('a live stream', () => {
  it('brings each event once and in order, however often the connection drops', async () => {
    const states: LiveState[] = []
    expect(await collect(dropping(7), states)).toEqual(log.map(({ cursor }) => cursor))
    expect(states).toContain('reconnecting')
    expect(states.at(-1)).toBe('live')
  })

  it('survives connections that bring nothing', async () => {
    let connections = 0
    const flaky: OpenStream<Event> = (after, signal, opened) =>
      dropping(connections++ % 3 === 0 ? 90 : 0)(after, signal, opened)
    expect(await collect(flaky)).toHaveLength(log.length)
  })

  it('does not ask again where it was refused', async () => {
    let connections = 0
    const refusing: OpenStream<Event> = async function* () {
      connections++
      yield* []
      throw new StreamRefused('NOT_PERMITTED', 'You may not do that.')
    }
    await expect(collect(refusing)).rejects.toThrow('You may not do that.')
    expect(connections).toBe(1)
  })

  it('ends while it waits to reconnect', async () => {
    const stop = new AbortController()
    const never: OpenStream<Event> = async function* () {
      yield* []
      throw new Error('refused')
    }
    setTimeout(() => stop.abort(), 30)
    const startedAt = performance.now()
    for await (const _ of live(never, { after: null, signal: stop.signal, waitMs: 60_000 })) throw new Error('no event')
    expect(performance.now() - startedAt).toBeLessThan(5_000)
  })
})
