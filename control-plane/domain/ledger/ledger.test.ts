import { and, asc, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { windowAt } from '../../../schema/budget-window.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import type { KnownLease, LeaseAnswer, LeaseCall } from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { SnapshotConfig } from '../../../schema/snapshot.ts'
import { auditEntry, ledgerEntry } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { archive } from '../apply.ts'
import { auditActor } from '../audit.ts'
import { acceptRecords } from '../ingest.ts'
import { openEpoch } from '../planes.ts'
import { findResource } from '../resources.ts'
import { part, snapshotOf } from '../snapshots.ts'
import { lockTenant } from '../tenant-lock.ts'
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
} from '../test-context.ts'
import { adjustCounter } from './adjust.ts'
import { type Balance, balancesOf } from './balance.ts'
import { type LeaseDesk, openDesk } from './desk.ts'
import { takeRecalls } from './recalls.ts'
import { tend } from './tend.ts'
import { writeOffLeases } from './write-off.ts'

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

const hello = { bootId: 'b', host: 'h', version: '1' }
const minuteMs = 60_000

/** A tenant with one budget of 100, and planes that keep what they were told. */
async function house(fields: Record<string, unknown> = {}, planes = 1) {
  ctx.clock.nowMs = testStartMs
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, smallConfig)
  await declareBudget(owner, fields)
  const budget = await ctx.db.withTenant(owner.tenant, async (tx) => {
    return (await findResource(tx, owner.tenant, 'budget/b'))!.id
  })
  const made: Plane[] = []
  for (let number = 0; number < planes; number++)
    made.push(new Plane(await testInstance(ctx, owner, `edge${number}`), budget))
  return { owner, budget, planes: made, plane: made[0]! }
}

async function declareBudget(owner: Actor, fields: Record<string, unknown>) {
  const limit = { amount: '100', currency: 'USD' }
  const whole = { name: 'b', scope: owner.tenant, limit, period: 'DAY', ...fields }
  expect((await declareAll(ctx, owner, [['budget', whole]])).errors).toEqual([])
}

interface Asking {
  missing?: string
  perSecond?: string
  waitMs?: number
  returned?: string
  whole?: boolean
  next?: boolean
  subject?: string | null
  granted?: string
  mac?: string
}

class Plane {
  readonly of: TestInstance
  readonly chain: TestChain
  epoch: number
  lease: KnownLease | undefined
  #sequence = 0
  readonly #budget: string

  constructor(of: TestInstance, budget: string) {
    this.of = of
    this.epoch = of.epoch
    this.chain = new TestChain(of)
    this.#budget = budget
  }

  message({
    missing = '0',
    perSecond = '0',
    waitMs = 0,
    next = false,
    subject = null,
    ...rest
  }: Asking = {}): LeaseCall {
    const { lease } = this
    const reported = lease && { granted: lease.granted, mac: lease.mac, returned: rest.returned ?? lease.returned }
    const name = lease && { budget: lease.budget, subject: lease.subject, window: lease.window, epoch: lease.epoch }
    const given = { ...(rest.granted && { granted: rest.granted }), ...(rest.mac && { mac: rest.mac }) }
    return {
      ...{ type: 'leaseCall', call: 1, tenant: this.of.tenant, whole: rest.whole ?? false, waitMs },
      leases: name && reported ? [{ ...name, ...reported, ...given }] : [],
      wants: [{ budget: this.#budget, subject, missing, perSecond, next }],
    }
  }

  async ask(asking: Asking = {}): Promise<LeaseAnswer> {
    const answer = await desk.call({ instance: this.of.instance, epoch: this.epoch }, this.message(asking))
    if ('fault' in answer) throw new Error(answer.fault)
    this.lease = answer.leases.at(-1) ?? this.lease
    return answer
  }

  posting(amount: string, fields: Partial<RecordPosting> = {}): RecordPosting {
    if (!this.lease) return { amount, ...fields } as RecordPosting
    const { budget, subject, window, epoch } = this.lease
    return { amount, budget, leaseEpoch: epoch, subject, window, ...fields }
  }

  /** Delivers one record that posts what it cost. */
  async spend(amount: string, fields: Parameters<TestChain['next']>[0] = {}, posting: Partial<RecordPosting> = {}) {
    const record = this.chain.next({
      ...{ costUnits: parseAmount(amount)!, reserved: amount, postings: [this.posting(amount, posting)], ...fields },
    })
    return this.deliver(record)
  }

  deliver(record: string, from = this.#sequence++) {
    const { tenant, epoch, instance } = this.of
    return acceptRecords(ctx, instance, { tenant, epoch, from, records: [record] })
  }
}

async function balanceOf(owner: Actor): Promise<Record<keyof Balance, unknown>> {
  const [balance] = await ctx.db.withTenant(owner.tenant, (tx) =>
    balancesOf(tx, owner.tenant, { nowMs: ctx.clock.now() }),
  )
  const { limit, adjustments, overruns, released, available, leased, spent } = balance!
  expect(limit + adjustments + overruns + released).toBe(available + leased + spent)
  return Object.fromEntries(
    Object.entries(balance!).map(([name, value]) => [name, typeof value === 'bigint' ? formatAmount(value) : value]),
  ) as Record<keyof Balance, unknown>
}

const entriesOf = (owner: Actor) =>
  ctx.db.withTenant(owner.tenant, async (tx) => {
    const rows = await tx
      .select()
      .from(ledgerEntry)
      .where(eq(ledgerEntry.tenant, owner.tenant))
      .orderBy(asc(ledgerEntry.id))
    return rows.map(({ kind, amount }) => [kind, formatAmount(parseAmount(amount)!)])
  })

const auditsOf = (owner: Actor, action: string) =>
  ctx.db.withTenant(owner.tenant, (tx) =>
    tx
      .select()
      .from(auditEntry)
      .where(and(eq(auditEntry.tenant, owner.tenant), eq(auditEntry.action, action))),
  )

describe('a lease call', () => {
  it('is granted what it lacks and answered with totals that the control plane proves', async () => {
    const { owner, plane } = await house()
    const { refused, leases } = await plane.ask({ missing: '10' })
    expect(refused).toBeNull()
    expect(leases).toMatchObject([{ granted: '10', returned: '0', posted: '0', epoch: plane.epoch }])
    expect(await balanceOf(owner)).toMatchObject({ available: '90', leased: '10', spent: '0' })
    const again = await plane.ask({ missing: '10', returned: '4' })
    expect(again.leases).toMatchObject([{ granted: '20', returned: '4' }])
    expect(await balanceOf(owner)).toMatchObject({ available: '84', leased: '16' })
  })

  it('that is short has the others asked, waits, and is served when they give back', async () => {
    const { owner, planes } = await house({}, 2)
    const [rich, poor] = planes as [Plane, Plane]
    await rich.ask({ missing: '95' })
    const served = poor.ask({ missing: '20', waitMs: 5_000 })
    const taken = async () => {
      for (;;) {
        const recalls = await takeRecalls(ctx, owner.tenant, [rich.of.instance])
        if (recalls.length > 0) return recalls
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    expect(await taken()).toMatchObject([{ amount: '15', subject: null }])
    await rich.ask({ returned: '15' })
    expect((await served).leases).toMatchObject([{ granted: '20' }])
  })

  it('that stays short says what is missing and what is there, and who came first is served first', async () => {
    const { planes } = await house({}, 4)
    const [rich, first, second, third] = planes as [Plane, Plane, Plane, Plane]
    await rich.ask({ missing: '95' })
    const { refused, short } = await first.ask({ missing: '20' })
    expect([refused, short]).toMatchObject(['SHORT', [{ missing: '20', available: '5' }]])
    const order: string[] = []
    const waits = [first, second].map((plane, index) =>
      plane.ask({ missing: '10', waitMs: 5_000 }).then(() => order.push(String(index))),
    )
    // It would fit, but others stand in front: its last try is made when its own time is over.
    const last = await third.ask({ missing: '1', waitMs: 50 })
    expect(last.refused).toBeNull()
    await rich.ask({ returned: '10' })
    await rich.ask({ returned: '30' })
    await Promise.all(waits)
    expect(order).toEqual(['0', '1'])
  })

  it('with a false proof is a fault, and with a true one that is larger than the books it restores them', async () => {
    const { owner, plane, planes } = await house({}, 2)
    await plane.ask({ missing: '10' })
    const forged = plane.message({ granted: '50' })
    const link = { instance: plane.of.instance, epoch: plane.epoch }
    expect(await desk.call(link, forged)).toHaveProperty('fault')
    expect(await balanceOf(owner)).toMatchObject({ leased: '10' })

    const old = { ...plane.lease! }
    await plane.ask({ missing: '30' })
    await setBack(owner, old.granted)
    expect((await plane.ask({ missing: '1', whole: true })).refused).toBe('RECOVERING')
    expect(await balanceOf(owner)).toMatchObject({ leased: '40' })
    expect(await entriesOf(owner)).toEqual([['RESTORED', '30']])
    expect(await auditsOf(owner, 'budget.restored')).toHaveLength(1)

    expect((await plane.ask({ missing: '1' })).refused).toBe('RECOVERING')
    expect((await planes[1]!.ask({ missing: '1', whole: true })).refused).toBeNull()
    expect((await plane.ask({ missing: '1' })).refused).toBeNull()
  })

  it('that names a counter by what cannot be stored is a fault of its link alone', async () => {
    const { plane } = await house()
    const message = plane.message({ subject: 'a\0', missing: '1' })
    expect(await desk.call({ instance: plane.of.instance, epoch: plane.epoch }, message)).toHaveProperty('fault')
  })

  it('that reports everything hears of a grant that it never kept, so that it can give it back', async () => {
    const { plane } = await house()
    await plane.ask({ missing: '10' })
    const lost = plane.lease!
    plane.lease = undefined
    plane.epoch = await openEpoch(ctx, plane.of.instance, hello)
    const { leases } = await plane.ask({ whole: true })
    expect(leases).toEqual([expect.objectContaining({ epoch: lost.epoch, granted: lost.granted })])
  })

  it('is refused at once where all that is out could not make up what is missing', async () => {
    const { plane } = await house()
    const beganMs = performance.now()
    expect((await plane.ask({ missing: '101', waitMs: 30_000 })).refused).toBe('SHORT')
    expect(performance.now() - beganMs).toBeLessThan(15_000)
  })

  it('is granted what it lacks and no more while others wait for the same money', async () => {
    const { planes } = await house({}, 3)
    await planes[0]!.ask({ missing: '90' })
    const waiting = planes[1]!.ask({ missing: '50', waitMs: 2_000 })
    const { leases } = await planes[2]!.ask({ missing: '1', perSecond: '10' })
    expect(leases.map(({ granted }) => granted)).toEqual(['1'])
    expect((await waiting).refused).toBe('SHORT')
    expect((await planes[2]!.ask({ missing: '1', perSecond: '10' })).leases.at(-1)!.granted).not.toBe('2')
  })

  it('of an older link is reported, and granted nothing', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '10' })
    const newest = await openEpoch(ctx, plane.of.instance, hello)
    expect((await plane.ask({ missing: '1', returned: '3' })).refused).toBe('FENCED')
    expect(await balanceOf(owner)).toMatchObject({ leased: '7' })
    plane.epoch = newest
    expect((await plane.ask({ missing: '1' })).leases.map(({ epoch }) => epoch)).toEqual([newest - 1, newest])
  })
})

/** As if the database came from a backup that is older than every lease. */
async function forgetLeases(owner: Actor) {
  const { lease, budgetCounter } = await import('../../db/tables.ts')
  await ctx.db.withTenant(owner.tenant, async (tx) => {
    await tx.delete(lease).where(eq(lease.tenant, owner.tenant))
    await tx.delete(budgetCounter).where(eq(budgetCounter.tenant, owner.tenant))
  })
}

/** As if the database came from a backup. */
async function setBack(owner: Actor, granted: string) {
  const { lease, budgetCounter } = await import('../../db/tables.ts')
  await ctx.db.withTenant(owner.tenant, async (tx) => {
    await tx.update(lease).set({ granted }).where(eq(lease.tenant, owner.tenant))
    await tx.update(budgetCounter).set({ committed: granted }).where(eq(budgetCounter.tenant, owner.tenant))
  })
}

describe('records', () => {
  it('raise what was posted of exactly the leases they name, once', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '10' })
    const record = plane.chain.next({ costUnits: parseAmount('4')!, reserved: '4', postings: [plane.posting('4')] })
    for (let times = 0; times < 2; times++) await plane.deliver(record, 0)
    expect(await balanceOf(owner)).toMatchObject({ leased: '6', spent: '4', available: '90' })
  })

  it('that name a lease the instance does not hold, or post another sum than they cost, are quarantined', async () => {
    for (const broken of ['lease', 'sum']) {
      const { owner, plane } = await house()
      await plane.ask({ missing: '10' })
      await plane.spend('1')
      const wrong =
        broken === 'lease'
          ? plane.spend('1', {}, { leaseEpoch: 9 })
          : plane.spend('2', { postings: [plane.posting('3')] })
      expect(await wrong).toMatchObject({ refused: true, head: null })
      expect(await balanceOf(owner)).toMatchObject({ spent: '1' })
      expect(await auditsOf(owner, 'chain.quarantine')).toHaveLength(1)
    }
  })

  it('that spend from leases which a restore forgot are taken while the books recover, and their epochs are not given again', async () => {
    const { owner, plane } = await house({}, 2)
    await plane.ask({ missing: '10' })
    const link = await openEpoch(ctx, plane.of.instance, { ...hello, epoch: 40 })
    expect(link).toBe(41)
    expect((await plane.ask({ missing: '1' })).refused).toBe('FENCED')
    plane.epoch = link
    expect((await plane.ask({ missing: '1' })).refused).toBe('RECOVERING')
    expect(await plane.spend('3', {}, { leaseEpoch: 39 })).toHaveProperty('head')
    expect(await balanceOf(owner)).toMatchObject({ spent: '3' })
    expect(await auditsOf(owner, 'chain.quarantine')).toHaveLength(0)
  })

  it('that overtake what their instance says of its leases after a restore wait for it', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '10', whole: true })
    await forgetLeases(owner)
    ctx.clock.nowMs += 1_000
    plane.epoch = await openEpoch(ctx, plane.of.instance, hello)
    const delivered = plane.spend('3')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await plane.ask({ whole: true })).leases[0]).toMatchObject({ granted: '10' })
    expect(await delivered).toMatchObject({ head: { sequence: 0 } })
    expect(await auditsOf(owner, 'chain.quarantine')).toHaveLength(0)
    expect(await balanceOf(owner)).toMatchObject({ spent: '3' })
  })

  it('that cost more than was reserved take an overrun, to the cent, and end the trust in the bounds of their model', async () => {
    const { owner, plane } = await house()
    const model = await ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, 'model/small'))
    await plane.ask({ missing: '90' })
    await plane.spend('100.25', { reserved: '90', model: model!.id })
    expect(await balanceOf(owner)).toMatchObject({ overruns: '0.25', available: '0', leased: '0', spent: '100.25' })
    expect(await entriesOf(owner)).toEqual([['OVERRUN', '0.25']])
    expect(await auditsOf(owner, 'budget.overrun')).toHaveLength(1)
    expect(await isDistrusted(owner)).toBe(true)
    await declareAll(ctx, owner, [['model', { name: 'small', maxOutputTokens: 9_000 }]])
    expect(await isDistrusted(owner)).toBe(false)
  })

  it('of a WARN budget are posted from no lease, also after it was archived', async () => {
    const { owner, plane, budget } = await house({ onExhausted: 'WARN' })
    const window = windowAt({ period: 'DAY', windowMs: null, timeZone: 'UTC', anchorMs: null }, testStartMs)
    const unleased = { budget, subject: null, window, leaseEpoch: 0 }
    for (const amount of ['70', '50']) expect(await plane.spend(amount, {}, unleased)).toHaveProperty('head')
    expect(await balanceOf(owner)).toMatchObject({ spent: '120', available: '-20', leased: '0' })
    const { revision } = await declareAll(ctx, owner, [])
    expect((await archive(ctx, owner, { refs: ['budget/b'], ifRevision: revision, dryRun: false })).errors).toEqual([])
    expect(await plane.spend('1', {}, unleased)).toHaveProperty('head')
  })

  it('of a second history under one name are an overrun, and that instance is granted nothing more', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '50' })
    const copy = new TestChain(plane.of)
    await plane.spend('10')
    const other = copy.next({ costUnits: parseAmount('7')!, reserved: '7', postings: [plane.posting('7')] })
    expect(await plane.deliver(other, 0)).toMatchObject({ refused: true, head: null })
    expect(await balanceOf(owner)).toMatchObject({ overruns: '7', spent: '17', leased: '40', available: '50' })
    expect(await entriesOf(owner)).toEqual([['FORK', '7']])
    expect((await plane.ask({ missing: '1' })).refused).toBe('FENCED')
  })
})

async function isDistrusted(owner: Actor): Promise<boolean | undefined> {
  const { manifest } = await snapshotOf(ctx, owner.tenant)
  const listed = JSON.parse(manifest.toString()) as {
    parts: { name: string; digest: string }[] | Record<string, { digest: string }>
  }
  const digest = Array.isArray(listed.parts)
    ? listed.parts.find(({ name }) => name === 'config')!.digest
    : listed.parts.config!.digest
  const bytes = await part(ctx, owner.tenant, digest)
  return (JSON.parse(bytes!.toString()) as SnapshotConfig).models[0]!.boundsBroken
}

describe('a lost instance', () => {
  it('has its lease presumed spent; late records take the place of that, and returns release the rest', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '40' })
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      await lockTenant(tx, owner.tenant)
      const written = await writeOffLeases(tx, ctx, owner.tenant, { instance: plane.of.instance })
      expect(written).toHaveLength(1)
    })
    expect(await balanceOf(owner)).toMatchObject({ spent: '40', leased: '0', available: '60' })
    await plane.spend('10')
    expect(await balanceOf(owner)).toMatchObject({ spent: '40', available: '60' })
    plane.epoch = await openEpoch(ctx, plane.of.instance, hello)
    await plane.ask({ returned: '30', whole: true })
    expect(await balanceOf(owner)).toMatchObject({ spent: '10', available: '90' })
    expect(await entriesOf(owner)).toEqual([
      ['WRITTEN_OFF', '40'],
      ['RELEASED', '30'],
    ])
  })

  it('is presumed lost by itself where its fleet says after how long', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '40' })
    await declareAll(ctx, owner, [['dataPlane', { name: 'edge0', presumeLostAfter: 'PT10M' }]])
    ctx.clock.nowMs += 9 * minuteMs
    await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ leased: '40' })
    ctx.clock.nowMs += 2 * minuteMs
    await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ leased: '0', spent: '40' })
    expect(await auditsOf(owner, 'lease.writeOff')).toHaveLength(1)
  })
})

describe('time', () => {
  it('carries over what was left once the last lease of the old window is closed', async () => {
    const { owner, plane } = await house({ carryOver: true })
    await plane.ask({ missing: '40' })
    ctx.clock.nowMs += 24 * 60 * minuteMs
    await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ available: '100', adjustments: '0' })
    await plane.spend('15')
    await plane.ask({ returned: '25' })
    for (let times = 0; times < 2; times++) await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ available: '185', adjustments: '85' })
  })

  it('ends an adjustment, and lets what leaves the ring be spent again', async () => {
    const { owner, plane, budget } = await house({ period: 'ROLLING', window: 'PT1H' })
    const given = { budget, subject: '', reason: 'r', actor: auditActor(owner), amount: parseAmount('50')! }
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      await lockTenant(tx, owner.tenant)
      await adjustCounter(tx, ctx, owner.tenant, { ...given, expiresAtMs: testStartMs + minuteMs })
    })
    await plane.ask({ missing: '120' })
    await plane.spend('120')
    expect(await balanceOf(owner)).toMatchObject({ adjustments: '50', available: '30', spent: '120' })
    ctx.clock.nowMs += minuteMs
    await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ adjustments: '0', available: '-20', spent: '120' })
    ctx.clock.nowMs += 60 * minuteMs
    await tend(ctx)
    expect(await balanceOf(owner)).toMatchObject({ available: '100', spent: '0', released: '0' })
    expect((await entriesOf(owner)).map(([kind]) => kind)).toEqual(['ADJUSTED', 'ADJUSTMENT_ENDED', 'AGED'])
  })

  it('of another period takes over what the old windows spent of it', async () => {
    const { owner, plane } = await house()
    await plane.ask({ missing: '40' })
    await plane.spend('15')
    await declareBudget(owner, { period: 'MONTH' })
    plane.lease = undefined
    await plane.ask({ missing: '1' })
    expect(await balanceOf(owner)).toMatchObject({ adjustments: '-40', available: '59', leased: '1' })
  })

  it('asks for money back at once where a limit is set below what is out', async () => {
    const { recallLowered } = await import('./lowered.ts')
    const { owner, plane } = await house()
    await plane.ask({ missing: '80' })
    await declareBudget(owner, { limit: { amount: '30', currency: 'USD' } })
    await recallLowered(ctx, owner.tenant)
    expect(await takeRecalls(ctx, owner.tenant, [plane.of.instance])).toMatchObject([{ amount: '50' }])
    expect(await balanceOf(owner)).toMatchObject({ available: '-50' })
    expect((await plane.ask({ missing: '1' })).short).toMatchObject([{ available: '0' }])
  })
})
