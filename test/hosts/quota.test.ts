import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { post } from '../../control-plane/hosts/running.ts'
import { type Hosted, hosts } from './hosts.ts'
import { type Message, talk } from './socket.ts'

const quota = '{ apiQuota { cost remaining limit resetsAt } }'
const limit = 20_000
/** Some 5,000 points, and little work where there is nothing. */
const dear = '{ tenant { resources(first: 100) { nodes { id name handle labels revision } } } }'

describe.each(Object.entries(hosts))('the API quota, on %s', (_, open) => {
  let host: Hosted
  const keys: string[] = []
  beforeAll(async () => {
    host = await open(limit)
    const { data: seen } = await ask(host.token, '{ tenant { principals { nodes { id } } } }')
    const principal = seen.tenant.principals.nodes[0].id
    const issue = 'mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { secret } }'
    for (const name of ['http', 'stream', 'socket']) {
      const { data } = await ask(host.token, issue, { input: { idempotencyKey: name, kind: 'ADMIN', name, principal } })
      keys.push(data.apiKeyIssue.secret)
    }
  })
  afterAll(() => host?.stop())

  const ask = (token: string, query: string, variables: object = {}) =>
    post(host.url, JSON.stringify({ query, variables }), token)
  /** Spends until there is no more for another one like this. A minute may end in between: then it begins again. */
  const spend = async (token: string) => {
    for (let count = 0; count < 100; count++) {
      const answer = await ask(token, dear)
      if (answer.errors) return answer
    }
    throw new Error('There was no end to it.')
  }
  const refusal = { code: 'RATE_LIMITED', retryable: true, retryAfterMs: expect.any(Number) }

  it('tells what an operation cost and what is left', async () => {
    const { data } = await ask(keys[0]!, quota)
    expect(data.apiQuota).toMatchObject({ cost: 5, limit })
    const { data: next } = await ask(keys[0]!, `{ apiQuota { remaining resetsAt } ${dear.slice(1)}`)
    const sameMinute = next.apiQuota.resetsAt === data.apiQuota.resetsAt
    expect(next.apiQuota.remaining).toBeLessThan(sameMinute ? data.apiQuota.remaining - 500 : limit)
    expect(Date.parse(data.apiQuota.resetsAt) % 60_000).toBe(0)
  })

  it('refuses what goes beyond it, with the time to wait, and only that caller', async () => {
    const refused = await spend(keys[0]!)
    expect([refused.status, refused.data ?? null]).toEqual([429, null])
    expect(refused.errors).toEqual([
      {
        message: expect.stringMatching(/^The API quota .*\.$/),
        extensions: { ...refusal, requestId: expect.any(String) },
      },
    ])
    const raw = await fetch(`${host.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${keys[0]}` },
      body: JSON.stringify({ query: dear }),
    })
    const seconds = Number(raw.headers.get('retry-after'))
    if (raw.status === 429) expect(seconds >= 1 && seconds <= 60).toBe(true)
    expect((await ask(keys[1]!, quota)).status).toBe(200)
  })

  it('leaves what is too dear at all to its own refusal, and what is no document uncounted', async () => {
    const pages =
      '{ tenant { projects(first: 100) { nodes { apiKeys(first: 100) { nodes { name handle id labels revision } } } } } }'
    const { data: before } = await ask(keys[1]!, quota)
    expect((await ask(keys[1]!, pages)).errors![0].extensions.code).toBe('TOO_COMPLEX')
    for (const query of [
      '{',
      '{ nope }',
      'query($first: Int!) { tenant { projects(first: $first) { nodes { id } } } }',
    ])
      expect((await ask(keys[1]!, query)).errors![0].extensions.code).toBe('BAD_DOCUMENT')
    const { data: after } = await ask(keys[1]!, quota)
    if (before.apiQuota.resetsAt === after.apiQuota.resetsAt)
      expect(after.apiQuota.remaining).toBe(before.apiQuota.remaining - after.apiQuota.cost)
  })

  it('counts streams when they begin, and refuses them too', async () => {
    const socket = await talk(host.socketUrl)
    const payload = { authorization: `Bearer ${keys[2]}` }
    await socket.greet({ type: 'connection_init', payload })
    const fields = Array.from({ length: 25 }, (_, index) => `a${index}: kind`).join(' ')
    const changes = '... on ConfigChanged { changes { ref action fields { path before after } } }'
    const query = `subscription { events { cursor ${fields} ${changes} } }`
    const { data: before } = await ask(keys[2]!, quota)
    socket.send({ type: 'subscribe', id: 'first', payload: { query } } satisfies Message)
    let asking = 0
    // Nothing is said when a stream begins.
    await vi.waitFor(async () => {
      const { data: after } = await ask(keys[2]!, quota)
      asking += after.apiQuota.cost
      if (before.apiQuota.resetsAt === after.apiQuota.resetsAt)
        expect(before.apiQuota.remaining - after.apiQuota.remaining - asking).toBeGreaterThan(25)
    })
    await spend(keys[2]!)
    socket.send({ type: 'subscribe', id: 'last', payload: { query: dear } } satisfies Message)
    const told = await socket.until(({ id }) => id === 'last')
    expect(JSON.stringify(told.find(({ id }) => id === 'last'))).toMatch(/RATE_LIMITED|"data":\{"tenant"/)
    socket.close()
  })

  it('met no fault', () => expect(host.faults()).toEqual([]))
})
