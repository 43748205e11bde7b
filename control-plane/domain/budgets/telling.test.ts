import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { comparePositions, decodeCursor } from '../../../schema/cursor.ts'
import { parseAmount } from '../../../schema/money.ts'
import { budgetCounter, lease, outboxEvent } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { acceptRecords } from '../ingest.ts'
import { findResource } from '../resources.ts'
import { type Sequencer, startSequencer } from '../sequencer.ts'
import type { Event } from '../streams.ts'
import { declareAll, TestChain, type TestContext, testContext, testInstance, testTenant } from '../test-context.ts'
import { readBalances } from './reading.ts'

let ctx: TestContext
let sequencers: Sequencer[]
beforeAll(async () => {
  ctx = await testContext()
  // Two control planes.
  sequencers = [await startSequencer(ctx), await startSequencer(ctx)]
})
afterAll(async () => {
  for (const sequencer of sequencers) await sequencer.stop()
  await ctx.stop()
})

const day = { windowFrom: Date.parse('2026-11-22'), windowTo: Date.parse('2026-11-23') }

async function budgetOf(owner: Actor, fields: Record<string, unknown> = {}): Promise<string> {
  const declared = {
    name: 'b',
    scope: owner.tenant,
    limit: { amount: '1000', currency: 'USD' },
    period: 'DAY',
    ...fields,
  }
  const applied = await declareAll(ctx, owner, [['budget', declared]])
  expect(applied.errors).toEqual([])
  return ctx.db.withTenant(owner.tenant, async (tx) => (await findResource(tx, owner.tenant, 'budget/b'))!.id)
}

/** As the ledger does it: the lease's total and the counter's sum rise together. */
async function grant(owner: Actor, budget: string, amount: string, subject = ''): Promise<void> {
  const place = { tenant: owner.tenant, budget, subject, ...day }
  const createdAt = new Date(ctx.clock.now())
  await ctx.db.withTenant(owner.tenant, async (tx) => {
    const target = [
      budgetCounter.tenant,
      budgetCounter.budget,
      budgetCounter.subject,
      budgetCounter.windowFrom,
      budgetCounter.windowTo,
    ]
    const key = [
      lease.tenant,
      lease.budget,
      lease.subject,
      lease.windowFrom,
      lease.windowTo,
      lease.instance,
      lease.epoch,
    ]
    await tx
      .insert(budgetCounter)
      .values({ ...place, createdAt, limit: '1000', committed: amount })
      .onConflictDoUpdate({ target, set: { committed: sql`budget_counter.committed + ${amount}::numeric` } })
    await tx
      .insert(lease)
      .values({ ...place, createdAt, instance: 'ins', epoch: 1, rolling: false, granted: amount })
      .onConflictDoUpdate({ target: key, set: { granted: sql`lease.granted + ${amount}::numeric` } })
  })
}

type Told = Extract<Event, { kind: 'BUDGET_CHANGED' }>

/** Follows until it is told to end. */
function follow(owner: Actor, after: string | null) {
  const stop = new AbortController()
  const seen: Told[] = []
  const running = (async () => {
    for await (const event of ctx.streams.events(owner, { kinds: ['BUDGET_CHANGED'], after }, stop.signal))
      seen.push(event as Told)
  })()
  const end = () => {
    stop.abort()
    return running
  }
  return { seen, end }
}

const inOutbox = async (owner: Actor) =>
  ctx.db.withTenant(owner.tenant, async (tx) =>
    tx
      .select()
      .from(outboxEvent)
      .where(and(eq(outboxEvent.tenant, owner.tenant), eq(outboxEvent.kind, 'BUDGET_CHANGED'))),
  )

const balanceOf = (owner: Actor, budget: string, subject: string | null = null) =>
  ctx.db.withTenant(owner.tenant, async (tx) => {
    return (await readBalances(tx, owner.tenant, [{ budget, subject }], ctx.clock.now()))[0]!
  })

const soon = { timeout: 10_000 }

describe('budgets that change', () => {
  it('are told by one of several control planes, with the balance as it then was', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner, { per: 'API_KEY' })
    const { asOf } = await balanceOf(owner, budget, 'key_a')
    const following = follow(owner, asOf)
    await grant(owner, budget, '30.5', 'key_a')
    await expect.poll(() => following.seen.length, soon).toBe(1)
    expect(following.seen[0]).toMatchObject({
      budget,
      balance: { subject: 'key_a', limit: '1000', leased: '30.5', spent: '0', available: '969.5', currency: 'USD' },
    })
    expect(await inOutbox(owner)).toHaveLength(1)
    await following.end()
  })

  it('are told as often as once a second, however often they change, and at last as they are', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner)
    const following = follow(owner, (await balanceOf(owner, budget)).asOf)
    const since = performance.now()
    for (let at = 0; at < 40; at++) {
      await grant(owner, budget, '1')
      for (const sequencer of sequencers) await sequencer.drain()
    }
    await expect.poll(() => following.seen.at(-1)?.balance.leased, soon).toBe('40')
    expect(following.seen.length).toBeLessThanOrEqual(2 + (performance.now() - since) / 1_000)
    await following.end()
  })

  it('are told when records are posted and when the limit is declared anew', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner)
    const edge = await testInstance(ctx, owner)
    const chain = new TestChain(edge)
    await grant(owner, budget, '10')
    await expect.poll(async () => (await inOutbox(owner)).length, soon).toBe(1)
    const following = follow(owner, (await balanceOf(owner, budget)).asOf)
    const posting = {
      amount: '0.5',
      budget,
      leaseEpoch: edge.epoch,
      subject: null,
      window: { from: day.windowFrom, to: day.windowTo },
    }
    const [instance, epoch] = [edge.instance, edge.epoch]
    const place = { tenant: owner.tenant, budget, subject: '', ...day, instance, epoch }
    const createdAt = new Date(ctx.clock.now())
    await ctx.db.withTenant(owner.tenant, (tx) =>
      tx
        .insert(lease)
        .values({ ...place, createdAt, rolling: false, granted: '1' })
        .onConflictDoNothing(),
    )
    const records = [chain.next({ costUnits: 500_000_000_000n, postings: [posting] })]
    expect(await acceptRecords(ctx, instance, { tenant: owner.tenant, epoch, from: 0, records })).toHaveProperty('head')
    await expect.poll(() => following.seen.length, soon).toBe(1)
    await declareAll(ctx, owner, [['budget', { name: 'b', limit: { amount: '5', currency: 'USD' } }]])
    await expect.poll(() => following.seen.at(-1)?.balance.limit, soon).toBe('5')
    await following.end()
  })

  it('are what was read plus what is told after it: no change is missed and none is older', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner)
    const reads: { asOf: string; leased: bigint }[] = []
    for (let at = 0; at < 60; at++) {
      await Promise.all([
        grant(owner, budget, '1'),
        balanceOf(owner, budget).then((read) => reads.push(read)),
        at % 3 === 0 ? sequencers[at % 2]!.drain() : undefined,
      ])
      if (at % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 600))
    }
    await expect
      .poll(async () => ((await inOutbox(owner)).at(-1)?.body as Told | undefined)?.balance.leased, soon)
      .toBe('60')
    for (const sequencer of sequencers) await sequencer.drain()
    const whole = follow(owner, reads[0]!.asOf)
    await expect.poll(() => whole.seen.at(-1)?.balance.leased, soon).toBe('60')
    for (const { asOf, leased } of reads)
      for (const event of whole.seen)
        if (comparePositions(decodeCursor(event.cursor)!, decodeCursor(asOf)!) > 0)
          expect(parseAmount(event.balance.leased)!).toBeGreaterThanOrEqual(leased)
    await whole.end()
  })
})
