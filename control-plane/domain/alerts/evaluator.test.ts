import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mintId } from '../../../schema/ids.ts'
import { budgetCounter, lease } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { acceptRecords } from '../ingest.ts'
import { apiKeyIssue } from '../keys.ts'
import { numberPending } from '../sequencer.ts'
import { declareAll, TestChain, type TestContext, testContext, testInstance, testTenant } from '../test-context.ts'
import { alertAcknowledge, listAlerts } from './alerts.ts'
import { evaluateTenant, startEvaluator } from './evaluator.ts'
import { forecastOfCounter } from './forecast-facts.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const alerts = ({ tenant }: Actor, open: boolean | null = true) =>
  ctx.db.withTenant(tenant, async (tx) => (await listAlerts(tx, tenant, { open, first: 50 })).rows)

async function ruled(on: string, more: object = {}) {
  const { owner } = await testTenant(ctx)
  const declared = await declareAll(ctx, owner, [['alertRule', { name: 'r', scope: owner.tenant, on, ...more }]])
  expect(declared.errors).toEqual([])
  return { owner, rule: declared.resources[0]! }
}

async function requests(owner: Actor, outcomes: ('COMPLETED' | 'FAILED')[]) {
  const edge = await testInstance(ctx, owner, `edge-${outcomes.length}-${Math.random().toString(36).slice(2)}`)
  const chain = new TestChain(edge)
  const records = outcomes.map((outcome) => chain.next({ outcome, at: ctx.clock.now() }))
  await acceptRecords(ctx, edge.instance, { tenant: owner.tenant, epoch: edge.epoch, from: 0, records })
  await numberPending(ctx, owner.tenant)
  return { edge, chain }
}

describe('the evaluator', () => {
  it('raises what holds once, however many control planes look, and resolves it when it is over', async () => {
    const { owner, rule } = await ruled('ERROR_RATE', { threshold: '50', severity: 'CRITICAL' })
    await requests(owner, new Array(30).fill('FAILED'))
    const evaluators = await Promise.all([startEvaluator(ctx), startEvaluator(ctx), startEvaluator(ctx)])
    await Promise.all(evaluators.map((one) => one.evaluate()))
    await evaluators[0]!.evaluate()
    const [alert, ...more] = await alerts(owner)
    expect(more).toEqual([])
    expect(alert).toMatchObject({ rule: rule.id, trigger: 'ERROR_RATE', severity: 'CRITICAL', subject: owner.tenant })
    expect(alert!.figures).toEqual({ requests: '30', failed: '30', percent: '100' })
    ctx.clock.nowMs += 6 * 60_000
    await evaluators[1]!.evaluate()
    expect(await alerts(owner)).toEqual([])
    expect(await alerts(owner, false)).toMatchObject([{ id: alert!.id, resolvedAt: new Date(ctx.clock.nowMs) }])
    await Promise.all(evaluators.map((one) => one.stop()))
  })

  it('ends the alerts of a rule that was archived', async () => {
    const { owner } = await ruled('ERROR_RATE')
    await requests(owner, new Array(30).fill('FAILED'))
    await evaluateTenant(ctx, owner.tenant, true)
    expect(await alerts(owner)).toHaveLength(1)
    const gone = await declareAll(ctx, owner, [['alertRule', { name: 'r', on: 'BURN_RATE' }]])
    expect(gone.errors).toEqual([])
    await evaluateTenant(ctx, owner.tenant, false)
    expect(await alerts(owner)).toEqual([])
  })

  it('tells of keys before they expire, and of planes that are not heard', async () => {
    const { owner } = await ruled('API_KEY_EXPIRING')
    await declareAll(ctx, owner, [
      ['principal', { name: 'p' }],
      ['alertRule', { name: 'planes', scope: owner.tenant, on: 'DATA_PLANE_BEHIND', threshold: '5' }],
    ])
    const key = { kind: 'ADMIN' as const, principal: 'principal/p' }
    const inDays = (days: number) => new Date(ctx.clock.now() + days * 86_400_000).toISOString()
    await apiKeyIssue(ctx, owner, { ...key, idempotencyKey: 'a', name: 'soon', expiresAt: inDays(6) })
    await apiKeyIssue(ctx, owner, { ...key, idempotencyKey: 'b', name: 'late', expiresAt: inDays(60) })
    await evaluateTenant(ctx, owner.tenant, true)
    expect((await alerts(owner)).map(({ summary }) => summary)).toEqual([
      `api-key/soon expires at ${new Date(ctx.clock.nowMs + 6 * 86_400_000).toISOString()}`,
    ])
    await testInstance(ctx, owner, 'edge')
    ctx.clock.nowMs += 6 * 60_000
    await evaluateTenant(ctx, owner.tenant, true)
    const told = (await alerts(owner)).map(({ summary }) => summary)
    expect(told).toContain('data-plane/edge has not run the newest configuration for 6 minutes')
  })
})

describe('rules on a budget', () => {
  const day = 86_400_000
  const triggers = ['BUDGET_THRESHOLD', 'BUDGET_EXHAUSTED', 'BURN_RATE', 'BUDGET_FORECAST']

  /** A budget of 100 a day on a project, with rules on its team; `spend` posts what a record of the project cost. */
  async function budgeted() {
    const { owner } = await testTenant(ctx)
    const declared = await declareAll(ctx, owner, [
      ['team', { name: 't' }],
      ['project', { name: 'p', team: 'team/t' }],
      [
        'budget',
        { name: 'b', scope: 'project/p', limit: { amount: '100', currency: 'USD' }, period: 'DAY', thresholds: [50] },
      ],
      ...triggers.map((on): ['alertRule', object] => ['alertRule', { name: on, scope: 'team/t', on }]),
    ] as Parameters<typeof declareAll>[2])
    expect(declared.errors).toEqual([])
    const { id: budget } = declared.resources.find(({ kind }) => kind === 'budget')!
    const { id: project } = declared.resources.find(({ kind }) => kind === 'project')!
    const edge = await testInstance(ctx, owner)
    const chain = new TestChain(edge)
    let from = 0
    const spend = async (cents: number) => {
      const costUnits = BigInt(cents) * 10_000_000_000n
      const records = [chain.next({ project, costUnits, at: ctx.clock.now() })]
      await acceptRecords(ctx, edge.instance, { tenant: owner.tenant, epoch: edge.epoch, from: from++, records })
      await numberPending(ctx, owner.tenant)
      await post(owner.tenant, budget, edge.instance, cents)
    }
    const told = async () => {
      await evaluateTenant(ctx, owner.tenant, true)
      return new Set((await alerts(owner)).map(({ trigger }) => trigger))
    }
    return { owner, budget, spend, told }
  }

  /** As posting does it, on a lease of this instance. */
  async function post(tenant: string, budget: string, instance: string, cents: number) {
    const from = Math.floor(ctx.clock.now() / day) * day
    const place = { tenant, budget, subject: '', windowFrom: from, windowTo: from + day }
    const createdAt = new Date(ctx.clock.now())
    const amount = String(cents / 100)
    await ctx.db.withTenant(tenant, async (tx) => {
      await tx
        .insert(budgetCounter)
        .values({ ...place, createdAt, limit: '100' })
        .onConflictDoNothing()
      await tx
        .insert(lease)
        .values({ ...place, instance, epoch: 1, rolling: false, createdAt, granted: amount, posted: amount })
        .onConflictDoUpdate({
          target: [
            lease.tenant,
            lease.budget,
            lease.subject,
            lease.windowFrom,
            lease.windowTo,
            lease.instance,
            lease.epoch,
          ],
          set: { granted: sql`${lease.granted} + ${amount}`, posted: sql`${lease.posted} + ${amount}` },
        })
    })
  }

  it('tell of a burn rate within a minute, and not of one dear request', async () => {
    ctx.clock.nowMs = Math.ceil(ctx.clock.nowMs / day) * day + 1_000
    const { spend, told } = await budgeted()
    await spend(2_000)
    expect(await told()).toEqual(new Set())
    ctx.clock.nowMs += 120_000
    // Half a cent a second lasts half a day; twenty of them do not last the hour.
    for (let second = 0; second < 60; second += 5) {
      ctx.clock.nowMs += 5_000
      await spend(100)
    }
    expect(await told()).toEqual(new Set(['BURN_RATE']))
    ctx.clock.nowMs += 2 * 3_600_000
    expect(await told()).toEqual(new Set(['BUDGET_FORECAST']))
  })

  it('tell of thresholds, of what is foretold, and of the end; and begin anew with the window', async () => {
    ctx.clock.nowMs = Math.ceil(ctx.clock.nowMs / day) * day
    const { owner, budget, spend, told } = await budgeted()
    for (let hour = 0; hour < 6; hour++) {
      await spend(900)
      ctx.clock.nowMs += 3_600_000
    }
    expect(await told()).toEqual(new Set(['BUDGET_THRESHOLD', 'BUDGET_FORECAST']))
    expect((await alerts(owner)).every(({ subject }) => subject === budget)).toBe(true)
    await spend(4_600)
    expect(await told()).toEqual(new Set(['BUDGET_THRESHOLD', 'BUDGET_FORECAST', 'BUDGET_EXHAUSTED']))
    ctx.clock.nowMs += day
    expect((await told()).has('BUDGET_EXHAUSTED')).toBe(false)
    expect((await told()).has('BUDGET_THRESHOLD')).toBe(false)
  })
})

describe('a forecast of a counter', () => {
  it('is of the present window, and there is none where the period has no end or the subject is not said', async () => {
    const { owner } = await testTenant(ctx)
    const limit = { amount: '100', currency: 'USD' }
    const budget = (name: string, more: object) => ['budget', { name, scope: owner.tenant, limit, ...more }] as const
    const declared = await declareAll(ctx, owner, [
      budget('day', { period: 'DAY' }),
      budget('keys', { period: 'DAY', per: 'API_KEY' }),
      budget('rolling', { period: 'ROLLING', window: 'P1D' }),
      budget('all', { period: 'LIFETIME' }),
    ] as never)
    expect(declared.errors).toEqual([])
    const of = (index: number, subject: string | null = null) =>
      ctx.db.withTenant(owner.tenant, (tx) =>
        forecastOfCounter(tx, owner.tenant, declared.resources[index] as never, subject, ctx.clock.now()),
      )
    const nothing = { low: 0n, expected: 0n, high: 0n, exhaustedAt: null }
    expect(await of(0)).toEqual(nothing)
    expect(await of(0, 'key_a')).toBeNull()
    expect(await of(1)).toBeNull()
    expect(await of(1, 'key_a')).toEqual(nothing)
    expect([await of(2), await of(3)]).toEqual([null, null])
  })
})

describe('an alert', () => {
  it('of a quarantined chain needs no rule', async () => {
    const { owner } = await testTenant(ctx)
    const { edge } = await requests(owner, ['COMPLETED'])
    const forged = new TestChain(edge).next({ id: mintId('request'), costUnits: 5n, at: ctx.clock.now() })
    const batch = { tenant: owner.tenant, epoch: edge.epoch, from: 0, records: [forged] }
    expect(await acceptRecords(ctx, edge.instance, batch)).toMatchObject({ refused: true, head: null })
    expect(await alerts(owner)).toMatchObject([
      { rule: null, trigger: 'RECORDS_QUARANTINED', severity: 'CRITICAL', subject: edge.dataPlane },
    ])
  })

  it('is acknowledged by who was first, and by nobody who may not change anything', async () => {
    const { owner } = await ruled('ERROR_RATE')
    await requests(owner, new Array(20).fill('FAILED'))
    await evaluateTenant(ctx, owner.tenant, true)
    const { id } = (await alerts(owner))[0]!
    const viewer = { ...owner, permissions: new Set(['event:read'] as const) }
    expect(await alertAcknowledge(ctx, viewer, { alert: id })).toMatchObject({
      errors: [{ code: 'NOT_PERMITTED' }],
      alert: null,
    })
    const seen = await alertAcknowledge(ctx, owner, { alert: id, note: 'on it' })
    expect(seen).toMatchObject({
      errors: [],
      alert: { id, acknowledgedBy: { id: owner.id } },
      audit: { reason: 'on it' },
    })
    expect(await alertAcknowledge(ctx, owner, { alert: id })).toMatchObject({ errors: [], audit: null, alert: { id } })
    expect(await alertAcknowledge(ctx, owner, { alert: mintId('alert') })).toMatchObject({
      errors: [{ code: 'NOT_FOUND' }],
    })
    expect(await alerts(owner)).toHaveLength(1)
  })
})
