import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { budgetCounter, lease } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { findResource } from '../resources.ts'
import { declareAll, type TestContext, testContext, testStartMs, testTenant } from '../test-context.ts'
import { balancesOf } from './balance.ts'
import { allTime } from './counter.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const day = { from: Date.parse('2026-11-22'), to: Date.parse('2026-11-23') }

async function budgetOf(owner: Actor, fields: Record<string, unknown>): Promise<string> {
  const limit = { amount: '100', currency: 'USD' }
  const applied = await declareAll(ctx, owner, [['budget', { name: 'b', scope: owner.tenant, limit, ...fields }]])
  expect(applied.errors).toEqual([])
  return ctx.db.withTenant(owner.tenant, async (tx) => (await findResource(tx, owner.tenant, 'budget/b'))!.id)
}

const balances = (owner: Actor, subjects?: string[]) =>
  ctx.db.withTenant(owner.tenant, (tx) => balancesOf(tx, owner.tenant, { nowMs: ctx.clock.now(), subjects }))

const terms = { adjustments: 0n, overruns: 0n, released: 0n, leased: 0n, spent: 0n }
const unit = 10n ** 12n

describe('balances', () => {
  it('of a budget that nothing was leased from are its limit', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner, { period: 'DAY' })
    const limit = 100n * unit
    expect(await balances(owner)).toEqual([{ budget, subject: null, window: day, limit, available: limit, ...terms }])
  })

  it('count posted and presumed money as spent, and the rest of leases as leased', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner, { period: 'DAY', per: 'API_KEY' })
    const place = { tenant: owner.tenant, budget, subject: 'key_a', windowFrom: day.from, windowTo: day.to }
    const createdAt = new Date(testStartMs)
    const row = { ...place, createdAt, rolling: false }
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      await tx.insert(budgetCounter).values({ ...place, createdAt, limit: '100', committed: '65', overruns: '0' })
      await tx.insert(lease).values([
        { ...row, instance: 'a', epoch: 1, granted: '50', returned: '5', posted: '10' },
        { ...row, instance: 'b', epoch: 1, granted: '20', posted: '8', writtenOffAt: createdAt },
        // It cost more than it was granted, and nobody has granted that yet.
        { ...row, instance: 'c', epoch: 1, granted: '0', posted: '2' },
      ])
    })
    const [balance] = await balances(owner)
    expect(balance).toMatchObject({ leased: 35n * unit, spent: 32n * unit, available: 33n * unit })
    expect((await balances(owner, ['key_b'])).map(({ subject }) => subject)).toEqual(['key_b'])
  })

  it('of a rolling budget leave out what left the ring and is settled', async () => {
    const { owner } = await testTenant(ctx)
    const budget = await budgetOf(owner, { period: 'ROLLING', window: 'PT1H' })
    const place = { tenant: owner.tenant, budget, subject: '' }
    const counter = { windowFrom: allTime.from, windowTo: allTime.to }
    const createdAt = new Date(testStartMs)
    const step = { windowFrom: 0, windowTo: 150_000, createdAt, rolling: true, instance: 'a' }
    const aged = { agedAt: createdAt, granted: '30', returned: '10', aged: '20' }
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      const totals = { limit: '100', committed: '5', released: '40' }
      await tx.insert(budgetCounter).values({ ...place, ...counter, createdAt, ...totals })
      await tx.insert(lease).values([
        { ...place, ...step, epoch: 1, ...aged, posted: '20' },
        { ...place, ...step, epoch: 2, ...aged, posted: '15' },
        { ...place, ...step, epoch: 3, granted: '5', posted: '5' },
      ])
    })
    const [balance] = await balances(owner)
    const { limit, adjustments, overruns, released, available, leased, spent, window } = balance!
    expect([released, leased, spent, available]).toEqual([20n, 5n, 20n, 95n].map((amount) => amount * unit))
    expect(limit + adjustments + overruns + released).toBe(available + leased + spent)
    expect(window.to - window.from).toBe(3_600_000)
  })
})
