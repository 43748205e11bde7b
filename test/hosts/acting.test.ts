import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { post } from '../../control-plane/hosts/running.ts'
import { type Hosted, hosts } from './hosts.ts'
import { type Message, talk } from './socket.ts'

const viewer = '{ viewer { tenant { name } actor { kind id onBehalfOf { kind onBehalfOf { kind } } } } }'
const apply = `mutation($input: ApplyInput!) {
  apply(input: $input) { errors { message } audit { id actor { kind id onBehalfOf { kind id } } } }
}`
const events = `subscription Events($after: Cursor) {
  events(kinds: [CONFIG_CHANGED], after: $after) { ... on ConfigChanged { changes { ref } actor { id } } }
}`

describe.each(Object.entries(hosts))('acting in another tenant, on %s', (on, open) => {
  let host: Hosted
  const acme = `acme-${randomBytes(3).toString('hex')}`
  let acmeId: string
  let admin: string
  beforeAll(async () => {
    host = await open()
    const create =
      'mutation($input: TenantCreateInput!) { tenantCreate(input: $input) { errors { message } tenant { id } adminToken } }'
    const { data } = await ask(host.token, create, null, { input: { idempotencyKey: acme, name: acme } })
    expect(data.tenantCreate.errors).toEqual([])
    acmeId = data.tenantCreate.tenant.id
    admin = data.tenantCreate.adminToken
  })
  afterAll(() => host?.stop())

  const ask = (token: string | undefined, query: string, tenant: string | null, variables: object = {}) =>
    post(host.url, JSON.stringify({ query, variables }), token, tenant === null ? {} : { 'x-sluice-tenant': tenant })
  const declare = async (token: string, tenant: string | null, name: string) => {
    const { data: seen } = await ask(token, '{ tenant { configRevision } }', tenant)
    const input = { ifRevision: seen.tenant.configRevision, resources: [{ team: { name } }] }
    const { data } = await ask(token, apply, tenant, { input })
    expect(data.apply.errors).toEqual([])
    return data.apply.audit as { id: string }
  }
  /** Everything but the request's own id. */
  const told = (answer: { status: number; errors?: { message: string; extensions: Record<string, unknown> }[] }) => ({
    ...answer,
    errors: answer.errors?.map(({ message, extensions }) => ({ message, ...extensions, requestId: null })),
  })
  const hello = (token: string, tenant?: unknown): Message => ({
    type: 'connection_init',
    payload: { authorization: `Bearer ${token}`, ...(tenant !== undefined && { 'x-sluice-tenant': tenant }) },
  })
  const closing = async (token: string, tenant: unknown) => {
    const socket = await talk(host.socketUrl)
    socket.send(hello(token, tenant))
    return [await socket.closed, await socket.reason]
  }

  it('is done by an operator that names it by name or id, and the audit entry there says on whose behalf', async () => {
    for (const tenant of [acme, acmeId]) {
      const { data } = await ask(host.token, viewer, tenant)
      expect(data.viewer.tenant.name).toBe(acme)
      expect(data.viewer.actor).toMatchObject({ kind: 'SYSTEM', id: 'installation', onBehalfOf: { kind: 'API_KEY' } })
    }
    const made = await declare(host.token, acme, 'helped')
    expect(made).toMatchObject({ actor: { kind: 'SYSTEM', id: 'installation', onBehalfOf: { kind: 'API_KEY' } } })
    const audit = '{ audit(first: 1) { nodes { id action actor { id onBehalfOf { kind onBehalfOf { kind } } } } } }'
    const { data } = await ask(admin, audit, null)
    expect(data.audit.nodes).toEqual([
      {
        ...{ id: made.id, action: 'config.apply' },
        actor: { id: 'installation', onBehalfOf: { kind: 'API_KEY', onBehalfOf: { kind: 'PERSON' } } },
      },
    ])
    const home = await ask(host.token, '{ tenant { teams { nodes { name } } } }', null)
    expect(home.data.tenant.teams.nodes).toEqual([])
  })

  it('is not there for anybody else: the answer is that for a tenant that does not exist', async () => {
    const missing = told(await ask(admin, viewer, 'no-such-tenant'))
    expect(missing).toMatchObject({ status: 404, errors: [{ code: 'UNKNOWN_TENANT', retryable: false }] })
    expect(missing.errors![0]!.message).toMatch(/^There is no such tenant .*\.$/)
    for (const tenant of ['hosted', 'no-other', 'ten_00000000000000000000000000000000'])
      expect(told(await ask(admin, viewer, tenant)), tenant).toEqual(missing)
    expect(told(await ask(host.token, viewer, 'no-such-tenant'))).toEqual(missing)
    expect((await ask(undefined, viewer, 'hosted')).status).toBe(401)
  })

  it('changes nothing at home, by name or id', async () => {
    for (const tenant of [acme, acmeId, null])
      expect((await ask(admin, viewer, tenant)).data.viewer.actor.kind, String(tenant)).toBe('API_KEY')
  })

  it('is refused in words where the header holds no name', async () => {
    for (const tenant of ['', 'two words', 'a, b', 'x'.repeat(300), "'; drop table tenant"]) {
      const answer = told(await ask(host.token, viewer, tenant))
      expect(answer, tenant).toMatchObject({ status: 400, errors: [{ code: 'BAD_REQUEST' }] })
      expect(answer.errors![0]!.message).toMatch(/^x-sluice-tenant holds one tenant: .*\.$/)
    }
  })

  it('goes over a socket by its hello, streams included', async () => {
    const socket = await talk(host.socketUrl)
    await socket.greet(hello(host.token, acme))
    socket.send({ type: 'subscribe', id: 's', payload: { query: events } })
    socket.send({ type: 'subscribe', id: 'v', payload: { query: viewer } })
    const answers = await socket.until(({ id, type }) => id === 'v' && type === 'complete')
    expect(answers.find(({ id }) => id === 'v')).toHaveProperty('payload.data.viewer.tenant.name', acme)
    await declare(admin, null, 'heard')
    const heard = await socket.until(({ id, type }) => id === 's' && type === 'next')
    expect(heard.find(({ id }) => id === 's')).toHaveProperty('payload.data.events.changes', [{ ref: 'team/heard' }])
    socket.close()
  })

  it('closes a socket in the same words for who may not and for no such tenant', async () => {
    const missing = await closing(admin, 'no-such-tenant')
    expect(missing).toEqual([4400, expect.stringMatching(/^There is no such tenant/)])
    expect(await closing(admin, 'hosted')).toEqual(missing)
    expect(await closing(host.token, 'no-such-tenant')).toEqual(missing)
    for (const bad of [7, '', ['acme'], {}])
      expect(await closing(host.token, bad)).toEqual([4400, expect.stringMatching(/^x-sluice-tenant holds one/)])
    expect(await closing(`sla_${'x'.repeat(40)}`, 'hosted')).toEqual([4403, 'Forbidden'])
  })

  it('ends with the right to it: the next operation closes the socket', async () => {
    const { data: seen } = await ask(host.token, '{ viewer { actor { onBehalfOf { id } } } }', null)
    const principal = seen.viewer.actor.onBehalfOf.id
    const name = `operator-${randomBytes(3).toString('hex')}`
    const issue = 'mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { errors { message } secret } }'
    const input = { idempotencyKey: name, kind: 'ADMIN', name, principal }
    const { data } = await ask(host.token, issue, null, { input })
    const socket = await talk(host.socketUrl)
    await socket.greet(hello(data.apiKeyIssue.secret, acme))
    const { data: now } = await ask(host.token, '{ tenant { configRevision } }', null)
    const narrowed = { apiKey: { name, permissions: ['config:read'] } }
    const change = { input: { ifRevision: now.tenant.configRevision, resources: [narrowed] } }
    expect((await ask(host.token, apply, null, change)).data.apply.errors).toEqual([])
    socket.send({ type: 'subscribe', id: '1', payload: { query: viewer } })
    expect(await socket.closed).toBe(4403)
    expect((await ask(data.apiKeyIssue.secret, viewer, acme)).status).toBe(404)
  })

  it('goes over server-sent events, where the host has them', async () => {
    const headers = { authorization: `Bearer ${host.token}`, accept: 'text/event-stream', 'x-sluice-tenant': acme }
    const ended = new AbortController()
    const query = new URLSearchParams({ query: events })
    const answer = await fetch(`${host.url}/graphql?${query}`, { headers, signal: ended.signal })
    if (!on.startsWith('yoga')) return expect(answer.status).toBe(406)
    await declare(admin, null, 'streamed')
    const reader = answer.body!.getReader()
    let text = ''
    while (!text.includes('event: next')) text += new TextDecoder().decode((await reader.read()).value)
    expect(text).toContain('team/streamed')
    ended.abort()
    const refused = await fetch(`${host.url}/graphql?${query}`, {
      headers: { ...headers, authorization: `Bearer ${admin}`, 'x-sluice-tenant': 'hosted' },
    })
    expect([refused.status, await refused.text()]).toEqual([404, expect.stringContaining('UNKNOWN_TENANT')])
  })

  it('met no fault', () => expect(host.faults()).toEqual([]))
})
