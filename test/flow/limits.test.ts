import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MemoryLimiter } from '../../data-plane/limits/memory.ts'
import { mintId } from '../../schema/ids.ts'
import type { SnapshotRateLimit } from '../../schema/snapshot.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, labelOf, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway | undefined

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterAll(() => upstream.stop())
afterEach(async () => {
  await gateway?.stop()
  gateway = undefined
  upstream.reset()
})

const limitOf = (change: Partial<SnapshotRateLimit>): SnapshotRateLimit => ({
  ...{ id: mintId('rateLimit'), name: 'pace', scope: { kind: 'TENANT' }, per: null, mode: 'ENFORCE' },
  ...{ unit: 'REQUESTS', limit: 2, windowMs: 60_000, burst: 1 },
  ...change,
})

async function start(rateLimits: SnapshotRateLimit[], setup: Partial<Setup> = {}): Promise<TestGateway> {
  upstream.otherwise(answers.chat('a b c d e'))
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, rateLimits, model: { maxOutputTokens: 50 }, ...setup })
  return gateway
}

async function statuses(count: number, body: object = hello): Promise<number[]> {
  const found: number[] = []
  for (let at = 0; at < count; at++) {
    const answer = await gateway!.chat(body)
    await answer.text()
    found.push(answer.status)
  }
  return found
}

describe('a rate limit', () => {
  it('admits its burst and one, then refuses until enough has flowed back, and says when', async () => {
    const { chat, records } = await start([limitOf({ scope: { kind: 'TENANT' } })])
    expect(await statuses(2)).toEqual([200, 200])
    const refused = await chat(hello)
    expect(refused.status).toBe(429)
    expect(refused.headers.get('x-sluice-refusal')).toBe('rate_limited')
    expect(refused.headers.get('x-should-retry')).toBe('true')
    expect(Number(refused.headers.get('retry-after'))).toBe(30)
    expect((await refused.json()).error.message).toBe(
      'A rate limit does not admit this request now. A limit above this project admits 2 requests per PT1M. Try again in 30 s.',
    )
    expect(upstream.requests).toHaveLength(2)
    const [first, , last] = await records(3)
    expect(first!.decisions).toMatchObject([{ verdict: 'PASSED', mode: 'ENFORCE', detail: null }])
    expect(last).toMatchObject({ refusal: 'rate_limited', decisions: [{ verdict: 'BLOCKED', detail: 'rate_limited' }] })
  })

  it('is named to callers of its own project or below, and is final where the wait is longer than a minute', async () => {
    const { chat } = await start([limitOf({ per: 'API_KEY', limit: 1, windowMs: 3_600_000, burst: 0 })])
    await statuses(1)
    const refused = await chat(hello)
    expect([refused.headers.get('x-should-retry'), refused.headers.get('retry-after')]).toEqual(['false', null])
    expect((await refused.json()).error.message).toContain('The limit pace admits 1 requests per PT1H.')
  })

  it('that only observes refuses nothing and says in the record what it would have', async () => {
    const { records } = await start([limitOf({ mode: 'OBSERVE' })])
    expect(await statuses(4)).toEqual([200, 200, 200, 200])
    expect((await records(4)).map(({ decisions }) => decisions[0]!.verdict)).toEqual([
      ...['PASSED', 'PASSED', 'FLAGGED', 'FLAGGED'],
    ])
  })

  it('tells clients what is left in the headers of their own vendor', async () => {
    const limits = [limitOf({ limit: 100, burst: 100 }), limitOf({ unit: 'TOKENS', limit: 10_000, burst: 10_000 })]
    const { chat, url, key } = await start(limits)
    const { headers } = await chat({ ...hello, max_tokens: 20 })
    expect(headers.get('x-ratelimit-limit-requests')).toBe('100')
    expect(headers.get('x-ratelimit-remaining-requests')).toBe('100')
    expect(headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+ms$/)
    expect(headers.get('x-ratelimit-limit-tokens')).toBe('10000')
    expect(headers.get('x-ratelimit-reset-tokens')).toMatch(/^\d+ms$/)
    const answer = await fetch(`${url}/v1/messages`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'house', max_tokens: 10, messages: [{ role: 'user', content: 'Hi' }] }),
    })
    expect(answer.headers.get('anthropic-ratelimit-requests-limit')).toBe('100')
    expect(answer.headers.get('anthropic-ratelimit-requests-remaining')).toMatch(/^\d+$/)
    expect(answer.headers.get('anthropic-ratelimit-tokens-reset')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  })

  it('of tokens reserves the most a request may come to, and takes back what it did not', async () => {
    const { chat } = await start([limitOf({ unit: 'OUTPUT_TOKENS', limit: 100, burst: 100 })])
    // 50 reserved, 5 used: many more than two of them fit into 101.
    expect(await statuses(8)).toEqual(Array(8).fill(200))
    const tooLarge = await chat({ ...hello, n: 3 })
    expect((await tooLarge.json()).error.message).toContain(
      'It takes at most 101 at once, and this request may come to 150: ask for less output, or send less.',
    )
    expect(tooLarge.headers.get('x-should-retry')).toBe('false')
  })

  it('of concurrent requests holds a place until the exchange is closed, whatever ends it', async () => {
    const limiter = new MemoryLimiter({ nowMs: () => performance.now() })
    const { chat } = await start([limitOf({ unit: 'CONCURRENT_REQUESTS', limit: 1, windowMs: null, burst: 0 })], {
      limiter,
    })
    upstream.on('gpt-test', answers.chat('slow').headDelayMs(300))
    const first = chat(hello)
    await upstream.received(1)
    const refused = await chat(hello)
    expect([refused.status, refused.headers.get('x-sluice-refusal')]).toEqual([429, 'concurrency_exceeded'])
    expect(refused.headers.get('retry-after')).toBe('1')
    expect((await first).status).toBe(200)
    expect(await statuses(1)).toEqual([200])
    upstream.on('gpt-test', answers.error(500, 'down'))
    expect(await statuses(2)).toEqual([503, 503])
    expect(await statuses(1, { ...hello, model: 'nothing' })).toEqual([404])
    expect(await statuses(1, { ...hello, messages: 'none' })).toEqual([400])
    upstream.on('gpt-test', answers.chat('going going gone').chunkDelayMs(50))
    const leaving = new AbortController()
    await chat({ ...hello, stream: true }, { signal: leaving.signal })
    leaving.abort()
    upstream.on('gpt-test', answers.chat('ok'))
    await Bun.sleep(200)
    expect(await statuses(1)).toEqual([200])
  })

  it('of a place passes over its target for another, and refuses only where none is left', async () => {
    const { records } = await start([limitOf({ scope: { kind: 'MODEL', at: 0 }, burst: 0, limit: 1 })], {
      targets: ['one', 'two'],
    })
    expect(await statuses(3)).toEqual([200, 200, 200])
    expect(upstream.requests.map(({ model }) => model)).toEqual(['one', 'two', 'two'])
    const [, second] = await records(2)
    expect(second!.routeReason).toMatch(/^priority; rate_limited mdl_/)
    expect(second!.decisions).toMatchObject([{ verdict: 'FLAGGED', detail: 'rate_limited' }])
  })

  it('of a credential counts what is sent with it, and refuses where it is the only one', async () => {
    await start([limitOf({ scope: { kind: 'CREDENTIAL', at: 0 }, burst: 0, limit: 1 })])
    expect(await statuses(2)).toEqual([200, 429])
  })

  it('counts each value of a label by itself', async () => {
    const { chat } = await start(
      [limitOf({ scope: { kind: 'LABEL', key: 'case', value: null }, per: 'LABEL_VALUE', burst: 0, limit: 1 })],
      { alter: (config) => config.requestLabels.push(labelOf('case')) },
    )
    const asked = async (value: string) =>
      (await chat(hello, { headers: { 'x-sluice-labels': `case=${value}` } })).status
    expect([await asked('a'), await asked('b'), await asked('a')]).toEqual([200, 200, 429])
    expect(await statuses(2)).toEqual([200, 200])
  })

  it('asks more for another attempt where the one before was charged', async () => {
    await start([limitOf({ unit: 'OUTPUT_TOKENS', limit: 60, burst: 60 })])
    upstream.on('gpt-test', answers.chat('it stalls').thenBreak())
    expect(await statuses(1, { ...hello, max_tokens: 50 })).toEqual([429])
  })

  it('is closed where nobody can count', async () => {
    const limiter = { sharing: 'SHARED_STORE' as const, take: async () => ({ away: 'It is away.' }), settle: () => {} }
    await start([limitOf({})], { limiter })
    const refused = await gateway!.chat(hello)
    expect([refused.status, refused.headers.get('x-sluice-refusal')]).toEqual([503, 'policy_unavailable'])
    expect((await refused.json()).error.message).toContain('Its rate limits cannot be asked for now.')
    expect(upstream.requests).toHaveLength(0)
  })
})
