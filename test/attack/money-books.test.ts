import { and, eq, sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { budgetAdjustment, budgetCounter, flightRecord } from '../../control-plane/db/tables.ts'
import type { Actor } from '../../control-plane/domain/actor.ts'
import { auditActor } from '../../control-plane/domain/audit.ts'
import { acceptRecords } from '../../control-plane/domain/ingest.ts'
import { adjustCounter } from '../../control-plane/domain/ledger/adjust.ts'
import { balancesOf } from '../../control-plane/domain/ledger/balance.ts'
import { type LeaseDesk, openDesk } from '../../control-plane/domain/ledger/desk.ts'
import { takeRecalls } from '../../control-plane/domain/ledger/recalls.ts'
import { tend } from '../../control-plane/domain/ledger/tend.ts'
import { findResource } from '../../control-plane/domain/resources.ts'
import { startSequencer } from '../../control-plane/domain/sequencer.ts'
import { lockTenant } from '../../control-plane/domain/tenant-lock.ts'
import {
  declareAll,
  smallConfig,
  TestChain,
  type TestContext,
  testContext,
  testInstance,
  testStartMs,
  testTenant,
} from '../../control-plane/domain/test-context.ts'
import { windowAt } from '../../schema/budget-window.ts'
import type { HeldLease, LeaseCall, LeaseWant } from '../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'

let ctx: TestContext
let desk: LeaseDesk
beforeAll(async () => {
  ctx = await testContext()
  desk = openDesk(ctx)
})
afterAll(async () => {
  await desk.close()
  await ctx.stop()
})

const dayMs = 86_400_000
const daily = { period: 'DAY', windowMs: null, timeZone: 'UTC', anchorMs: null } as const
const dayOf = (atMs: number) => windowAt(daily, atMs)

/** A tenant with one budget of 100 a day, and one plane. */
async function house(fields: Record<string, unknown> = {}) {
  ctx.clock.nowMs = testStartMs
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, smallConfig)
  const limit = { amount: '100', currency: 'USD' }
  const { errors } = await declareAll(ctx, owner, [
    ['budget', { name: 'b', scope: owner.tenant, limit, period: 'DAY', ...fields }],
  ])
  expect(errors).toEqual([])
  const found = await ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, 'budget/b'))
  const plane = await testInstance(ctx, owner, 'edge')
  const call = (message: Partial<LeaseCall>) => {
    const rest = { leases: [], wants: [], whole: false, waitMs: 0 }
    const link = { instance: plane.instance, epoch: plane.epoch }
    return desk.call(link, { type: 'leaseCall', call: 1, tenant: owner.tenant, ...rest, ...message })
  }
  return { owner, plane, call, budget: found!.id }
}

const want = (budget: string, missing: string): LeaseWant => ({
  budget,
  subject: null,
  missing,
  perSecond: '0',
  next: false,
})

async function balanceOf({ tenant }: Actor) {
  const [balance] = await ctx.db.withTenant(tenant, (tx) => balancesOf(tx, tenant, { nowMs: ctx.clock.now() }))
  const { adjustments, available } = balance!
  return { adjustments: formatAmount(adjustments), available: formatAmount(available) }
}

async function adjust(owner: Actor, budget: string, amount: string, expiresAtMs: number | null = null) {
  const given = {
    budget,
    subject: '',
    reason: 'r',
    actor: auditActor(owner),
    amount: parseAmount(amount)!,
    expiresAtMs,
  }
  await ctx.db.withTenant(owner.tenant, async (tx) => {
    await lockTenant(tx, owner.tenant)
    await adjustCounter(tx, ctx, owner.tenant, given)
  })
}

describe('a plane that reports leases it never had', () => {
  it('makes no money: nothing of a window that nobody was granted anything in is carried over', async () => {
    const { owner, call, budget } = await house({ carryOver: true })
    await call({ wants: [want(budget, '1')] })
    const nothing = { granted: '0', returned: '0', mac: '' }
    const leases = Array.from({ length: 5 }, (_, back): HeldLease => {
      const window = dayOf(testStartMs - (back + 1) * dayMs)
      return { budget, subject: null, window, epoch: 1, ...nothing }
    })
    await call({ leases })
    for (let times = 0; times < 2; times++) await tend(ctx)
    expect(await balanceOf(owner)).toEqual({ adjustments: '0', available: '99' })
  })

  it('makes none by a second history of windows that are over either', async () => {
    const { owner, plane, call, budget } = await house({ carryOver: true })
    await call({ wants: [want(budget, '1')] })
    const deliver = (record: string) =>
      acceptRecords(ctx, plane.instance, { tenant: owner.tenant, epoch: plane.epoch, from: 0, records: [record] })
    const [own, other] = [new TestChain(plane), new TestChain(plane)]
    await deliver(own.next({}))
    const window = dayOf(testStartMs - dayMs)
    const posting = { amount: '0.01', budget, leaseEpoch: plane.epoch, subject: null, window }
    const forked = other.next({ costUnits: parseAmount('0.01')!, reserved: '0.01', postings: [posting] })
    expect(await deliver(forked)).toMatchObject({ refused: true })
    for (let times = 0; times < 2; times++) await tend(ctx)
    expect(await balanceOf(owner)).toEqual({ adjustments: '0', available: '99' })
  })

  it('leaves no counters behind', async () => {
    const { owner, call, budget } = await house()
    const lease = { window: { from: 1, to: 2 }, epoch: 1, granted: '0', returned: '0', mac: '' }
    const names = ['bdg_none', budget].flatMap((of) => ['x', 'y'].map((subject) => ({ budget: of, subject })))
    await call({ leases: names.map((name) => ({ ...name, ...lease })) })
    const rows = await ctx.db.withTenant(owner.tenant, (tx) =>
      tx.select().from(budgetCounter).where(eq(budgetCounter.tenant, owner.tenant)),
    )
    expect(rows).toEqual([])
  })
})

describe('money that is taken away', () => {
  it('from a budget whose planes hold it is asked back at once', async () => {
    const { owner, plane, call, budget } = await house()
    await call({ wants: [want(budget, '80')] })
    await adjust(owner, budget, '-70')
    expect(await takeRecalls(ctx, owner.tenant, [plane.instance])).toMatchObject([{ amount: '50' }])
  })

  it('with the end of an adjustment is asked back, too', async () => {
    const { owner, plane, call, budget } = await house()
    await adjust(owner, budget, '50', testStartMs + 1_000)
    await call({ wants: [want(budget, '140')] })
    ctx.clock.nowMs += 1_000
    await tend(ctx)
    expect(await takeRecalls(ctx, owner.tenant, [plane.instance])).toMatchObject([{ amount: '40' }])
  })
})

describe('what one tenant does', () => {
  const absurd = '99999999999999999999999999'

  it('cannot be a record whose cost is more than many of its kind could be added up', async () => {
    const { plane, owner } = await house()
    const record = new TestChain(plane).next({ costUnits: parseAmount(absurd)!, reserved: absurd })
    const batch = { tenant: owner.tenant, epoch: plane.epoch, from: 0, records: [record] }
    expect(await acceptRecords(ctx, plane.instance, batch)).toMatchObject({ refused: true, head: null })
  })

  it('cannot be a limit, a price or a ceiling that sums of money have no room for', async () => {
    const { owner } = await house()
    const line = (amount: string, per = 1) => ({ lines: [{ model: 'model/small', meter: 'REQUESTS', amount, per }] })
    const dear = { amount: absurd, currency: 'USD' }
    const tries = [
      ['budget', { name: 'b', scope: owner.tenant, limit: dear, period: 'DAY' }],
      ['priceSheet', { name: 'p', ...line(absurd) }],
      ['priceSheet', { name: 'p', exchangeRate: absurd, ...line('1') }],
      ['priceSheet', { name: 'p', unpricedCeiling: dear }],
    ] as const
    for (const one of tries) {
      const { errors } = await declareAll(ctx, owner, [one as never])
      expect(errors.map(({ message }) => message)).toContainEqual(expect.stringMatching(/10¹⁵|10⁶/))
    }
  })

  it('and cannot be worked on does not keep the records of others from being numbered', async () => {
    const [broken, sound] = [await house(), await house()]
    for (const { plane, owner } of [broken, sound]) {
      const batch = { tenant: owner.tenant, epoch: plane.epoch, from: 0, records: [new TestChain(plane).next({})] }
      expect(await acceptRecords(ctx, plane.instance, batch)).toHaveProperty('head')
    }
    const ofTenant = ({ owner }: typeof sound) => eq(flightRecord.tenant, owner.tenant)
    await ctx.db.withTenant(broken.owner.tenant, (tx) =>
      tx.update(flightRecord).set({ body: 'no JSON' }).where(ofTenant(broken)),
    )
    const faults: unknown[] = []
    const sequencer = await startSequencer(ctx, (fault) => faults.push(fault))
    const numbered = () =>
      ctx.db.withTenant(sound.owner.tenant, (tx) =>
        tx
          .select()
          .from(flightRecord)
          .where(and(ofTenant(sound), sql`number is not null`)),
      )
    for (let tries = 0; tries < 100 && (await numbered()).length === 0; tries++) await Bun.sleep(50)
    await sequencer.stop()
    expect(await numbered()).toHaveLength(1)
    expect(faults).not.toEqual([])
  })

  it('and cannot be written does not keep the ledger from tending the others', async () => {
    const [broken, sound] = [await house(), await house()]
    for (const { owner, budget } of [broken, sound]) await adjust(owner, budget, '50', testStartMs + 1_000)
    const { tenant } = broken.owner
    await ctx.db.withTenant(tenant, async (tx) => {
      await tx.update(budgetCounter).set({ adjustments: absurd }).where(eq(budgetCounter.tenant, tenant))
      await tx
        .update(budgetAdjustment)
        .set({ amount: `-${absurd}` })
        .where(eq(budgetAdjustment.tenant, tenant))
    })
    ctx.clock.nowMs += 1_000
    await expect(tend(ctx)).rejects.toThrow()
    expect(await balanceOf(sound.owner)).toEqual({ adjustments: '0', available: '100' })
  })
})
