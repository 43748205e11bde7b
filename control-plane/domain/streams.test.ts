import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { comparePositions, decodeCursor } from '../../schema/cursor.ts'
import type { Actor } from './actor.ts'
import { acceptRecords } from './ingest.ts'
import { eventsKeptMs, pruneEvents } from './outbox.ts'
import { type Sequencer, startSequencer } from './sequencer.ts'
import { type Interval, spend } from './spend.ts'
import { type Event, openStreams, StreamEnded, type Streams } from './streams.ts'
import {
  declareAll,
  smallConfig,
  TestChain,
  type TestContext,
  testContext,
  testInstance,
  testStartMs,
  testTenant,
} from './test-context.ts'

let ctx: TestContext
let streams: Streams
let sequencer: Sequencer
beforeAll(async () => {
  const base = await testContext()
  streams = openStreams(base)
  ctx = { ...base, streams }
  sequencer = await startSequencer(ctx)
})
afterAll(async () => {
  await sequencer.stop()
  await streams.close()
  await ctx.stop()
})

async function fleet() {
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, smallConfig)
  const edge = await testInstance(ctx, owner)
  const chain = new TestChain(edge)
  let sent = 0
  const send = async (count: number, fields: Parameters<TestChain['next']>[0] = {}) => {
    const records = Array.from({ length: count }, () => chain.next(fields))
    const { tenant, instance, epoch } = edge
    await acceptRecords(ctx, instance, { tenant, epoch, from: sent, records })
    sent += count
  }
  return { owner, send, edge }
}

const series = (owner: Actor, interval: Interval) =>
  ctx.db.withTenant(owner.tenant, (tx) => spend(tx, owner.tenant, { window: {}, interval }, ctx.clock.now()))

describe('spendTicks', () => {
  it('added to the query they come after are what the query says later: nothing twice, nothing missed', async () => {
    const step = fc.oneof(
      fc.record({ act: fc.constant('send' as const), count: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ act: fc.constant('query' as const) }),
      fc.record({ act: fc.constant('reconnect' as const) }),
      fc.record({ act: fc.constant('configure' as const) }),
      fc.record({ act: fc.constant('drain' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 10 }), async (steps) => {
        const { owner, send } = await fleet()
        const follower = new Follower(owner)
        for (const [index, one] of steps.entries()) {
          if (one.act === 'send') await send(one.count, { costUnits: BigInt(index + 1), project: `prj_${index % 3}` })
          if (one.act === 'query') await follower.begin()
          if (one.act === 'reconnect') await follower.reconnect()
          if (one.act === 'configure') await declareAll(ctx, owner, [['team', { name: `t${index}` }]])
          if (one.act === 'drain') await sequencer.drain()
        }
        await follower.reconnect()
        await send(1)
        await sequencer.drain()
        const { total } = await series(owner, 'TOTAL')
        await expect.poll(() => follower.total, { timeout: 5_000 }).toBe(total)
        await follower.stop()
        expect(follower.total).toBe(total)
      }),
      { numRuns: 12 },
    )
  })

  it('resume from any cursor of the log, also from the middle of one run of the sequencer', async () => {
    const { owner, send } = await fleet()
    await send(20, { costUnits: 3n })
    await sequencer.drain()
    const end = decodeCursor((await series(owner, 'TOTAL')).cursor)!.number
    const tail = await take(streams.flightTail(owner, { after: cursorAt(-1) }, signal()), 1)
    const cursors = tail[0]!.records.map(({ logIndex }) => logIndex!)
    for (const number of [cursors[0]!, cursors[7]!, cursors[18]!]) {
      const [tick] = await take(streams.spendTicks(owner, { interval: 'DAY', after: cursorAt(number) }, signal()), 1)
      expect(tick!.groups[0]!.total).toBe(3n * BigInt(end - number))
    }
  })

  it('come at most four a second, however fast records do', async () => {
    const { owner, send } = await fleet()
    const controller = new AbortController()
    const at: number[] = []
    const following = (async () => {
      for await (const _ of streams.spendTicks(owner, { interval: 'HOUR' }, controller.signal))
        at.push(performance.now())
    })()
    await send(1)
    for (let round = 0; round < 12; round++) {
      await send(3)
      await new Promise((resolve) => setTimeout(resolve, 70))
    }
    controller.abort()
    await following
    expect(at.length).toBeGreaterThan(1)
    for (let index = 1; index < at.length; index++) expect(at[index]! - at[index - 1]!).toBeGreaterThan(230)
  })

  it('end at once when the subscriber goes, and refuse a cursor that is none or lies beyond the log', async () => {
    const { owner } = await fleet()
    const controller = new AbortController()
    const waiting = streams.spendTicks(owner, { interval: 'HOUR' }, controller.signal)[Symbol.asyncIterator]()
    const next = waiting.next()
    await new Promise((resolve) => setTimeout(resolve, 50))
    controller.abort()
    expect(await next).toEqual({ done: true, value: undefined })
    for (const after of ['garbage', cursorAt(1_000_000)]) {
      const refused = streams.spendTicks(owner, { interval: 'HOUR', after }, signal())[Symbol.asyncIterator]()
      await expect(refused.next()).rejects.toThrow(StreamEnded)
    }
  })

  it('show a member nobody’s spending but its own', async () => {
    const { owner, send } = await fleet()
    const member: Actor = { ...owner, permissions: new Set(['spend:read-own']) }
    const after = (await series(owner, 'TOTAL')).cursor
    await send(1, { principal: owner.principal, costUnits: 5n })
    await send(1, { principal: 'prn_other', costUnits: 100n })
    await sequencer.drain()
    const [tick] = await take(streams.spendTicks(member, { interval: 'DAY', after }, signal()), 1)
    expect(tick!.groups.map(({ total }) => total)).toEqual([5n])
  })
})

describe('events', () => {
  it('come once and in order, over any number of reconnections', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), async (cuts) => {
        const { owner } = await fleet()
        await sequencer.drain()
        let after: string | null = (await series(owner, 'TOTAL')).cursor
        const got: Event[] = []
        let controller = new AbortController()
        const follow = async ({ signal: until }: AbortController) => {
          for await (const event of streams.events(owner, { kinds: ['CONFIG_CHANGED'], after }, until)) {
            got.push(event)
            after = event.cursor
          }
        }
        let following = follow(controller)
        const revisions: number[] = []
        for (const [index, cut] of cuts.entries()) {
          revisions.push((await declareAll(ctx, owner, [['team', { name: `e${index}` }]])).revision)
          if (!cut) continue
          controller.abort()
          await following
          controller = new AbortController()
          following = follow(controller)
        }
        await expect.poll(() => got.length, { timeout: 5_000 }).toBe(revisions.length)
        controller.abort()
        await following
        expect(got.map((event) => event.kind === 'CONFIG_CHANGED' && event.revision)).toEqual(revisions)
        const positions = got.map(({ cursor }) => decodeCursor(cursor)!)
        expect([...positions].sort(comparePositions)).toEqual(positions)
      }),
      { numRuns: 8 },
    )
  })

  it('name the same cursor as the write they tell of', async () => {
    const { owner } = await fleet()
    const after = (await series(owner, 'TOTAL')).cursor
    const written = await declareAll(ctx, owner, [['team', { name: 'mine' }]])
    expect(written.cursor).not.toBeNull()
    const [event] = await take(streams.events(owner, { kinds: ['CONFIG_CHANGED'], after }, signal()), 1)
    expect(event!.cursor).toBe(written.cursor)
  })

  it('begin again with a reset where the cursor lies beyond the log', async () => {
    const { owner } = await fleet()
    await sequencer.drain()
    const following = streams.events(owner, { after: cursorAt(5_000) }, signal())[Symbol.asyncIterator]()
    expect((await following.next()).value).toMatchObject({ kind: 'STREAM_RESET' })
    await declareAll(ctx, owner, [['team', { name: 'later' }]])
    expect((await following.next()).value).toMatchObject({ kind: 'CONFIG_CHANGED' })
    await following.return!()
  })

  it('begin again with a reset where what comes after the cursor is no longer kept', async () => {
    const { owner } = await fleet()
    await sequencer.drain()
    const end = (await series(owner, 'TOTAL')).cursor
    ctx.clock.nowMs += eventsKeptMs + 1
    await pruneEvents(ctx)
    ctx.clock.nowMs -= eventsKeptMs + 1
    const old = streams.events(owner, { after: cursorAt(0) }, signal())[Symbol.asyncIterator]()
    expect((await old.next()).value).toMatchObject({ kind: 'STREAM_RESET', cursor: end })
    await old.return!()
    await declareAll(ctx, owner, [['team', { name: 'after' }]])
    const [event] = await take(streams.events(owner, { after: end }, signal()), 1)
    expect(event).toMatchObject({ kind: 'CONFIG_CHANGED' })
  })
})

describe('flightTail', () => {
  it('replays what was missed whole and in order, then goes on live', async () => {
    const { owner, send } = await fleet()
    await send(250, { alias: 'x', at: testStartMs })
    await sequencer.drain()
    const got: number[] = []
    const controller = new AbortController()
    const following = (async () => {
      for await (const { records } of streams.flightTail(
        owner,
        { after: cursorAt(-1), filter: { alias: ['x'] } },
        controller.signal,
      ))
        got.push(...records.map(({ record }) => record.sequence))
    })()
    await expect.poll(() => got.length).toBe(250)
    await send(2, { alias: 'x' })
    await send(1, { alias: 'y' })
    await expect.poll(() => got.length).toBe(252)
    controller.abort()
    await following
    expect(got).toEqual(Array.from({ length: 252 }, (_, index) => index))
  })
})

const cursorAt = (number: number) => Buffer.from(`1.${number}.0`).toString('base64url')
const signal = () => AbortSignal.timeout(10_000)

async function take<T>(stream: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = []
  for await (const one of stream) if (taken.push(one) === count) break
  return taken
}

/** What a dashboard does: a query, then ticks after its cursor; after a cut, ticks after the last cursor it saw. */
class Follower {
  readonly #owner: Actor
  #controller = new AbortController()
  #following: Promise<void> = Promise.resolve()
  #cursor: string | undefined
  total = 0n

  constructor(owner: Actor) {
    this.#owner = owner
  }

  async begin() {
    await this.stop()
    const { total, cursor } = await series(this.#owner, 'TOTAL')
    this.total = total
    this.#cursor = cursor
    this.#follow()
  }

  async reconnect() {
    if (!this.#cursor) return this.begin()
    await this.stop()
    this.#follow()
  }

  async stop() {
    this.#controller.abort()
    await this.#following
  }

  #follow() {
    this.#controller = new AbortController()
    const args = { interval: 'HOUR' as const, groupBy: ['PROJECT' as const], after: this.#cursor }
    const ticks = streams.spendTicks(this.#owner, args, this.#controller.signal)
    this.#following = (async () => {
      for await (const { cursor, groups } of ticks) {
        this.#cursor = cursor
        for (const group of groups) this.total += group.total
      }
    })()
  }
}
