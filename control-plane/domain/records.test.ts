import { and, asc, eq } from 'drizzle-orm'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decodeCursor } from '../../schema/cursor.ts'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'
import { auditEntry, flightRecord, outboxEvent } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { listAudit } from './audit.ts'
import { acceptRecords, chainHeads } from './ingest.ts'
import { openEpoch } from './planes.ts'
import { findRecord, listRecords } from './records.ts'
import { numberPending } from './sequencer.ts'
import { type SpendArgs, type SpendDimension, spend, spendDimensions } from './spend.ts'
import {
  declareAll,
  smallConfig,
  TestChain,
  type TestContext,
  type TestInstance,
  testContext,
  testInstance,
  testStartMs,
  testTenant,
} from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

async function fleet() {
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, smallConfig)
  const edge = await testInstance(ctx, owner)
  return { owner, edge, chain: new TestChain(edge) }
}

const deliver = ({ tenant, epoch, instance }: TestInstance, from: number, records: string[]) =>
  acceptRecords(ctx, instance, { tenant, epoch, from, records })

async function settle({ tenant }: Actor) {
  while ((await numberPending(ctx, tenant)) !== 'DONE');
}

const spendOf = (owner: Actor, args: Partial<SpendArgs> = {}) =>
  ctx.db.withTenant(owner.tenant, (tx) =>
    spend(tx, owner.tenant, { window: {}, interval: 'TOTAL', ...args }, ctx.clock.now()),
  )

describe('delivery', () => {
  it('takes a chain in order, and says where it ends', async () => {
    const { edge, chain } = await fleet()
    const records = [chain.next(), chain.next(), chain.next()]
    expect(await deliver(edge, 0, records.slice(0, 2))).toMatchObject({ head: { sequence: 1 } })
    expect(await deliver(edge, 2, records.slice(2))).toMatchObject({ head: { sequence: 2 } })
    expect(await chainHeads(ctx, edge.instance)).toMatchObject([{ epoch: 1, sequence: 2 }])
  })

  it('refuses a gap without harm: the head says where to go on', async () => {
    const { edge, chain } = await fleet()
    const records = [chain.next(), chain.next()]
    expect(await deliver(edge, 1, [records[1]!])).toMatchObject({ refused: true, head: { sequence: -1 } })
    expect(await deliver(edge, 0, records)).toMatchObject({ head: { sequence: 1 } })
  })

  it('quarantines a fork for good, keeps what was good before, and audits it', async () => {
    const { owner, edge, chain } = await fleet()
    const fork = new TestChain(edge)
    const [first, second] = [chain.next(), chain.next()]
    await deliver(edge, 0, [first])
    const other = fork.next()
    expect(await deliver(edge, 0, [other])).toMatchObject({ refused: true, head: null })
    expect(await deliver(edge, 1, [second])).toMatchObject({ refused: true, head: null })
    expect(await chainHeads(ctx, edge.instance)).toEqual([])
    const { rows } = await ctx.db.withTenant(owner.tenant, (tx) => listAudit(tx, owner.tenant, { first: 1 }))
    expect(rows[0]).toMatchObject({ action: 'chain.quarantine', targets: [{ id: edge.instance }] })
    await settle(owner)
    expect((await spendOf(owner)).total).toBe(1_000_000n)
    const epoch = await openEpoch(ctx, edge.instance, { bootId: 'b', host: 'h', version: '1' })
    const next = { ...edge, epoch }
    expect(await deliver(next, 0, [new TestChain(next).next()])).toMatchObject({ head: { epoch, sequence: 0 } })
  })

  it.each<[string, (good: Record<string, unknown>) => unknown]>([
    ['of another tenant', (good) => ({ ...good, tenant: mintId('tenant') })],
    ['with a negative cost', (good) => ({ ...good, cost: '-1' })],
    ['in another currency', (good) => ({ ...good, currency: 'JPY' })],
    ['with an id that is none', (good) => ({ ...good, id: "x'; drop table" })],
    [
      'with a quantity that is no count',
      (good) => ({ ...good, meters: [{ meter: 'IMAGES', quantity: 0.5, cost: '0', source: 'REPORTED' }] }),
    ],
    ['with a NUL', (good) => ({ ...good, alias: 'a\u0000' })],
    ['with half a character', (good) => ({ ...good, requestLabels: { case: 'a\ud800' } })],
    ['that is no object', () => 7],
  ])('stops at a record %s, and keeps those before it', async (_, spoil) => {
    const { owner, edge, chain } = await fleet()
    const good = chain.next()
    const bad = JSON.stringify(spoil(JSON.parse(chain.next())))
    expect(await deliver(edge, 0, [good, bad])).toMatchObject({ refused: true, head: null })
    await settle(owner)
    expect((await spendOf(owner)).groups[0]?.points[0]?.requests).toBe(1)
  })

  it('refuses an epoch that was never opened, and a tenant that is not the instance’s', async () => {
    const { edge, chain } = await fleet()
    const { owner: stranger } = await testTenant(ctx)
    expect(await deliver({ ...edge, epoch: 2 }, 0, [chain.next()])).toHaveProperty('refused')
    expect(await deliver({ ...edge, tenant: stranger.tenant }, 0, [chain.next()])).toHaveProperty('refused')
  })

  it('counts every record once, however batches repeat, overlap or come late', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(12), fc.integer({ min: 1, max: 6 }), fc.boolean()), { minLength: 1, maxLength: 14 }),
        async (batches) => {
          const { owner, edge, chain } = await fleet()
          const records = Array.from({ length: 12 }, () => chain.next({ costUnits: 7n }))
          for (const [from, length, number] of batches) {
            const some = records.slice(from, from + length)
            if (some.length > 0) await deliver(edge, from, some)
            if (number) await settle(owner)
          }
          const [head] = await chainHeads(ctx, edge.instance)
          await settle(owner)
          expect((await spendOf(owner)).total).toBe(7n * BigInt((head?.sequence ?? -1) + 1))
          await deliver(edge, 0, records)
          await settle(owner)
          expect((await spendOf(owner)).total).toBe(84n)
        },
      ),
      { numRuns: 12 },
    )
  })
})

describe('the log', () => {
  it('numbers entries and records without a gap, chains and audit each in their order, and events behind their entry', async () => {
    const { owner, edge, chain } = await fleet()
    const second = await testInstance(ctx, owner, 'other')
    const otherChain = new TestChain(second)
    for (let round = 0; round < 4; round++) {
      await deliver(edge, round * 2, [chain.next(), chain.next()])
      await deliver(second, round, [otherChain.next()])
      await declareAll(ctx, owner, [['team', { name: `team-${round}` }]])
      if (round % 2) await settle(owner)
    }
    await settle(owner)
    const { tenant } = owner
    const [audits, records, events] = await ctx.db.withTenant(tenant, async (tx) => [
      await tx.select().from(auditEntry).where(eq(auditEntry.tenant, tenant)).orderBy(asc(auditEntry.sequence)),
      await tx.select().from(flightRecord).where(eq(flightRecord.tenant, tenant)).orderBy(asc(flightRecord.number)),
      await tx
        .select()
        .from(outboxEvent)
        .where(and(eq(outboxEvent.tenant, tenant))),
    ])
    const numbers = [...audits.map(({ number }) => number!), ...records.map(({ number }) => number!)]
    expect(numbers.sort((a, b) => a - b)).toEqual(numbers.map((_, index) => index))
    const inOrder = audits.map(({ number }) => number!)
    expect(inOrder).toEqual([...inOrder].sort((a, b) => a - b))
    for (const instance of [edge.instance, second.instance]) {
      const own = records.filter((row) => row.instance === instance).map(({ sequence }) => sequence)
      expect(own).toEqual(own.map((_, index) => index))
    }
    for (const event of events) {
      expect(event.number).not.toBeNull()
      const entry = audits.find(({ sequence }) => sequence === event.auditSequence)
      if (entry) expect([event.number, event.sub]).toEqual([entry.number, expect.any(Number)])
    }
    const positions = events.map(({ number, sub }) => `${number}.${sub}`)
    expect(new Set(positions).size).toBe(positions.length)
  })

  it('gives one number each where several sequencers run at once', async () => {
    const { owner, edge, chain } = await fleet()
    await deliver(
      edge,
      0,
      Array.from({ length: 20 }, () => chain.next()),
    )
    await Promise.all(Array.from({ length: 6 }, () => numberPending(ctx, owner.tenant)))
    await settle(owner)
    expect((await spendOf(owner)).total).toBe(20_000_000n)
  })

  it('chains audit entries by hash, and keeps names and reasons out of what is hashed', async () => {
    const { owner } = await testTenant(ctx)
    await declareAll(ctx, owner, [
      ['principal', { name: 'alice@example.com', identities: [{ issuer: 'i', subject: 's-77' }] }],
    ])
    const rows = await ctx.db.withTenant(owner.tenant, (tx) =>
      tx.select().from(auditEntry).where(eq(auditEntry.tenant, owner.tenant)).orderBy(asc(auditEntry.sequence)),
    )
    rows.forEach((row, index) => {
      expect(row.sequence).toBe(index)
      if (index > 0) expect(row.previousHash).toBe(rows[index - 1]!.hash)
      expect(row.body).not.toMatch(/alice|s-77/)
    })
    const { rows: shown } = await ctx.db.withTenant(owner.tenant, (tx) => listAudit(tx, owner.tenant, { first: 1 }))
    expect(shown[0]!.targets[0]).toMatchObject({ name: 'alice@example.com' })
    expect(shown[0]!.targets[0]!.changes).toContainEqual({
      ...{ path: ['name'], before: null, after: 'alice@example.com', personal: true },
    })
  })
})

describe('records', () => {
  it('are found by what they are attributed to, newest first, page by page', async () => {
    const { owner, edge, chain } = await fleet()
    const at = (index: number) => testStartMs + Math.floor(index / 2) * 1_000
    const texts = Array.from({ length: 9 }, (_, index) =>
      chain.next({ at: at(index), alias: index % 3 ? 'a' : 'b', requestLabels: { case: String(index % 2) } }),
    )
    await deliver(edge, 0, texts)
    const list = (filter: object, first = 100, after?: { at: Date; id: string }) =>
      ctx.db.withTenant(owner.tenant, (tx) => listRecords(tx, owner.tenant, { filter, first, after }))
    const all = (await list({})).rows
    expect(all.map(({ record }) => record.at)).toEqual(texts.map((_, index) => at(index)).reverse())
    expect((await list({ alias: ['b'] })).rows.length).toBe(3)
    expect((await list({ requestLabels: { case: '1' }, alias: ['a'] })).rows.length).toBe(3)
    expect((await list({ model: [] })).rows).toEqual([])
    expect((await list({ at: { from: new Date(at(4)) } })).rows.length).toBe(5)
    const paged: string[] = []
    for (let after: { at: Date; id: string } | undefined; ; ) {
      const page = await list({}, 4, after)
      paged.push(...page.rows.map(({ record }) => record.id))
      if (!page.hasNext) break
      const { record } = page.rows.at(-1)!
      after = { at: new Date(record.at), id: record.id }
    }
    expect(paged).toEqual(all.map(({ record }) => record.id))
    const one = await ctx.db.withTenant(owner.tenant, (tx) => findRecord(tx, owner.tenant, paged[0]!))
    expect(one?.record.id).toBe(paged[0])
  })
})

/** A record with random attribution, cost and time. */
const attributed = fc.record({
  costUnits: fc.bigInt({ min: 0n, max: 10n ** 15n }),
  at: fc.integer({ min: 0, max: 40 * 86_400 }).map((seconds) => testStartMs - seconds * 1_000),
  team: fc.constantFrom(null, 'tea_a', 'tea_b'),
  project: fc.constantFrom(null, 'prj_a', 'prj_b'),
  model: fc.constantFrom(null, 'mdl_a'),
  aliasId: fc.constantFrom(null, 'als_a', 'als_b'),
  requestLabels: fc.constantFrom<Record<string, string>[]>({}, { case: 'x' }, { case: 'y', step: '1' }),
  outcome: fc.constantFrom<FlightRecord['outcome'][]>('COMPLETED', 'REFUSED', 'FAILED'),
  meters: fc.array(
    fc.record({
      meter: fc.constantFrom(
        'INPUT_TOKENS' as const,
        'CACHED_INPUT_TOKENS' as const,
        'OUTPUT_TOKENS' as const,
        'REQUESTS' as const,
      ),
      quantity: fc.nat(1_000_000),
      cost: fc.constant('0'),
      source: fc.constant('REPORTED' as const),
    }),
    { maxLength: 3 },
  ),
})

describe('spend', () => {
  it('has the same totals however it is grouped, cut off at the top, or divided into intervals', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(attributed, { minLength: 1, maxLength: 25 }),
        fc.subarray([...spendDimensions]),
        fc.constantFrom<SpendArgs['interval'][]>('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'TOTAL'),
        fc.option(fc.integer({ min: 1, max: 3 })),
        fc.subarray(['case', 'step']),
        async (fields, groupBy: SpendDimension[], interval, top, groupByLabels) => {
          const { owner, edge, chain } = await fleet()
          await deliver(
            edge,
            0,
            fields.map((one) => chain.next(one)),
          )
          await settle(owner)
          const series = await spendOf(owner, { groupBy, interval, top, groupByLabels })
          const cost = fields.reduce((sum, one) => sum + one.costUnits, 0n)
          const points = series.groups.flatMap((group) => group.points)
          expect(series.total).toBe(cost)
          expect(series.groups.reduce((sum, group) => sum + group.total, 0n)).toBe(cost)
          expect(points.reduce((sum, point) => sum + point.cost, 0n)).toBe(cost)
          expect(points.reduce((sum, point) => sum + point.requests, 0)).toBe(fields.length)
          const tokens = fields.flatMap(({ meters }) => meters).filter(({ meter }) => meter !== 'REQUESTS')
          expect(points.reduce((sum, point) => sum + point.tokens, 0)).toBe(
            tokens.reduce((sum, one) => sum + one.quantity, 0),
          )
          if (top) expect(series.groups.length).toBeLessThanOrEqual(top + 1)
        },
      ),
      { numRuns: 15 },
    )
  })

  it('adds up any window exactly from the rollups that cover it', async () => {
    const { owner, edge, chain } = await fleet()
    const fields = fc.sample(attributed, { numRuns: 60, seed: 7 })
    await deliver(
      edge,
      0,
      fields.map((one) => chain.next(one)),
    )
    await settle(owner)
    const minute = fc.integer({ min: 0, max: 41 * 1_440 }).map((minutes) => testStartMs - minutes * 60_000)
    await fc.assert(
      fc.asyncProperty(
        minute,
        minute,
        fc.constantFrom<(string[] | undefined)[]>(undefined, ['prj_a']),
        async (one, other, project) => {
          const [from, to] = [Math.min(one, other), Math.max(one, other)]
          const inside = fields.filter(
            (each) => each.at >= from && each.at < to && (!project || each.project === 'prj_a'),
          )
          const { total } = await spendOf(owner, {
            window: { from: new Date(from), to: new Date(to) },
            filter: { project },
          })
          expect(total).toBe(inside.reduce((sum, each) => sum + each.costUnits, 0n))
        },
      ),
      { numRuns: 40 },
    )
  })

  it('names its cursor, its currency, and what it does not wait for', async () => {
    const { owner, edge, chain } = await fleet()
    await deliver(edge, 0, [chain.next({ at: testStartMs - 5_000 })])
    const before = await spendOf(owner)
    expect(before.total).toBe(0n)
    expect(before.settledThrough.getTime()).toBeLessThanOrEqual(testStartMs - 5_000)
    await settle(owner)
    const after = await spendOf(owner)
    expect(decodeCursor(after.cursor)!.number).toBeGreaterThan(decodeCursor(before.cursor)!.number)
    expect(after).toMatchObject({ currency: 'USD', pending: [] })
    ctx.clock.nowMs += 60_000
    expect((await spendOf(owner)).pending).toEqual([edge.dataPlane])
    ctx.clock.nowMs -= 60_000
  })

  it('is filtered and keyed by the names of aliases', async () => {
    const { owner, edge, chain } = await fleet()
    const [alias] = (await declareAll(ctx, owner, [['alias', { name: 'chat' }]])).resources
    await deliver(edge, 0, [chain.next({ aliasId: alias!.id }), chain.next()])
    await settle(owner)
    const series = await spendOf(owner, { groupBy: ['ALIAS'], filter: { alias: ['chat'] } })
    expect(series.groups.map(({ key }) => key)).toEqual([
      [{ dimension: 'ALIAS', label: null, value: 'chat', resourceId: alias!.id }],
    ])
    expect((await spendOf(owner, { filter: { alias: ['none'] } })).total).toBe(0n)
  })
})
