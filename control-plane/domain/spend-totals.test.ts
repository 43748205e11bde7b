import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import type { Actor } from './actor.ts'
import { acceptRecords } from './ingest.ts'
import { listRecords } from './records.ts'
import { findResource } from './resources.ts'
import { type Sequencer, startSequencer } from './sequencer.ts'
import {
  type SpendArgs,
  type SpendDimension,
  type SpendFilter,
  type SpendSeries,
  spend,
  spendDimensions,
} from './spend.ts'
import { dimensionFields, valuesOf } from './spend-groups.ts'
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

/** Totals never depend on how they are asked for: to the last digit, whatever was recorded. */

let ctx: TestContext
let sequencer: Sequencer
beforeAll(async () => {
  ctx = await testContext()
  sequencer = await startSequencer(ctx)
})
afterAll(async () => {
  await sequencer.stop()
  await ctx.stop()
})

const dayMs = 86_400_000
const some = (...values: string[]) => fc.constantFrom(null, ...values)
/** Values that look like what the answer itself uses: nothing, `other`, a property that every object has. */
const labelValue = fc.constantFrom('', 'summary', 'other', '"', 'a,b', '☃')
const labelKeys = ['case', 'step', 'constructor', '__proto__']

const given = fc.record({
  costUnits: fc.bigInt(0n, 10n ** 20n),
  at: fc.integer({ min: testStartMs - 3 * dayMs, max: testStartMs }),
  team: some('tea_1', 'tea_2'),
  project: some('prj_1', 'prj_2', 'prj_3'),
  principal: some('prn_1', 'prn_2'),
  apiKey: some('key_1', 'key_2', 'key_3'),
  provider: some('prv_1'),
  model: some('mdl_1', 'mdl_2'),
  tier: some('tir_1', 'tir_2'),
  outcome: fc.constantFrom('COMPLETED' as const, 'REFUSED' as const, 'FAILED' as const),
  requestLabels: fc.dictionary(fc.constantFrom(...labelKeys), labelValue),
  quantity: fc.integer({ min: 0, max: 1_000_000 }),
})

interface World {
  owner: Actor
  cost: bigint
  tokens: number
  requests: number
  /** Every value that each dimension has in the records. */
  values: Map<SpendDimension, Set<string>>
  aliases: string[]
}

const worlds = new Map<number, Promise<World>>()

/** One for all that is asked of a seed. */
function world(seed: number): Promise<World> {
  const made = worlds.get(seed) ?? makeWorld(seed)
  worlds.set(seed, made)
  return made
}

async function makeWorld(seed: number): Promise<World> {
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, [...smallConfig, ['alias', { name: 'quick', model: 'model/small' }]])
  const aliasIds = await ctx.db.withTenant(owner.tenant, async (tx) => [
    (await findResource(tx, owner.tenant, 'alias/chat'))!.id,
    (await findResource(tx, owner.tenant, 'alias/quick'))!.id,
  ])
  const edges = [await testInstance(ctx, owner, 'edge'), await testInstance(ctx, owner, 'site')]
  const sample = fc.sample(given, { seed, numRuns: 90 })
  const values = new Map(spendDimensions.map((dimension) => [dimension, new Set<string>()]))
  for (const [index, edge] of edges.entries()) {
    const chain = new TestChain(edge)
    const records = sample
      .filter((_, at) => at % 2 === index)
      .map(({ quantity, ...fields }, at) => {
        const aliasId = [null, ...aliasIds][at % 3]!
        const meter = { cost: '0', meter: 'INPUT_TOKENS' as const, quantity, source: 'REPORTED' as const }
        const text = chain.next({ ...fields, aliasId, meters: [meter] })
        const record = { ...(JSON.parse(text) as FlightRecord), alias: aliasId }
        for (const [dimension, { field }] of Object.entries(dimensionFields))
          values.get(dimension as SpendDimension)!.add((record[field as 'team'] as string | null) ?? '')
        return text
      })
    const batch = { tenant: owner.tenant, epoch: edge.epoch, from: 0, records }
    expect(await acceptRecords(ctx, edge.instance, batch)).toHaveProperty('head')
  }
  await sequencer.drain()
  const cost = sample.reduce((sum, { costUnits }) => sum + costUnits, 0n)
  const tokens = sample.reduce((sum, { quantity }) => sum + quantity, 0)
  return { owner, cost, tokens, requests: sample.length, values, aliases: ['chat', 'quick'] }
}

const everything = { from: new Date(testStartMs - 5 * dayMs), to: new Date(testStartMs + dayMs) }

const ask = (owner: Actor, args: Partial<SpendArgs> = {}): Promise<SpendSeries> =>
  ctx.db.withTenant(owner.tenant, (tx) =>
    spend(tx, owner.tenant, { window: everything, interval: 'TOTAL', top: null, ...args }, ctx.clock.now()),
  )

function sums({ groups }: SpendSeries) {
  const points = groups.flatMap((group) => group.points)
  return {
    total: groups.reduce((sum, group) => sum + group.total, 0n),
    cost: points.reduce((sum, point) => sum + point.cost, 0n),
    tokens: points.reduce((sum, point) => sum + point.tokens, 0),
    requests: points.reduce((sum, point) => sum + point.requests, 0),
  }
}

const seeds = [1, 2, 3]

describe('totals of spend', () => {
  it.each(seeds)('are the same for every grouping, interval and number of groups shown (seed %i)', async (seed) => {
    const { owner, cost, tokens, requests } = await world(seed)
    const asked = fc.record({
      groupBy: fc.subarray([...spendDimensions]),
      groupByLabels: fc.subarray([...labelKeys, 'nobody has it']),
      interval: fc.constantFrom('TOTAL' as const, 'DAY' as const, 'HOUR' as const, 'MINUTE' as const, 'MONTH' as const),
      top: fc.constantFrom(null, 1, 2, 7, 1_000),
    })
    for (const args of fc.sample(asked, { seed, numRuns: 40 })) {
      const series = await ask(owner, args)
      expect(series.total).toBe(cost)
      expect(sums(series)).toEqual({ total: cost, cost, tokens, requests })
      if (args.top !== null) expect(series.groups.length).toBeLessThanOrEqual(args.top + 1)
    }
  })

  it.each(seeds)('are those of the parts, whatever filter divides them (seed %i)', async (seed) => {
    const { owner, cost, requests, values, aliases } = await world(seed)
    for (const dimension of spendDimensions) {
      const { field } = dimensionFields[dimension]
      const parts: SpendFilter[] = [...values.get(dimension)!].map((value) => ({ [field]: [value] }))
      if (dimension === 'ALIAS') parts.splice(0, parts.length, ...aliases.map((alias) => ({ alias: [alias] })))
      const answers = await Promise.all(parts.map((filter) => ask(owner, { filter, groupBy: ['PROJECT'], top: 1 })))
      // Aliases are asked for by name, and nothing has none.
      const without =
        dimension === 'ALIAS' ? (await ask(owner, { groupBy: ['ALIAS'] })).groups.find(isNone)! : undefined
      expect(answers.reduce((sum, { total }) => sum + total, without?.total ?? 0n)).toBe(cost)
      const counted = answers.reduce((sum, answer) => sum + sums(answer).requests, 0)
      expect(counted + (without?.points.reduce((sum, point) => sum + point.requests, 0) ?? 0)).toBe(requests)
      expect((await ask(owner, { filter: { [field]: [] } })).total).toBe(0n)
    }
    for (const label of labelKeys) {
      const { groups } = await ask(owner, { groupByLabels: [label] })
      for (const { key, total } of groups) {
        const filter = { requestLabels: JSON.parse(`{${JSON.stringify(label)}:${JSON.stringify(key[0]!.value)}}`) }
        // '' is also who has no such label.
        if (key[0]!.value !== '') expect((await ask(owner, { filter })).total).toBe(total)
      }
    }
  })

  it.each(seeds)('are those of the windows that divide the time (seed %i)', async (seed) => {
    const { owner, cost } = await world(seed)
    const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 6 * 24 * 60 }), { minLength: 1, maxLength: 5 })
    for (const minutes of fc.sample(cuts, { seed, numRuns: 10 })) {
      const edges = [0, ...minutes.sort((a, b) => a - b), 6 * 24 * 60]
      const parts = edges.slice(1).map((to, at) => {
        const place = (minute: number) => new Date(everything.from.getTime() + minute * 60_000)
        return ask(owner, { window: { from: place(edges[at]!), to: place(to) }, groupBy: ['TIER'], top: 1 })
      })
      const totals = (await Promise.all(parts)).map(({ total }) => total)
      expect(totals.reduce((sum, total) => sum + total, 0n)).toBe(cost)
    }
  })

  it.each(seeds)('are those of the records, read in pages of any size (seed %i)', async (seed) => {
    const { owner, cost, requests } = await world(seed)
    for (const first of [1, 7, 50, 100]) {
      let [sum, count] = [0n, 0]
      for (let after: { at: Date; id: string } | null = null; ; ) {
        const page: Awaited<ReturnType<typeof listRecords>> = await ctx.db.withTenant(owner.tenant, (tx) =>
          listRecords(tx, owner.tenant, { first, after }),
        )
        for (const { record } of page.rows) {
          sum += parseAmount(record.cost)!
          count++
        }
        const last = page.rows.at(-1)?.record
        if (!page.hasNext || !last) break
        after = { at: new Date(last.at), id: last.id }
      }
      expect([formatAmount(sum), count]).toEqual([formatAmount(cost), requests])
    }
  })

  it.each(seeds)('are those of the ticks that told them (seed %i)', async (seed) => {
    const { owner, cost, requests } = await world(seed)
    const stop = new AbortController()
    const args = { interval: 'TOTAL' as const, groupBy: ['TIER' as const], groupByLabels: labelKeys }
    for await (const { groups } of ctx.streams.spendTicks(owner, { ...args, after: fromStart }, stop.signal)) {
      const total = groups.reduce((sum, group) => sum + group.total, 0n)
      const counted = groups.flatMap(({ points }) => points).reduce((sum, point) => sum + point.requests, 0)
      expect([total, counted]).toEqual([cost, requests])
      const asked = await ask(owner, args)
      const shape = (series: { groups: SpendSeries['groups'] }) =>
        series.groups.map(({ key, total: one }) => `${JSON.stringify(key)} ${one}`).sort()
      expect(shape({ groups })).toEqual(shape(asked))
      stop.abort()
    }
  })
})

describe('live ticks', () => {
  it('take a label that a record has not for none, also where every object has a property of its name', () => {
    const none = { team: '', project: '', principal: '', apiKey: '', provider: '', model: '', alias: '', tier: '' }
    const dimensions = { ...none, dataPlane: '', requestLabels: { case: 'a' } }
    expect(valuesOf(dimensions, { groupByLabels: ['case', ...labelKeys] })).toEqual(['a', 'a', '', '', ''])
  })
})

const isNone = ({ key }: { key: { value: string }[] }) => key[0]!.value === ''
/** Before everything. */
const fromStart = Buffer.from('1.-1.0').toString('base64url')
