import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { post, type Running, runControlPlane } from './running.ts'
import { CannotListen, serveControlPlane } from './yoga.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const viewer = '{ viewer { actor { name } } }'
const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${plane.url}${path}`, { headers: { authorization: `Bearer ${plane.token}`, ...headers }, redirect: 'manual' })
const send = (body: string, headers: Record<string, string> = {}) => post(plane.url, body, plane.token, headers)
const codeOf = (answer: { errors: { extensions: { code: string } }[] | undefined }) =>
  answer.errors?.[0]?.extensions.code

describe('GraphQL over HTTP', () => {
  it('answers queries by POST and by GET', async () => {
    expect((await plane.ask(viewer)).data.viewer.actor.name).toBeTypeOf('string')
    const answer = await get(`/graphql?query=${encodeURIComponent(viewer)}`)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toHaveProperty('data.viewer')
  })

  it('refuses mutations by GET', async () => {
    const mutation = 'mutation { archive(input: { refs: [], ifRevision: 0 }) { revision } }'
    const answer = await get(`/graphql?query=${encodeURIComponent(mutation)}`)
    expect(answer.status).toBe(405)
    expect(answer.headers.get('allow')).toBe('POST')
  })

  it('takes JSON and nothing that a foreign form could send', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/jsonx',
    ]) {
      const answer = await send(JSON.stringify({ query: viewer }), { 'content-type': type })
      expect([answer.status, codeOf(answer)]).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE'])
    }
    expect(
      (await send(JSON.stringify({ query: viewer }), { 'content-type': 'application/json; charset=utf-8' })).status,
    ).toBe(200)
  })

  it('says what is wrong with a request that is no GraphQL', async () => {
    for (const body of ['', '{', '[]', '"x"', 'null', '{"variables":{}}', '{"query":7}', `[{"query":"${viewer}"}]`]) {
      const answer = await send(body)
      expect(answer.status, body).toBe(400)
      expect(answer.errors?.[0].extensions, body).toMatchObject({
        requestId: expect.stringMatching(/^cor_/),
        retryable: false,
      })
    }
  })

  it('gives every answer its request id', async () => {
    expect((await get('/graphql?query={viewer{actor{name}}}')).headers.get('x-sluice-request-id')).toMatch(
      /^cor_[0-9a-f]{32}$/,
    )
  })

  it('tells a stranger nothing, not even whether a document fits the schema', async () => {
    const asked = [viewer, '{ nope }', '{', '{ __schema { types { name } } }']
    for (const token of [undefined, 'sla_', `sla_${'x'.repeat(40)}`, `slk_${'x'.repeat(40)}`]) {
      const answers = await Promise.all(asked.map((query) => post(plane.url, JSON.stringify({ query }), token)))
      for (const answer of answers) {
        expect([answer.status, codeOf(answer)]).toEqual([401, 'UNAUTHENTICATED'])
        expect(answer.errors).toHaveLength(1)
      }
    }
  })

  it('refuses pages of other origins, also with a good token', async () => {
    for (const headers of [{ origin: 'https://evil.test' }, { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
      const answer = await send(JSON.stringify({ query: viewer }), headers as never)
      expect([answer.status, codeOf(answer)]).toEqual([403, 'FOREIGN_ORIGIN'])
    }
    expect((await send(JSON.stringify({ query: viewer }), { origin: plane.url })).status).toBe(200)
  })
})

describe('work that one request may cause', () => {
  const refused = async (query: string) => {
    const startedAt = performance.now()
    const answer = await plane.ask(query)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(codeOf(answer)).toBe('TOO_COMPLEX')
    expect(answer.data ?? null).toBeNull()
  }

  it('is bounded against a thousand aliases', () =>
    refused(`{ ${Array.from({ length: 1_000 }, (_, index) => `a${index}: viewer { actor { name } }`).join(' ')} }`))

  it('is bounded against depth, even where nothing would fit', () =>
    refused(`{ ${'a {'.repeat(4_000)} b ${'}'.repeat(4_001)}`))

  it('is bounded against a flood of tokens and of directives', async () => {
    await refused(`{ ${'viewer '.repeat(50_000)} }`)
    await refused(`{ viewer ${'@include(if: true) '.repeat(500)} { actor { name } } }`)
  })

  it('is bounded against fragments that multiply', () =>
    refused(
      `{ ...f0 } ${Array.from({ length: 100 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')} fragment f100 on Query { viewer { actor { name } } }`,
    ))

  it('is bounded against pages of pages of pages', () =>
    refused(
      '{ tenant { projects(first: 100) { nodes { apiKeys(first: 100) { nodes { principal { apiKeys(first: 100) { nodes { name } } } } } } } } }',
    ))

  it('leaves room for introspection and for what people ask', async () => {
    const { getIntrospectionQuery } = await import('graphql')
    expect((await plane.ask(getIntrospectionQuery())).errors).toBeUndefined()
    expect(
      (await plane.ask('{ tenant { projects { nodes { name apiKeys { nodes { name state } } } } } }')).errors,
    ).toBeUndefined()
  })

  it('is bounded against fragments in a circle, by validation', async () => {
    const answer = await plane.ask('{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }')
    expect(codeOf(answer)).toBe('BAD_DOCUMENT')
  })

  it('is bounded against a huge body, with and without a length', async () => {
    const huge = JSON.stringify({ query: `# ${'x'.repeat(17 * 1024 * 1024)}\n${viewer}` })
    expect(await send(huge)).toMatchObject({ status: 413 })
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(huge))
        controller.close()
      },
    })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${plane.token}` }
    const answer = await fetch(`${plane.url}/graphql`, { method: 'POST', headers, body: chunks })
    expect(answer.status).toBe(413)
  })

  it('is bounded against JSON nested a hundred thousand deep', async () => {
    const deep = `{"query":${JSON.stringify(viewer)},"variables":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    expect([200, 400]).toContain((await send(deep)).status)
    expect((await plane.ask(viewer)).status).toBe(200)
  })
})

describe('the other addresses', () => {
  it('tell health, readiness and figures, without a token', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics'])
      expect((await fetch(plane.url + path)).status, path).toBe(200)
    expect(await (await fetch(`${plane.url}/metrics`)).text()).toContain(
      'sluice_control_requests_total{route="/graphql"',
    )
  })

  it('name what exists where something does not', async () => {
    const answer = await fetch(`${plane.url}/admin/../../etc/passwd`)
    expect(answer.status).toBe(404)
    expect(await answer.text()).toContain('/graphql')
  })

  it('tell in one sentence that a port is taken', async () => {
    const port = Number(new URL(plane.url).port)
    const starting = serveControlPlane({} as never, { host: '127.0.0.1', port })
    await expect(starting).rejects.toThrow(CannotListen)
    await expect(starting).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`)
  })

  it('never met a fault', () => expect(plane.faults).toEqual([]))
})
