import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documents } from '../dashboard/documents.ts'
import { type Running, runControlPlane } from './running.ts'

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
