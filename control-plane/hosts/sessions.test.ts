import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documents } from '../dashboard/documents.ts'
import type { Actor } from '../domain/actor.ts'
import { apiKeyIssue, apiKeyRotate } from '../domain/keys.ts'
import { declareAll, type TestContext, testContext, testTenant } from '../domain/test-context.ts'
import { type Running, runControlPlane } from './running.ts'
import { type ControlPlaneServer, serveControlPlane } from './yoga.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const link = async (token = plane.token) => {
  const answer = await fetch(`${plane.url}/session/ticket`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  expect(answer.status).toBe(200)
  return ((await answer.json()) as { path: string }).path
}

const open = async (path: string) => {
  const answer = await fetch(plane.url + path, { redirect: 'manual' })
  return {
    status: answer.status,
    location: answer.headers.get('location'),
    cookie: answer.headers.get('set-cookie')?.split(';')[0],
  }
}

const asPage = async (query: string, cookie: string, headers: Record<string, string> = {}, variables = {}) => {
  const address = new URLSearchParams({ query, variables: JSON.stringify(variables) })
  const answer = await fetch(`${plane.url}/graphql?${address}`, {
    headers: { cookie, accept: 'application/json', ...headers },
  })
  return { status: answer.status, body: await answer.text() }
}

describe('a browser session', () => {
  it('begins with a link that works once', async () => {
    const path = await link()
    const first = await open(path)
    expect(first).toMatchObject({ status: 303, location: '/' })
    expect((await asPage(documents.whoami, first.cookie!)).status).toBe(200)
    expect(await open(path)).toMatchObject({ status: 303, location: '/?link=used', cookie: undefined })
    expect((await open('/?ticket=sls_nonsense')).cookie).toBeUndefined()
  })

  it('may send the documents of its page and no others', async () => {
    const { cookie } = await open(await link())
    const from = { from: new Date(Date.now() - 3_600_000).toISOString() }
    const overview = await asPage(documents.overview, cookie!, {}, { today: from, hour: from })
    expect(overview.status).toBe(200)
    expect(JSON.parse(overview.body)).not.toHaveProperty('errors')
    expect((await asPage(documents.latest, cookie!)).body).not.toContain('"errors"')
    expect(await asPage('{ tenant { name } }', cookie!)).toMatchObject({
      status: 403,
      body: expect.stringContaining('UNKNOWN_DOCUMENT'),
    })
  })

  it('is worth nothing on pages of other origins, or of other ports', async () => {
    const { cookie } = await open(await link())
    for (const headers of [
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'http://127.0.0.1:1' },
    ])
      expect((await asPage(documents.whoami, cookie!, headers as never)).status).toBe(403)
    expect((await asPage(documents.whoami, cookie!, { 'sec-fetch-site': 'same-origin' })).status).toBe(200)
  })

  it('does not make up for a bad token, and cannot mint another link', async () => {
    const { cookie } = await open(await link())
    expect((await asPage(documents.whoami, cookie!, { authorization: 'Bearer sla_bad' })).status).toBe(401)
    const minting = await fetch(`${plane.url}/session/ticket`, { method: 'POST', headers: { cookie: cookie! } })
    expect(minting.status).toBe(401)
  })

  it('ends when it signs out', async () => {
    const { cookie } = await open(await link())
    const left = await fetch(`${plane.url}/session`, { method: 'DELETE', headers: { cookie: cookie! } })
    expect([left.status, left.headers.get('set-cookie')]).toEqual([204, expect.stringContaining('Max-Age=0')])
    expect((await asPage(documents.whoami, cookie!)).status).toBe(401)
  })

  it('ends with the key it was opened by', async () => {
    const { data: seen } = await plane.ask('{ tenant { principals { nodes { id } } } }')
    const input = {
      idempotencyKey: crypto.randomUUID(),
      kind: 'ADMIN',
      name: 'visitor',
      principal: seen.tenant.principals.nodes[0].id,
    }
    const { data } = await plane.ask('mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { secret } }', {
      input,
    })
    const { cookie } = await open(await link(data.apiKeyIssue.secret))
    expect((await asPage(documents.whoami, cookie!)).status).toBe(200)
    await plane.ask('mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { errors { message } } }', {
      input: { apiKey: 'api-key/visitor', reason: 'left' },
    })
    expect((await asPage(documents.whoami, cookie!)).status).toBe(401)
  })
})

describe('a browser session on several replicas', () => {
  let ctx: TestContext
  let servers: ControlPlaneServer[]
  let operator: { owner: Actor; adminToken: string }
  beforeAll(async () => {
    ctx = await testContext(null)
    operator = await testTenant(ctx)
    const options = { host: '127.0.0.1', port: 0 }
    servers = [await serveControlPlane(ctx, options), await serveControlPlane(ctx, options)]
  })
  afterAll(async () => {
    for (const server of servers ?? []) await server.stop()
    await ctx?.stop()
  })

  const [cookieOf, secretOf] = [
    ({ port }: ControlPlaneServer, secret: string) => `sluice_${port}=${secret}`,
    (answer: Response) => answer.headers.get('set-cookie')!.split(';')[0]!.split('=')[1]!,
  ]
  const ticketOf = async (token: string, headers: Record<string, string> = {}) => {
    const init = { method: 'POST', headers: { authorization: `Bearer ${token}`, ...headers } }
    const answer = await fetch(`${servers[0]!.url}/session/ticket`, init)
    return { status: answer.status, path: answer.ok ? ((await answer.json()) as { path: string }).path : '' }
  }
  /** Signed in at the first replica. */
  const signIn = async (token: string, headers: Record<string, string> = {}) =>
    secretOf(await fetch(servers[0]!.url + (await ticketOf(token, headers)).path, { redirect: 'manual' }))
  const whoAt = (server: ControlPlaneServer, secret: string) =>
    fetch(`${server.url}/graphql?${new URLSearchParams({ query: documents.whoami })}`, {
      headers: { cookie: cookieOf(server, secret) },
    })

  it('is good on each of them, and after a restart', async () => {
    const secret = await signIn(operator.adminToken)
    for (const server of servers) expect((await whoAt(server, secret)).status).toBe(200)
    const restarted = await serveControlPlane(ctx, { host: '127.0.0.1', port: 0 })
    expect((await whoAt(restarted, secret)).status).toBe(200)
    await restarted.stop()
    const cookie = cookieOf(servers[1]!, secret)
    await fetch(`${servers[1]!.url}/session`, { method: 'DELETE', headers: { cookie } })
    for (const server of servers) expect((await whoAt(server, secret)).status).toBe(401)
  })

  it('lets a link be opened at another one than it was asked of, once', async () => {
    const { path } = await ticketOf(operator.adminToken)
    const opened = await Promise.all(servers.map(({ url }) => fetch(url + path, { redirect: 'manual' })))
    expect(opened.map(({ headers }) => headers.has('set-cookie')).sort()).toEqual([false, true])
  })

  it('ends with the very token it came from, also where its key lives on', async () => {
    const key = { kind: 'ADMIN' as const, name: 'turned', idempotencyKey: 'turned' }
    const issued = await apiKeyIssue(ctx, operator.owner, { ...key, principal: operator.owner.principal! })
    const secret = await signIn(issued.secret!)
    const rotated = { idempotencyKey: 'turn', apiKey: issued.apiKey!.id, overlap: 'PT0S' }
    const { secret: next } = await apiKeyRotate(ctx, operator.owner, rotated)
    expect((await whoAt(servers[1]!, secret)).status).toBe(401)
    expect((await whoAt(servers[1]!, await signIn(next!))).status).toBe(200)
  })

  it('is held to the addresses of the key it came from', async () => {
    const key = { kind: 'ADMIN' as const, name: 'elsewhere', idempotencyKey: 'elsewhere' }
    const issued = await apiKeyIssue(ctx, operator.owner, { ...key, principal: operator.owner.principal! })
    const secret = await signIn(issued.secret!)
    const bound = { id: issued.apiKey!.id, name: 'elsewhere', allowedAddresses: ['10.0.0.0/8'] }
    expect((await declareAll(ctx, operator.owner, [['apiKey', bound]])).errors).toEqual([])
    expect((await whoAt(servers[0]!, secret)).status).toBe(401)
  })

  it('acts in the tenant its link was made for, as long as its operator may', async () => {
    const { owner, adminToken } = await testTenant(ctx)
    const inOther = { 'x-sluice-tenant': owner.tenant }
    const query = documents.overview
    const from = new Date(0).toISOString()
    const variables = JSON.stringify({ today: { from }, hour: { from: new Date(ctx.clock.now() - 60_000) } })
    const secret = await signIn(operator.adminToken, inOther)
    const answer = await fetch(`${servers[1]!.url}/graphql?${new URLSearchParams({ query, variables })}`, {
      headers: { cookie: cookieOf(servers[1]!, secret) },
    })
    const { data } = (await answer.json()) as { data: { viewer: object } }
    expect(data.viewer).toMatchObject({
      actor: { name: 'Operator of the installation', onBehalfOf: { name: 'first-admin' } },
    })
    expect((await ticketOf(adminToken, { 'x-sluice-tenant': operator.owner.tenant })).status).toBe(404)
  })

  it('is worth nothing to a foreign page by POST, by stream or by socket', async () => {
    const [server] = servers as [ControlPlaneServer]
    const cookie = cookieOf(server, await signIn(operator.adminToken))
    const foreign = { cookie, origin: 'https://evil.test' }
    const own = { cookie, origin: server.url }
    const post = (headers: Record<string, string>) =>
      fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ query: documents.whoami }),
      })
    const stream = (headers: Record<string, string>) =>
      fetch(`${server.url}/graphql?${new URLSearchParams({ query: documents.ticks })}`, {
        headers: { accept: 'text/event-stream', ...headers },
      })
    for (const ask of [post, stream]) {
      const refused = await ask(foreign)
      expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('FOREIGN_ORIGIN')])
      const answered = await ask(own)
      expect(answered.status).toBe(200)
      await answered.body?.cancel()
    }
    expect(await greeted(server, foreign)).toBe('refused')
    expect(await greeted(server, own)).toBe('connection_ack')
    expect(await greeted(server, { origin: server.url })).toBe('4403')
  })
})

/** What a socket's hello without a token is answered with. */
function greeted(server: ControlPlaneServer, headers: Record<string, string>): Promise<string> {
  const init = { protocols: 'graphql-transport-ws', headers } as never
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, init)
  return new Promise((resolve) => {
    socket.onopen = () => socket.send('{"type":"connection_init"}')
    socket.onerror = () => resolve('refused')
    socket.onclose = ({ code }) => resolve(String(code))
    socket.onmessage = ({ data }) => {
      resolve(JSON.parse(String(data)).type)
      socket.close()
    }
  })
}

describe('the pages', () => {
  const foreign = /(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?\/\/|@import|url\(\s*["']?(?:https?:)?\/\//i

  it('bring everything with them: no foreign address in page, script or style', async () => {
    const page = await fetch(plane.url)
    const html = await page.text()
    expect(html).not.toMatch(foreign)
    const assets = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!)
    expect(assets.length).toBeGreaterThanOrEqual(2)
    for (const path of assets) {
      const asset = await fetch(plane.url + path)
      expect(asset.headers.get('cache-control')).toContain('immutable')
      const text = await asset.text()
      // Namespaces of SVG and MathML are names, not addresses.
      const addresses = [...text.matchAll(/https?:\/\/[^"'`\s)]+/g)].map(([address]) => address)
      expect(addresses.filter((address) => !address.startsWith('http://www.w3.org/'))).toEqual([])
    }
  })

  it('allow no script that is not theirs', async () => {
    const dashboard = (await fetch(plane.url)).headers.get('content-security-policy')!
    expect(dashboard).toContain("script-src 'self'")
    expect(dashboard).not.toContain('unsafe')
    const graphiql = await fetch(`${plane.url}/graphql`, { headers: { accept: 'text/html' } })
    expect(graphiql.headers.get('content-security-policy')).toMatch(/script-src 'sha256-/)
    expect((await graphiql.text()).slice(0, 2_000)).not.toMatch(foreign)
  })
})
