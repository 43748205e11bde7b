import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, post } from '../../control-plane/hosts/running.ts'
import { mintId } from '../../schema/ids.ts'
import { abuses, plain } from './abuse.ts'
import { type Hosted, hosts } from './hosts.ts'

const answerBytesMax = 2 * 1024 * 1024
const issue = `mutation($input: ApiKeyIssueInput!) {
  apiKeyIssue(input: $input) { errors { code message ... on NotFound { ref } } apiKey { name } secret replayed }
}`

describe.each(Object.entries(hosts))('a bad client, on %s', (_, open) => {
  let host: Hosted
  const other = { name: `other-${randomBytes(3).toString('hex')}`, id: '', token: '', principal: '' }
  let principal: string
  beforeAll(async () => {
    host = await open()
    const create =
      'mutation($input: TenantCreateInput!) { tenantCreate(input: $input) { tenant { id } adminToken errors { message } } }'
    const { data } = await ask(host.token, create, { input: { idempotencyKey: other.name, name: other.name } })
    Object.assign(other, { id: data.tenantCreate.tenant.id, token: data.tenantCreate.adminToken })
    other.principal = await principalOf(other.token)
    principal = await principalOf(host.token)
  })
  afterAll(() => host?.stop())

  const ask = (token: string, query: string, variables: object = {}) =>
    post(host.url, JSON.stringify({ query, variables }), token)
  const principalOf = async (token: string) =>
    (await ask(token, '{ tenant { principals { nodes { id } } } }')).data.tenant.principals.nodes[0].id as string

  it.each(abuses)('is told what is wrong: $name', async ({ body, headers, told }) => {
    const answer = await post(host.url, body(), host.token, headers)
    expect([answer.status, answer.errors?.[0].extensions.code ?? null]).toEqual(told)
    expect(JSON.stringify(answer).length).toBeLessThan(answerBytesMax)
    for (const { message, extensions } of answer.errors ?? []) {
      expect(message.length).toBeLessThan(600)
      expect(extensions).toMatchObject({ requestId: expect.stringMatching(/^cor_/), retryable: false })
      expect(message).not.toMatch(/select |insert |node_modules|\bat .*:\d+:\d+/i)
    }
    expect((await post(host.url, plain, host.token)).status).toBe(200)
  })

  it('is answered about another tenant’s ids as about none', async () => {
    const forget = (answer: Answer, ...ids: string[]) =>
      ids.reduce(
        (text, id) => text.replaceAll(id, '<id>'),
        JSON.stringify(answer).replaceAll(/cor_[0-9a-f]+/g, '<cor>'),
      )
    const [missingTenant, missing] = [mintId('tenant'), mintId('principal')]
    const documents: [string, (tenant: string, principal: string) => object][] = [
      ['query($id: ID!) { node(id: $id) { id } }', (id) => ({ id })],
      ['query($ids: [ID!]!) { nodes(ids: $ids) { id } }', (...ids) => ({ ids })],
      ['query($ref: Ref!) { resource(ref: $ref) { id } }', (_, ref) => ({ ref })],
      ['query($id: Ref!) { audit(filter: { target: [$id] }) { nodes { id } } }', (_, id) => ({ id })],
      ['query($id: Ref!) { flightRecords(filter: { principal: [$id] }) { nodes { id } } }', (_, id) => ({ id })],
      [issue, (_, id) => ({ input: { idempotencyKey: `about-${id}`, kind: 'ADMIN', name: 'about', principal: id } })],
      [
        'mutation($input: ArchiveInput!) { archive(input: $input) { errors { code message } } }',
        (_, id) => ({ input: { refs: [id], ifRevision: 0 } }),
      ],
    ]
    for (const [document, variables] of documents) {
      const about = async (tenant: string, one: string) =>
        forget(await ask(host.token, document, variables(tenant, one)), tenant, one)
      expect(await about(other.id, other.principal), document).toBe(await about(missingTenant, missing))
    }
  })

  it('finds its idempotency key used for another body, and learns nothing of another’s keys', async () => {
    const key = `key-${randomBytes(4).toString('hex')}`
    const input = { idempotencyKey: key, kind: 'ADMIN', name: key, principal }
    const first = (await ask(host.token, issue, { input })).data.apiKeyIssue
    expect(first).toMatchObject({ errors: [], secret: expect.stringMatching(/^sla_/), replayed: false })
    const again = (await ask(host.token, issue, { input })).data.apiKeyIssue
    expect(again).toEqual({ errors: [], apiKey: { name: key }, secret: null, replayed: true })
    const changed = (await ask(host.token, issue, { input: { ...input, name: 'else' } })).data.apiKeyIssue
    expect(changed).toMatchObject({ errors: [{ code: 'IDEMPOTENCY_KEY_REUSED' }], apiKey: null, secret: null })
    const elsewhere = { ...input, principal: other.principal }
    const theirs = (await ask(other.token, issue, { input: elsewhere })).data.apiKeyIssue
    expect(theirs).toMatchObject({ errors: [], replayed: false })
  })

  it('is told of bytes that are no UTF-8 as of any request that cannot be read, or answered without them', async () => {
    for (const bytes of [
      [0xff, 0xfe, 0x7b, 0],
      [0xef, 0xbb, 0xbf],
      [0xc0, 0x80],
      [0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x7d],
    ]) {
      const answer = await fetch(`${host.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${host.token}` },
        body: new Uint8Array(bytes),
      })
      expect(answer.status).toBe(400)
      expect(await answer.text()).toContain('"BAD_REQUEST"')
    }
  })

  it('changes nothing by GET, by form or from a foreign page', async () => {
    const before = await ask(host.token, '{ tenant { configRevision } }')
    const input = { idempotencyKey: 'never', kind: 'ADMIN', name: 'never', principal }
    const body = JSON.stringify({ query: issue, variables: { input } })
    const address = new URLSearchParams({ query: issue, variables: JSON.stringify({ input }) })
    const headers = { authorization: `Bearer ${host.token}` }
    expect((await fetch(`${host.url}/graphql?${address}`, { headers })).status).toBe(405)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      expect((await post(host.url, body, host.token, { 'content-type': type })).status).toBe(415)
    for (const origin of ['https://evil.test', 'null', `${host.url}.evil.test`])
      expect((await post(host.url, body, host.token, { origin })).status).toBe(403)
    expect((await ask(host.token, '{ tenant { configRevision } }')).data).toEqual(before.data)
  })

  it('met no fault', () => expect(host.faults()).toEqual([]))
})
