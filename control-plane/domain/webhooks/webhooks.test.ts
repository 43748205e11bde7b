import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PrivateHosts } from '../../../schema/hosts/private-hosts.ts'
import type { Actor } from '../actor.ts'
import { listAlerts } from '../alerts/alerts.ts'
import { raiseIncident, resolveIncident } from '../alerts/incidents.ts'
import { tidy } from '../retention.ts'
import { numberPending } from '../sequencer.ts'
import { declareAll, type TestContext, testContext, testTenant } from '../test-context.ts'
import { attemptsMax } from './backoff.ts'
import { listDeliveries, webhookStates } from './deliveries.ts'
import type { Post, Posted } from './post.ts'
import { webhookSecretRotate } from './secrets.ts'
import { startSender } from './sender.ts'
import { webhookTest } from './trial.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

interface House {
  owner: Actor
  webhook: string
  secret: string
}

async function house(spec: object = {}): Promise<House> {
  const { owner } = await testTenant(ctx)
  const declared = await declareAll(ctx, owner, [
    ['webhook', { name: 'pager', url: 'https://hooks.example/a', ...spec }],
  ])
  const { id } = declared.resources[0]!
  const { secret } = await rotate(owner, 'first')
  return { owner, webhook: id, secret: secret! }
}

const rotate = (owner: Actor, idempotencyKey: string, overlap = 'PT1H') =>
  webhookSecretRotate(ctx, owner, { idempotencyKey, webhook: 'webhook/pager', overlap })

const deliveries = ({ owner, webhook }: House) =>
  ctx.db.withTenant(owner.tenant, async (tx) => (await listDeliveries(tx, owner.tenant, { webhook, first: 50 })).rows)

const stateOf = ({ owner, webhook }: House) =>
  ctx.db.withTenant(owner.tenant, async (tx) => (await webhookStates(tx, owner.tenant, [webhook]))[0])

const incident = { trigger: 'LEDGER_INCIDENT', about: 'lease 7', summary: 'A lease was proven larger.' } as const
const raise = ({ owner }: House) =>
  ctx.db.withTenant(owner.tenant, (tx) => raiseIncident(tx, ctx, owner.tenant, incident))

/** Sends what is due to a receiver that answers as it is told. */
async function sendAll(of: House, answer: (request: Post) => Posted = () => ({ status: 200, retryAfterMs: null })) {
  await numberPending(ctx, of.owner.tenant)
  const sent: Post[] = []
  const send = async (request: Post) => {
    sent.push(request)
    return answer(request)
  }
  const faults: unknown[] = []
  const sender = await startSender(ctx, { privateHosts: new PrivateHosts(), send, report: (one) => faults.push(one) })
  await sender.drain()
  await sender.stop()
  expect(faults).toEqual([])
  // Other tests' receivers may be due again by now.
  return sent.filter(({ body }) => JSON.parse(body).tenant === of.owner.tenant)
}

const signed = (secret: string, { headers, body }: Post) => {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`
}

describe('a webhook', () => {
  it('is sent what it asks for, signed, once', async () => {
    const of = await house({ events: ['ALERT_RAISED', 'ALERT_RESOLVED'] })
    const id = await raise(of)
    expect(await raise(of)).toBeNull()
    const [request, ...more] = await sendAll(of)
    expect(more).toEqual([])
    expect(request!.headers['webhook-signature']).toBe(signed(of.secret, request!))
    expect(JSON.parse(request!.body)).toMatchObject({
      ...{ type: 'ALERT_RAISED', tenant: of.owner.tenant, cursor: expect.any(String) },
      data: { alert: { id, trigger: 'LEDGER_INCIDENT', severity: 'CRITICAL', summary: incident.summary, rule: null } },
    })
    expect(await deliveries(of)).toMatchObject([
      { delivered: true, attempts: 1, status: 200, nextAt: null, fault: null },
    ])
    expect(await sendAll(of)).toEqual([])
    const resolved = await ctx.db.withTenant(of.owner.tenant, (tx) =>
      resolveIncident(tx, ctx, of.owner.tenant, incident),
    )
    expect(resolved).toBe(true)
    expect((await sendAll(of)).map(({ body }) => JSON.parse(body).type)).toEqual(['ALERT_RESOLVED'])
  })

  it('hears of the alerts of rules that name it, whatever it asks for', async () => {
    const of = await house()
    const rule = { name: 'money', scope: of.owner.tenant, on: 'LEDGER_INCIDENT', webhooks: ['webhook/pager'] }
    const declared = await declareAll(ctx, of.owner, [['alertRule', rule]])
    expect(declared.errors).toEqual([])
    await raise(of)
    expect(await sendAll(of)).toHaveLength(1)
  })

  it('is tried again with the same id and text, ever later, and given up after about a day', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    await raise(of)
    const sent = await sendAll(of, () => ({ status: 500, retryAfterMs: null }))
    expect(await sendAll(of)).toEqual([])
    for (let attempt = 2; attempt <= attemptsMax + 2; attempt++) {
      const [next] = await deliveries(of)
      if (!next!.nextAt) break
      ctx.clock.nowMs = Math.max(ctx.clock.nowMs, next!.nextAt.getTime())
      sent.push(...(await sendAll(of, () => ({ fault: 'NO_ANSWER' }))))
    }
    expect(sent).toHaveLength(attemptsMax)
    expect(new Set(sent.map(({ headers, body }) => headers['webhook-id'] + body)).size).toBe(1)
    expect(new Set(sent.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(attemptsMax)
    expect(await deliveries(of)).toMatchObject([
      { delivered: false, attempts: attemptsMax, fault: 'NO_ANSWER', nextAt: null },
    ])
    expect(await stateOf(of)).toBe('FAILING')
  })

  it('that answers again is active again; one that says 410 hears no more of it', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    await raise(of)
    await sendAll(of, () => ({ status: 410, retryAfterMs: null }))
    expect(await deliveries(of)).toMatchObject([{ delivered: false, attempts: 1, fault: 'GONE', nextAt: null }])
    expect(await stateOf(of)).toBe('ACTIVE')
  })

  it('waits as long as the receiver asks', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    await raise(of)
    await sendAll(of, () => ({ status: 429, retryAfterMs: 600_000 }))
    const [row] = await deliveries(of)
    expect(row!.nextAt!.getTime()).toBe(ctx.clock.now() + 600_000)
  })

  it('is sent nothing unsigned, and nothing while it is paused', async () => {
    const { owner } = await testTenant(ctx)
    const declared = await declareAll(ctx, owner, [
      ['webhook', { name: 'pager', url: 'https://hooks.example/a', events: ['ALERT_RAISED'] }],
      ['webhook', { name: 'off', url: 'https://hooks.example/b', events: ['ALERT_RAISED'], paused: true }],
    ])
    const of = { owner, webhook: declared.resources[0]!.id, secret: '' }
    await raise(of)
    expect(await sendAll(of)).toEqual([])
    expect(await deliveries(of)).toMatchObject([{ attempts: 0, fault: 'NO_SECRET' }])
    expect(await stateOf(of)).toBe('PAUSED')
    expect(await deliveries({ ...of, webhook: declared.resources[1]!.id })).toEqual([])
    await rotate(owner, 'late')
    ctx.clock.nowMs += 60_000
    expect(await sendAll(of)).toHaveLength(1)
  })

  it('is claimed by one of several senders at once', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    for (let nth = 0; nth < 10; nth++)
      await ctx.db.withTenant(of.owner.tenant, (tx) =>
        raiseIncident(tx, ctx, of.owner.tenant, { ...incident, about: `lease ${nth}` }),
      )
    await numberPending(ctx, of.owner.tenant)
    const ids: string[] = []
    const send = async ({ headers }: Post): Promise<Posted> => {
      ids.push(headers['webhook-id']!)
      return { status: 200, retryAfterMs: null }
    }
    const options = { privateHosts: new PrivateHosts(), send }
    const senders = await Promise.all([startSender(ctx, options), startSender(ctx, options), startSender(ctx, options)])
    await Promise.all(senders.map((sender) => sender.drain()))
    await Promise.all(senders.map((sender) => sender.stop()))
    expect(ids.length).toBe(10)
    expect(new Set(ids).size).toBe(10)
  })
})

describe('what was sent and told', () => {
  it('is kept for people to look back at: deliveries for 30 days, alerts that are over for 400', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    await raise(of)
    await sendAll(of)
    const alerts = (open: boolean) =>
      ctx.db.withTenant(of.owner.tenant, async (tx) => (await listAlerts(tx, of.owner.tenant, { open, first: 9 })).rows)
    ctx.clock.nowMs += 31 * 86_400_000
    await tidy(ctx, null)
    expect([(await deliveries(of)).length, (await alerts(true)).length]).toEqual([0, 1])
    await ctx.db.withTenant(of.owner.tenant, (tx) => resolveIncident(tx, ctx, of.owner.tenant, incident))
    ctx.clock.nowMs += 399 * 86_400_000
    await tidy(ctx, null)
    expect(await alerts(false)).toHaveLength(1)
    ctx.clock.nowMs += 2 * 86_400_000
    await tidy(ctx, null)
    expect(await alerts(false)).toEqual([])
  })
})

describe('the secret of a webhook', () => {
  it('is shown once, and both sign while they overlap', async () => {
    const of = await house({ events: ['ALERT_RAISED'] })
    const second = await rotate(of.owner, 'second', 'PT1H')
    expect(second).toMatchObject({ errors: [], replayed: false })
    expect(await rotate(of.owner, 'second', 'PT1H')).toMatchObject({ secret: null, replayed: true })
    await raise(of)
    const [request] = await sendAll(of)
    const both = `${signed(second.secret!, request!)} ${signed(of.secret, request!)}`
    expect(request!.headers['webhook-signature']).toBe(both)
    ctx.clock.nowMs += 3_600_000
    await ctx.db.withTenant(of.owner.tenant, (tx) =>
      raiseIncident(tx, ctx, of.owner.tenant, { ...incident, about: 'another' }),
    )
    const [later] = await sendAll(of)
    expect(later!.headers['webhook-signature']).toBe(signed(second.secret!, later!))
  })
  it('is made by who may set secrets, and for a webhook that is there', async () => {
    const of = await house()
    const viewer = { ...of.owner, permissions: new Set(['config:read'] as const) }
    expect(await rotate(viewer, 'v')).toMatchObject({ secret: null, errors: [{ code: 'NOT_PERMITTED' }] })
    const missing = { idempotencyKey: 'm', webhook: 'webhook/none', overlap: 'PT1H' }
    expect((await webhookSecretRotate(ctx, of.owner, missing)).errors).toMatchObject([{ code: 'NOT_FOUND' }])
    expect((await rotate(of.owner, 'long', 'P31D')).errors).toMatchObject([{ path: ['overlap'] }])
  })
})

describe('a test of a webhook', () => {
  it('is an event that says so, sent like every other', async () => {
    const of = await house()
    const input = { idempotencyKey: 't', webhook: 'webhook/pager', event: 'ALERT_RAISED' as const }
    const tested = await webhookTest(ctx, of.owner, input)
    expect(tested).toMatchObject({ errors: [], delivery: { delivered: false, event: 'ALERT_RAISED' } })
    const [request] = await sendAll(of)
    expect(request!.headers['webhook-id']).toBe(tested.delivery!.id)
    expect(JSON.parse(request!.body)).toMatchObject({ type: 'ALERT_RAISED', test: true, cursor: null })
    const { rows } = await ctx.db.withTenant(of.owner.tenant, (tx) => listAlerts(tx, of.owner.tenant, { first: 10 }))
    expect(rows).toEqual([])
    expect(
      (await webhookTest(ctx, of.owner, { ...input, idempotencyKey: 'h', event: 'HEARTBEAT' })).errors,
    ).toHaveLength(1)
  })
})
