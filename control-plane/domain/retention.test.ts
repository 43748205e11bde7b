import { sql } from 'drizzle-orm'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { records, spansOf, ticks } from '../db/partitions.ts'
import { flightRecord, keyDelta, logState, snapshot, spendTick } from '../db/tables.ts'
import { acceptRecords } from './ingest.ts'
import { tidy } from './retention.ts'
import { numberPending } from './sequencer.ts'
import { spend } from './spend.ts'
import { openStreams } from './streams.ts'
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

const dayMs = 86_400_000
let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

interface Line {
  edge: TestInstance
  deliver(fields?: Partial<FlightRecord>): Promise<void>
}

/** A tenant with one instance, whose records come at the time the clock shows. */
async function line() {
  const { owner } = await testTenant(ctx)
  const edge = await testInstance(ctx, owner)
  tenants.push(edge.tenant)
  const chain = new TestChain(edge)
  let from = 0
  const deliver: Line['deliver'] = async (fields = {}) => {
    const batch = { tenant: edge.tenant, epoch: edge.epoch, from: from++, records: [chain.next(fields)] }
    expect(await acceptRecords(ctx, edge.instance, batch)).toHaveProperty('head')
  }
  return { owner, edge, deliver }
}

/** What is pending would keep its partition: no test leaves that to the next one. */
const tenants: string[] = []
afterEach(async () => {
  for (const tenant of tenants.splice(0)) await number(tenant)
})

const number = async (tenant: string) => {
  while ((await numberPending(ctx, tenant)) !== 'DONE') {}
}
const placeOf = async (tenant: string) => {
  const rows = await ctx.db.withTenant(tenant, (tx) =>
    tx.execute(sql`select tableoid::regclass::text as place from flight_record order by sequence`),
  )
  return (rows as unknown as { place: string }[]).map(({ place }) => place)
}
const names = async (of: typeof records) => (await spansOf(ctx.db, of)).map(({ name }) => name)
const horizonOf = (tenant: string) => ctx.db.withTenant(tenant, async (tx) => (await tx.select().from(logState))[0]!)

describe('partitions', () => {
  it('are there ahead of time, however many control planes make them at once', async () => {
    await Promise.all([tidy(ctx, null), tidy(ctx, null), tidy(ctx, null)])
    expect(await names(records)).toEqual(['flight_record_2026_11', 'flight_record_2026_12', 'flight_record_2027_01'])
    expect(await names(ticks)).toEqual(['22', '23', '24', '25'].map((day) => `spend_tick_2026_11_${day}`))
  })

  it('take over what came before they were there: no record is ever without a place', async () => {
    const { edge, deliver } = await line()
    ctx.clock.nowMs = Date.parse('2027-05-31T23:59:59.000Z')
    await deliver()
    ctx.clock.nowMs += 1_000
    await deliver()
    expect(await placeOf(edge.tenant)).toEqual(['flight_record_default', 'flight_record_default'])
    await tidy(ctx, null)
    await deliver()
    expect(await placeOf(edge.tenant)).toEqual([
      'flight_record_default',
      'flight_record_2027_06',
      'flight_record_2027_06',
    ])
    ctx.clock.nowMs = testStartMs
  })

  it('go by when a record came, whatever its plane’s clock says', async () => {
    await tidy(ctx, null)
    const { edge, deliver } = await line()
    await deliver({ at: 0 })
    await deliver({ at: Date.parse('2099-01-01T00:00:00Z') })
    expect(await placeOf(edge.tenant)).toEqual(['flight_record_2026_11', 'flight_record_2026_11'])
  })

  it('are closed to whoever does not come through their table', async () => {
    const { edge, deliver } = await line()
    await deliver()
    const directly = (open: 'withTenant' | 'withInstallation') => {
      const read = (tx: Parameters<Parameters<typeof ctx.db.withOwner>[0]>[0]) =>
        tx.execute(sql`select * from flight_record_2026_11`)
      return open === 'withTenant' ? ctx.db.withTenant(edge.tenant, read) : ctx.db.withInstallation(read)
    }
    await expect(directly('withTenant')).rejects.toMatchObject({ code: '42501' })
    await expect(directly('withInstallation')).rejects.toMatchObject({ code: '42501' })
  })
})

describe('retention', () => {
  const later = async (work: () => Promise<void>) => {
    ctx.clock.nowMs = testStartMs + 100 * dayMs
    await work().finally(() => {
      ctx.clock.nowMs = testStartMs
    })
  }

  it('keeps every record unless it is told otherwise, and what is spent in any case', async () => {
    const { owner, edge, deliver } = await line()
    await deliver({ cost: '0.250000000000' })
    await number(edge.tenant)
    const spent = () =>
      ctx.db.withTenant(edge.tenant, (tx) => spend(tx, edge.tenant, { window: {}, interval: 'TOTAL' }, ctx.clock.now()))
    const before = (await spent()).total
    await later(async () => {
      await tidy(ctx, null)
      expect(await placeOf(edge.tenant)).toHaveLength(1)
      await tidy(ctx, 60 * dayMs)
      expect(await placeOf(edge.tenant)).toEqual([])
      expect((await spent()).total).toBe(before)
      const { recordsPruned, lastNumber } = await horizonOf(edge.tenant)
      expect(recordsPruned).toBe(lastNumber)
      // The chain goes on where it was.
      await deliver()
      expect(await placeOf(edge.tenant)).toHaveLength(1)
    })
    expect(owner.tenant).toBe(edge.tenant)
  })

  it('never drops a record that is not in the log yet', async () => {
    const { edge, deliver } = await line()
    await tidy(ctx, null)
    await deliver()
    await later(async () => {
      await tidy(ctx, 60 * dayMs)
      expect(await placeOf(edge.tenant)).toHaveLength(1)
      await number(edge.tenant)
      await tidy(ctx, 60 * dayMs)
      expect(await placeOf(edge.tenant)).toEqual([])
    })
  })

  it('answers a cursor from before what is kept with CURSOR_EXPIRED, and one from after it with what came', async () => {
    const { owner, edge, deliver } = await line()
    await tidy(ctx, null)
    const cursorNow = async () =>
      (await ctx.db.withTenant(edge.tenant, (tx) => spend(tx, edge.tenant, { window: {}, interval: 'TOTAL' }, 0)))
        .cursor
    await number(edge.tenant)
    const old = await cursorNow()
    await deliver()
    await number(edge.tenant)
    const kept = await cursorNow()
    const streams = openStreams(ctx)
    await later(async () => {
      await tidy(ctx, 60 * dayMs)
      await deliver()
      await number(edge.tenant)
      const first = (after: string, of: 'spendTicks' | 'flightTail') =>
        streams[of](owner, { after, interval: 'TOTAL' }, AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next()
      for (const of of ['spendTicks', 'flightTail'] as const) {
        await expect(first(old, of)).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
        expect(await first(kept, of)).toMatchObject({ done: false })
      }
      const counted = await ctx.db.withTenant(edge.tenant, (tx) => tx.select().from(spendTick))
      expect(counted).toHaveLength(1)
    })
    await streams.close()
  })

  it('forgets key deltas that every kept snapshot contains, and no others', async () => {
    const { owner } = await testTenant(ctx)
    await declareAll(ctx, owner, smallConfig)
    const delta = (at: number) => ({ tenant: owner.tenant, number: at, at: new Date(ctx.clock.nowMs), body: {} })
    const numbers = () =>
      ctx.db.withTenant(owner.tenant, async (tx) =>
        (await tx.select().from(keyDelta).orderBy(keyDelta.number)).map(({ number: one }) => one),
      )
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      await tx.insert(keyDelta).values([101, 102, 103].map(delta))
      const rest = { tenant: owner.tenant, manifest: Buffer.alloc(0), secretsState: '', grantUses: [], keysForm: '' }
      const kept = (revision: number, deltaNumber: number) => ({
        ...{ ...rest, revision, deltaNumber, contentDigest: `${revision}`, createdAt: new Date(ctx.clock.nowMs) },
      })
      await tx.insert(snapshot).values([kept(101, 102), kept(102, 103)])
    })
    const before = await numbers()
    await later(() => tidy(ctx, null))
    expect(before.filter((one) => one > 100)).toEqual([101, 102, 103])
    expect((await numbers()).filter((one) => one > 100)).toEqual([103])
  })
})

describe('a record', () => {
  it('is there once, however many deliver it at the same moment', async () => {
    const { owner } = await testTenant(ctx)
    const edge = await testInstance(ctx, owner)
    const chain = new TestChain(edge)
    const texts = Array.from({ length: 20 }, () => chain.next())
    const batch = { tenant: edge.tenant, epoch: edge.epoch, from: 0, records: texts }
    await Promise.all(Array.from({ length: 8 }, () => acceptRecords(ctx, edge.instance, batch)))
    const rows = await ctx.db.withTenant(edge.tenant, (tx) => tx.select().from(flightRecord))
    expect(rows.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(texts.map((_, index) => index))
    expect(await ctx.db.withTenant(edge.tenant, (tx) => tx.select().from(logState))).toHaveLength(1)
  })
})
