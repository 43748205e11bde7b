import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAmount } from '../../../schema/money.ts'
import { lease } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { balancesOf } from '../ledger/balance.ts'
import { gone } from '../plane-links.ts'
import { declareAll, type TestContext, testContext, testInstance, testTenant } from '../test-context.ts'
import { budgetAdjust } from './adjust.ts'
import { leaseWriteOff } from './write-off.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

async function world() {
  const { owner } = await testTenant(ctx)
  const limit = { amount: '100', currency: 'USD' }
  const applied = await declareAll(ctx, owner, [['budget', { name: 'b', scope: owner.tenant, limit, period: 'DAY' }]])
  expect(applied.errors).toEqual([])
  return { owner }
}

const input = (more: object = {}) => ({
  ...{
    idempotencyKey: randomUUID(),
    budget: 'budget/b',
    amount: { amount: '50.5', currency: 'USD' },
    reason: 'launch',
  },
  ...more,
})

const available = (owner: Actor) =>
  ctx.db.withTenant(owner.tenant, async (tx) => {
    const [balance] = await balancesOf(tx, owner.tenant, { nowMs: ctx.clock.now() })
    return balance!.available
  })

describe('an adjustment', () => {
  it('is made once for each idempotency key, and a replay tells what was made', async () => {
    const { owner } = await world()
    const given = input()
    const first = await budgetAdjust(ctx, owner, given)
    const again = await budgetAdjust(ctx, owner, given)
    expect([first.errors, again.errors, again.replayed]).toEqual([[], [], true])
    expect(again.adjustment).toEqual(first.adjustment)
    expect(first.audit).toMatchObject({ action: 'budget.adjust', reason: 'launch' })
    expect(await available(owner)).toBe(parseAmount('150.5'))
    const other = await budgetAdjust(ctx, owner, { ...given, reason: 'another' })
    expect(other.errors).toMatchObject([{ code: 'IDEMPOTENCY_KEY_REUSED' }])
  })

  it('says all that is wrong with it at once, and then nothing is changed', async () => {
    const { owner } = await world()
    const amount = { amount: '0', currency: 'EUR' }
    const odd = await budgetAdjust(ctx, owner, input({ amount, reason: ' ', expiresAt: 'soon', subject: 'x' }))
    expect(odd.errors.map(({ path }) => path.join('.')).sort()).toEqual([
      'amount.amount',
      'amount.currency',
      'expiresAt',
      'reason',
      'subject',
    ])
    const missing = await budgetAdjust(ctx, owner, input({ budget: 'budget/none' }))
    expect(missing.errors).toMatchObject([{ code: 'NOT_FOUND', ref: 'budget/none' }])
    expect(await available(owner)).toBe(parseAmount('100'))
  })

  it('needs config:write, and the attempt is in the audit log', async () => {
    const { owner } = await world()
    const viewer = { ...owner, permissions: new Set(['config:read', 'spend:read']) } as Actor
    const refused = await budgetAdjust(ctx, viewer, input())
    expect(refused.errors).toMatchObject([{ code: 'NOT_PERMITTED', permission: 'config:write' }])
    expect(refused.audit).toMatchObject({ allowed: false })
  })
})

describe('a write-off', () => {
  const lost = (instance: string, more: object = {}) => ({
    idempotencyKey: randomUUID(),
    instance,
    reason: 'gone',
    ...more,
  })

  it('presumes spent what a gateway held that is away, and refuses one that is connected', async () => {
    const { owner } = await world()
    const { instance, epoch } = await testInstance(ctx, owner)
    const { budget, adjustment } = await budgetAdjust(ctx, owner, input({ amount: { amount: '1', currency: 'USD' } }))
    const { windowFrom, windowTo } = adjustment!
    const row = { tenant: owner.tenant, budget: budget!.id, subject: '', windowFrom, windowTo, instance, epoch }
    const totals = { rolling: false, granted: '30', returned: '5', posted: '10', createdAt: new Date(ctx.clock.now()) }
    await ctx.db.withTenant(owner.tenant, (tx) => tx.insert(lease).values({ ...row, ...totals }))
    expect((await leaseWriteOff(ctx, owner, lost(instance))).errors).toMatchObject([{ path: ['instance'] }])
    await gone(ctx, { instance, epoch })
    const given = lost(instance)
    const done = await leaseWriteOff(ctx, owner, given)
    expect([done.errors, done.leases.length]).toEqual([[], 1])
    expect(await leaseWriteOff(ctx, owner, given)).toMatchObject({ replayed: true, leases: [{ instance }] })
    const [balance] = await ctx.db.withTenant(owner.tenant, (tx) =>
      balancesOf(tx, owner.tenant, { nowMs: ctx.clock.now() }),
    )
    expect([balance!.spent, balance!.leased]).toEqual([parseAmount('25'), 0n])
    const nobody = await leaseWriteOff(ctx, owner, lost('ins_nobody', { budget: 'budget/none' }))
    expect(nobody.errors.map(({ code }) => code)).toEqual(['NOT_FOUND', 'NOT_FOUND'])
  })
})
