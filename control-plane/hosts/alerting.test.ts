import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeCursor, logStart } from '../../schema/cursor.ts'
import { socketClient, socketStream } from '../dashboard/live-socket.ts'
import { type Running, runControlPlane } from './running.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const tries = 300
async function apply(...resources: object[]) {
  const { data } = await plane.ask('{ tenant { configRevision } }')
  const document = 'mutation ($input: ApplyInput!) { apply(input: $input) { errors { message path } } }'
  const answer = await plane.ask(document, { input: { ifRevision: data.tenant.configRevision, resources } })
  expect(answer.errors).toBeUndefined()
  expect(answer.data.apply.errors).toEqual([])
}

const alertFields = `id trigger severity summary figures resolvedAt rule { handle } subject { handle }
  acknowledgedAt acknowledgedBy { kind }`

/** The open alerts, once there are any. */
async function firstAlerts() {
  for (let nth = 0; nth < tries; nth++) {
    const { data } = await plane.ask(`{ alerts(open: true) { nodes { ${alertFields} } } }`)
    if (data.alerts.nodes.length > 0) return data.alerts.nodes
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return []
}

describe('an alert', () => {
  it('is raised by a rule, told in events, read, and acknowledged', async () => {
    const viewer = await plane.ask('{ viewer { actor { id onBehalfOf { id } } } tenant { handle } }')
    const { actor } = viewer.data.viewer
    const input = {
      ...{ idempotencyKey: 'k', kind: 'ADMIN', name: 'short', principal: actor.onBehalfOf?.id ?? actor.id },
      expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    }
    const issue = 'mutation ($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { errors { message } } }'
    expect((await plane.ask(issue, { input })).data.apiKeyIssue.errors).toEqual([])
    const rule = { name: 'keys', scope: viewer.data.tenant.handle, on: 'API_KEY_EXPIRING', severity: 'INFO' }
    await apply({ alertRule: rule })
    const [alert, ...more] = await firstAlerts()
    expect(more).toEqual([])
    expect(alert).toMatchObject({
      ...{ trigger: 'API_KEY_EXPIRING', severity: 'INFO', figures: { expiresAt: input.expiresAt }, resolvedAt: null },
      ...{ rule: { handle: 'alert-rule/keys' }, subject: { handle: 'api-key/short' }, acknowledgedBy: null },
    })

    const client = socketClient({ url: plane.socketUrl, token: () => plane.token })
    const document = `subscription ($after: Cursor) {
      events(kinds: [ALERT_RAISED], after: $after) { cursor kind ... on AlertChanged { alert { id summary } } }
    }`
    const stop = new AbortController()
    const opened = socketStream<{ cursor: string }>(client, document)
    for await (const event of opened(encodeCursor(logStart), stop.signal, () => {})) {
      expect(event).toMatchObject({ kind: 'ALERT_RAISED', alert: { id: alert.id, summary: alert.summary } })
      break
    }
    stop.abort()
    await client.dispose()

    const acknowledge = `mutation ($input: AlertAcknowledgeInput!) { alertAcknowledge(input: $input) {
      errors { code } audit { action reason } alert { ${alertFields} } } }`
    const seen = await plane.ask(acknowledge, { input: { alert: alert.id, note: 'a test' } })
    expect(seen.data.alertAcknowledge).toMatchObject({
      ...{ errors: [], audit: { action: 'alert.acknowledge', reason: 'a test' } },
      alert: { id: alert.id, acknowledgedBy: { kind: 'API_KEY' } },
    })
    const { data } = await plane.ask(
      `query ($id: ID!) { node(id: $id) { __typename ... on Alert { ${alertFields} } } }`,
      {
        id: alert.id,
      },
    )
    expect(data.node).toMatchObject({ __typename: 'Alert', acknowledgedAt: expect.any(String) })
  })

  it('ends when its rule is archived', async () => {
    const { data } = await plane.ask(
      '{ tenant { configRevision alertRules { nodes { id scope { ref } webhooks { id } } } } }',
    )
    const [rule] = data.tenant.alertRules.nodes
    const archive = 'mutation ($input: ArchiveInput!) { archive(input: $input) { errors { message } } }'
    const input = { ifRevision: data.tenant.configRevision, refs: [rule.id] }
    expect((await plane.ask(archive, { input })).data.archive.errors).toEqual([])
    const open = async () => (await plane.ask('{ alerts(open: true) { nodes { id } } }')).data.alerts.nodes.length
    for (let nth = 0; nth < tries && (await open()) > 0; nth++) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await open()).toBe(0)
    const over = await plane.ask('{ alerts(open: false) { nodes { resolvedAt rule { handle } } } }')
    expect(over.data.alerts.nodes).toMatchObject([{ resolvedAt: expect.any(String) }])
    expect(plane.faults).toEqual([])
  })
})

describe('a webhook', () => {
  it('shows what it was sent', async () => {
    await apply({ webhook: { name: 'pager', url: 'https://127.0.0.1/x', events: ['ALERT_RAISED'] } })
    const rotate = `mutation ($input: WebhookSecretRotateInput!) { webhookSecretRotate(input: $input) {
      errors { message } secret webhook { state } } }`
    const rotated = await plane.ask(rotate, { input: { idempotencyKey: 'r', webhook: 'webhook/pager' } })
    expect(rotated.data.webhookSecretRotate).toMatchObject({ errors: [], webhook: { state: 'ACTIVE' } })
    const test = 'mutation ($input: WebhookTestInput!) { webhookTest(input: $input) { delivery { id } } }'
    const input = { idempotencyKey: 't', webhook: 'webhook/pager', event: 'ALERT_RAISED' }
    const { id } = (await plane.ask(test, { input })).data.webhookTest.delivery
    const query =
      '{ tenant { webhooks { nodes { url state events deliveries { nodes { id event attempts status delivered fault } } } } } }'
    const read = async () => (await plane.ask(query)).data.tenant.webhooks.nodes[0]
    for (let nth = 0; nth < tries && (await read()).deliveries.nodes[0].attempts === 0; nth++)
      await new Promise((resolve) => setTimeout(resolve, 50))
    const delivery = {
      id,
      event: 'ALERT_RAISED',
      attempts: 1,
      status: null,
      delivered: false,
      fault: 'PRIVATE_ADDRESS',
    }
    expect(await read()).toMatchObject({ state: 'ACTIVE', events: ['ALERT_RAISED'], deliveries: { nodes: [delivery] } })
  })
})
