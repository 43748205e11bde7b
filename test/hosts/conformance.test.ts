import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, post } from '../../control-plane/hosts/running.ts'
import { type Hosted, hosts } from './hosts.ts'

const viewer = '{ viewer { actor { name } } }'
const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code

describe.each(Object.entries(hosts))('GraphQL over HTTP, on %s', (_, open) => {
  let host: Hosted
  beforeAll(async () => {
    host = await open()
  })
  afterAll(() => host?.stop())

  const send = (body: string, headers: Record<string, string> = {}) => post(host.url, body, host.token, headers)
  const ask = (query: string, variables: object = {}) => send(JSON.stringify({ query, variables }))
  const get = (parameters: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(`${host.url}/graphql?${new URLSearchParams(parameters)}`, {
      headers: { authorization: `Bearer ${host.token}`, ...headers },
    })

  it('answers queries by POST and by GET, with variables', async () => {
    expect((await ask(viewer)).data.viewer.actor.name).toBeTypeOf('string')
    const query =
      'query One($one: Int!) { tenant { projects(first: $one) { nodes { name } } } } query Two { __typename }'
    const answer = await get({ query, operationName: 'One', variables: '{"one":1}' })
    expect([answer.status, await answer.json()]).toEqual([200, { data: { tenant: { projects: { nodes: [] } } } }])
  })

  it('applies a declaration, answers it, and refuses a stale one in the payload', async () => {
    const apply = 'mutation($input: ApplyInput!) { apply(input: $input) { errors { __typename message } revision } }'
    const { data: before } = await ask('{ tenant { configRevision } }')
    const ifRevision = before.tenant.configRevision
    const team = { team: { name: 'conforming' } }
    const { data: done } = await ask(apply, { input: { ifRevision, resources: [team] } })
    expect(done.apply.errors).toEqual([])
    const { data: seen } = await ask('{ tenant { configRevision teams { nodes { name } } } }')
    expect(seen.tenant).toEqual({ configRevision: done.apply.revision, teams: { nodes: [{ name: 'conforming' }] } })
    const other = { team: { name: 'conforming', labels: { late: 'yes' } } }
    const stale = await ask(apply, { input: { ifRevision, resources: [other] } })
    expect(stale.data.apply.errors).toEqual([{ __typename: 'StaleRevision', message: expect.any(String) }])
  })

  it('gives every error its code, request id and whether to try again', async () => {
    const answer = await fetch(`${host.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${host.token}` },
      body: JSON.stringify({ query: '{ nope }' }),
    })
    const requestId = answer.headers.get('x-sluice-request-id')
    expect(requestId).toMatch(/^cor_[0-9a-f]{32}$/)
    const { errors } = (await answer.json()) as { errors: { extensions: object }[] }
    expect(errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_DOCUMENT', requestId, retryable: false }])
  })

  it('says what is wrong with a document, as a 400 to those who take GraphQL answers and a 200 to those who do not', async () => {
    const bad = [
      '{',
      '{ nope }',
      'query($unused: Int) { __typename }',
      '{ ...a } fragment a on Query { ...a }',
      '{"kind":"Document"}',
    ]
    for (const query of bad) {
      const answer = await ask(query)
      expect([answer.status, codeOf(answer)], query).toEqual([400, 'BAD_DOCUMENT'])
      expect(answer.data, query).toBeUndefined()
      const plain = await send(JSON.stringify({ query }), { accept: 'application/json' })
      expect([plain.status, codeOf(plain)], query).toEqual([200, 'BAD_DOCUMENT'])
    }
    const unknown = await send(JSON.stringify({ query: viewer, operationName: 'nope' }))
    expect([unknown.status, codeOf(unknown)]).toEqual([400, 'BAD_DOCUMENT'])
  })

  it('takes no document as a syntax tree in JSON, which no limit was measured on', async () => {
    const name = { kind: 'Name', value: '__typename' }
    const selectionSet = { kind: 'SelectionSet', selections: [{ kind: 'Field', name }] }
    const operation = { kind: 'OperationDefinition', operation: 'query', selectionSet }
    const answer = await ask(JSON.stringify({ kind: 'Document', definitions: [operation], loc: { start: 0, end: 1 } }))
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_DOCUMENT'])
  })

  it('does not repeat the values of variables, which may be secrets', async () => {
    const answer = await ask('mutation($input: ApplyInput!) { apply(input: $input) { revision } }', {
      input: 'sk-secret',
    })
    expect([answer.status, codeOf(answer)]).toEqual([400, 'BAD_DOCUMENT'])
    expect(JSON.stringify(answer)).not.toContain('sk-secret')
  })

  it('says what is wrong with a request that is no GraphQL', async () => {
    const bodies = ['', '{', '[]', '"x"', 'null', '7', '{"variables":{}}', '{"query":7}', `[{"query":"${viewer}"}]`]
    const typed = ['variables', 'extensions'].map((name) => JSON.stringify({ query: viewer, [name]: [1] }))
    for (const body of [...bodies, ...typed]) {
      const answer = await send(body)
      expect(answer.status, body).toBe(400)
      expect(answer.errors?.[0].extensions, body).toEqual({
        code: 'BAD_REQUEST',
        requestId: expect.stringMatching(/^cor_/),
        retryable: false,
      })
    }
    const address = await get({ query: viewer, variables: '{' })
    expect([address.status, await address.text()]).toEqual([400, expect.stringContaining('"BAD_REQUEST"')])
    expect((await get({})).status).toBe(400)
  })

  it('refuses NUL and halves of characters, which no database stores', async () => {
    for (const text of ['\0', '\ud800'])
      expect(
        codeOf(
          await ask('query($after: Cursor) { tenant { projects(after: $after) { nodes { name } } } }', { after: text }),
        ),
      ).toBe('BAD_DOCUMENT')
  })

  it('refuses mutations by GET, and other methods', async () => {
    const query = 'mutation { archive(input: { refs: [], ifRevision: 0 }) { revision } }'
    for (const accept of ['*/*', 'application/json', 'application/graphql-response+json']) {
      const answer = await get({ query }, { accept })
      expect([answer.status, answer.headers.get('allow')], accept).toEqual([405, 'POST'])
      expect(await answer.text()).toContain('"errors"')
    }
    for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']) {
      const headers = { authorization: `Bearer ${host.token}` }
      const answer = await fetch(`${host.url}/graphql`, { method, headers })
      expect([answer.status, answer.headers.get('allow')], method).toEqual([405, 'GET, POST'])
    }
  })

  it('takes JSON in UTF-8, and nothing that a foreign form could send', async () => {
    const refused = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
      'application/graphql',
      'application/json; charset=utf-7',
      'application/json; charset=utf-16le',
      'application/json; charset=cp932',
      'application/json; charset=utf-8; charset=utf-7',
      'nonsense',
    ]
    for (const type of refused) {
      const answer = await send(JSON.stringify({ query: viewer }), { 'content-type': type })
      expect([answer.status, codeOf(answer)], type).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
    }
    for (const type of [
      'application/json; charset=utf-8',
      'application/json;charset="UTF-8"',
      'application/graphql+json',
    ])
      expect((await send(JSON.stringify({ query: viewer }), { 'content-type': type })).status, type).toBe(200)
  })

  it('does not unpack what is packed', async () => {
    expect((await send(JSON.stringify({ query: viewer }), { 'content-encoding': 'identity' })).status).toBe(200)
    const packed = new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    const signed = { ...headers, authorization: `Bearer ${host.token}` }
    const answer = await fetch(`${host.url}/graphql`, { method: 'POST', headers: signed, body: packed })
    expect(answer.status).toBe(400)
  })

  it('answers in a type that the client takes, or 406', async () => {
    const types: Record<string, string | null> = {
      '*/*': 'application/json; charset=utf-8',
      'application/json': 'application/json; charset=utf-8',
      'application/graphql-response+json': 'application/graphql-response+json; charset=utf-8',
      'application/graphql-response+json, application/json': 'application/graphql-response+json; charset=utf-8',
      'application/xml': null,
    }
    for (const [accept, type] of Object.entries(types)) {
      const answer = await get({ query: viewer }, { accept })
      expect(answer.status, accept).toBe(type ? 200 : 406)
      if (type) expect(answer.headers.get('content-type'), accept).toBe(type)
    }
  })

  it('tells a stranger nothing, not even whether a document fits the schema', async () => {
    for (const token of [undefined, 'sla_', `sla_${'x'.repeat(40)}`, `slk_${'x'.repeat(40)}`, 'x'.repeat(2_000)]) {
      for (const query of [viewer, '{ nope }', '{', '{ __schema { types { name } } }']) {
        const answer = await post(host.url, JSON.stringify({ query }), token)
        expect([answer.status, codeOf(answer), answer.errors?.length]).toEqual([401, 'UNAUTHENTICATED', 1])
      }
    }
  })

  it('refuses pages of other origins, also with a good token', async () => {
    for (const headers of [{ origin: 'https://evil.test' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
      const answer = await send(JSON.stringify({ query: viewer }), headers as never)
      expect([answer.status, codeOf(answer)]).toEqual([403, 'FOREIGN_ORIGIN'])
    }
    expect((await send(JSON.stringify({ query: viewer }), { origin: host.url })).status).toBe(200)
  })

  const tooComplex: Record<string, string> = {
    'a thousand aliases': `{ ${Array.from({ length: 1_000 }, (_, index) => `a${index}: viewer { actor { name } }`).join(' ')} }`,
    'depth, even where nothing would fit': `{ ${'a {'.repeat(4_000)} b ${'}'.repeat(4_001)}`,
    'a flood of tokens': `{ ${'a '.repeat(20_000)} }`,
    'a flood of directives': `{ viewer ${'@include(if: true) '.repeat(500)} { actor { name } } }`,
    'a megabyte of comment': `# ${'x'.repeat(1024 * 1024)}\n${viewer}`,
    'fragments that multiply': `{ ...f0 } ${Array.from({ length: 100 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f100 on Query { viewer { actor { name } } }`,
    'pages of pages of pages':
      '{ tenant { projects(first: 100) { nodes { apiKeys(first: 100) { nodes { principal { apiKeys(first: 100) { nodes { name } } } } } } } } }',
  }
  it.each(Object.keys(tooComplex))('is bounded against %s', async (name) => {
    const startedAt = performance.now()
    const answer = await ask(tooComplex[name]!)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect([answer.data ?? null, codeOf(answer)]).toEqual([null, 'TOO_COMPLEX'])
  })

  it('is bounded against a huge body, with and without a length', async () => {
    const huge = JSON.stringify({ query: viewer, variables: { x: 'x'.repeat(17 * 1024 * 1024) } })
    expect(await send(huge)).toMatchObject({ status: 413 })
    const chunk = new TextEncoder().encode(huge.slice(0, 1024 * 1024))
    let left = 20
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => (left-- > 0 ? controller.enqueue(chunk) : controller.close()),
    })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${host.token}` }
    const init = { method: 'POST', headers, body, duplex: 'half' } as RequestInit
    // A host may hang up before all of it was sent.
    const status = await fetch(`${host.url}/graphql`, init).then(
      (answer) => answer.status,
      () => 413,
    )
    expect(status).toBe(413)
  })

  it('is bounded against JSON nested a hundred thousand deep', async () => {
    const deep = `{"query":${JSON.stringify(viewer)},"variables":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    expect([200, 400]).toContain((await send(deep)).status)
    expect((await ask(viewer)).status).toBe(200)
  })

  it('tells health and readiness without a token, and what exists where something does not', async () => {
    for (const path of ['/healthz', '/readyz']) expect((await fetch(host.url + path)).status, path).toBe(200)
    const missing = await fetch(`${host.url}/admin/../../etc/passwd`)
    expect([missing.status, await missing.text()]).toEqual([404, expect.stringContaining('/graphql')])
  })

  it('met no fault', () => expect(host.faults()).toEqual([]))
})
