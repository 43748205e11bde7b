import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CannotListen } from '../../control-plane/hosts/listening.ts'
import { serveMercurius } from '../../control-plane/hosts/mercurius.ts'
import { post } from '../../control-plane/hosts/running.ts'
import { type House, openHouse } from './house.ts'
import { talk } from './socket.ts'

const host = '127.0.0.1'
const viewer = JSON.stringify({ query: '{ viewer { actor { name } } }' })

describe('the Mercurius host', () => {
  let house: House
  beforeAll(async () => {
    house = await openHouse()
  })
  afterAll(() => house?.stop())

  it('tells in one sentence that a port is taken', async () => {
    const first = await serveMercurius(house.ctx, { host, port: 0 })
    const starting = serveMercurius(house.ctx, { host, port: first.port })
    await expect(starting).rejects.toThrow(CannotListen)
    await expect(starting).rejects.toThrow(`Port ${first.port} on 127.0.0.1 is taken`)
    await first.stop()
  })

  it('stops within two seconds, whoever is still connected', async () => {
    const server = await serveMercurius(house.ctx, { host, port: 0 })
    const socket = await talk(`${server.url.replace('http', 'ws')}/graphql`)
    await socket.greet({ type: 'connection_init', payload: { authorization: `Bearer ${house.token}` } })
    socket.send({ type: 'subscribe', id: '1', payload: { query: 'subscription { events { cursor } }' } })
    expect((await post(server.url, viewer, house.token)).status).toBe(200)
    const startedAt = performance.now()
    await server.stop()
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    await socket.closed
    await expect(fetch(server.url)).rejects.toThrow()
  })

  it('serves TLS', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const made = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=localhost',
    ]
    spawnSync('openssl', [...made, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert])
    const tls = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    const server = await serveMercurius(house.ctx, { host, port: 0, tls })
    expect(server.url).toMatch(/^https:/)
    const answer = await fetch(`${server.url}/healthz`, { tls: { ca: tls.cert } } as RequestInit)
    expect(await answer.text()).toBe('ok\n')
    await server.stop()
    rmSync(dir, { recursive: true })
  })

  it('holds a key to the addresses it is bound to', async () => {
    const server = await serveMercurius(house.ctx, { host, port: 0 })
    const ask = (query: string, variables: object, token = house.token) =>
      post(server.url, JSON.stringify({ query, variables }), token)
    const { data: seen } = await ask('{ tenant { principals { nodes { id } } } }', {})
    const principal = seen.tenant.principals.nodes[0].id
    for (const [range, status] of [
      ['127.0.0.0/8', 200],
      ['10.0.0.0/8', 401],
    ] as const) {
      const name = `from-${range.split('.')[0]}`
      const input = { idempotencyKey: name, kind: 'ADMIN', name, principal, allowedAddresses: [range] }
      const issue = 'mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { errors { message } secret } }'
      const { data } = await ask(issue, { input })
      expect(data.apiKeyIssue.errors).toEqual([])
      expect((await post(server.url, viewer, data.apiKeyIssue.secret)).status, range).toBe(status)
    }
    await server.stop()
  })

  it('has no streams over HTTP, and says where they are', async () => {
    const server = await serveMercurius(house.ctx, { host, port: 0 })
    const query = 'subscription { events { cursor } }'
    const answer = await post(server.url, JSON.stringify({ query }), house.token)
    expect([answer.status, answer.errors?.[0].message]).toEqual([406, expect.stringContaining('WebSocket')])
    await server.stop()
  })

  it('masks and reports what nobody made on purpose', async () => {
    const faults: unknown[] = []
    const broken = {
      ...house.ctx,
      db: { ...house.ctx.db, withTenant: () => Promise.reject(new Error('select secret')) },
    }
    const report = (error: unknown, requestId: string) => faults.push(`${requestId} ${error}`)
    const server = await serveMercurius(broken, { host, port: 0, report })
    const answer = await post(server.url, JSON.stringify({ query: '{ tenant { name } }' }), house.token)
    expect(answer.errors?.[0].extensions).toMatchObject({ code: 'INTERNAL', retryable: true })
    expect(JSON.stringify(answer)).not.toContain('select secret')
    expect(faults).toEqual([`${answer.errors![0].extensions.requestId} Error: select secret`])
    await server.stop()
  })
})
