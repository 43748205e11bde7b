import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { readRecord } from '../../control-plane/domain/record-shape.ts'
import { hello, type Setup, startGateway, type TestGateway } from '../flow/gateway.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

async function start(setup: Partial<Setup> = {}): Promise<void> {
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, retry: { attempts: 1 }, ...setup })
  running.push(gateway)
}

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  for (const each of running.splice(0)) {
    expect(each.faults).toEqual([])
    await each.stop()
  }
  upstream.reset()
})
afterAll(() => upstream.stop())

/** What the control plane would say of the one record: a malformed one ends its tenant's chain for good. */
async function malformed(): Promise<string | undefined> {
  const [record] = await gateway.records(1)
  const [text] = gateway.recorder.next(record!.tenant, 1, 0, { records: 1, bytes: 1e9 })
  const read = readRecord(text!)
  return 'malformed' in read ? read.malformed : undefined
}

describe('a record that the control plane takes is made', () => {
  const most = Number.MAX_SAFE_INTEGER
  const unbounded = { contextTokens: null, maxOutputTokens: null }
  const bodies: [string, object, Partial<Setup>][] = [
    ['a model name with NUL', { model: 'a\u0000b' }, {}],
    ['a model name with half a character', { model: 'a\ud800b' }, {}],
    ['a model name of 10,000 characters', { model: '\u{1F600}'.repeat(5_000) }, {}],
    ['the largest n there is', { n: most }, {}],
    ['the largest n and limit there are, and no bound declared', { n: most, max_tokens: most }, { model: unbounded }],
  ]
  it.each(bodies)('of a request with %s', async (_name, body, setup) => {
    await start(setup)
    upstream.otherwise(answers.error(500, 'no'))
    await (await gateway.chat({ ...hello, ...body })).text()
    expect(await malformed()).toBeUndefined()
  })

  const usages: [string, object][] = [
    ['negative', { prompt_tokens: -1, completion_tokens: 1 }],
    ['text', { prompt_tokens: '5', completion_tokens: '7' }],
    ['fractions', { prompt_tokens: 1.5, completion_tokens: 2 }],
    ['beyond 2^53', { prompt_tokens: 2 ** 60, completion_tokens: 1 }],
    [
      'more cached than there is',
      { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 9 } },
    ],
  ]
  it.each(usages)('of an answer whose usage is %s, which is not billed from', async (_name, usage) => {
    await start()
    upstream.otherwise(answers.chat({ text: 'x', usage: usage as never }))
    await (await gateway.chat(hello)).text()
    expect(await malformed()).toBeUndefined()
    const [record] = await gateway.records(1)
    expect(record!.meters.map(({ source }) => source)).toEqual(['CEILING', 'CEILING'])
  })
  it('of an answer whose finish reason holds NUL and half a character', async () => {
    await start()
    upstream.otherwise(answers.json({ choices: [{ message: { content: 'x' }, finish_reason: 'a\u0000\ud800' }] }))
    await (await gateway.chat(hello)).text()
    expect(await malformed()).toBeUndefined()
  })
})

describe('a content type', () => {
  it.each(['application/json; charset="utf-8"', 'application/json; charset= utf-8', 'application/json;CHARSET=UTF8'])(
    '%s is UTF-8',
    async (type) => {
      await start()
      upstream.otherwise(answers.chat('ok'))
      expect((await gateway.chat(hello, { headers: { 'content-type': type } })).status).toBe(200)
    },
  )
})

describe('what the provider reads is what was admitted', () => {
  it.each(['Model', 'MODEL', 'Max_Tokens', 'STREAM', 'N'])(
    'even by one that does not tell %s from its lower case',
    async (key) => {
      await start()
      upstream.otherwise(answers.chat('ok'))
      const answer = await gateway.chat({ ...hello, max_tokens: 1, [key]: key.toLowerCase() === 'model' ? 'dear' : 9 })
      expect([answer.status, upstream.requests.length]).toEqual([400, 0])
    },
  )

  it('no output limit that is sent is above what was reserved', async () => {
    await start()
    upstream.otherwise(answers.chat('ok'))
    await gateway.chat({ ...hello, max_completion_tokens: 1, max_tokens: 1_000 })
    const [record] = await gateway.records(1)
    const sent = Math.max(
      Number(upstream.requests[0]!.member('max_tokens')),
      Number(upstream.requests[0]!.member('max_completion_tokens')),
    )
    expect(Number(record!.reserved)).toBeGreaterThanOrEqual(sent * 0.0000006)
  })

  it('keys of objects deep inside are nobody’s prototype', async () => {
    await start()
    upstream.otherwise(answers.chat('ok'))
    const text =
      '{"model":"house","messages":[{"role":"user","content":"x","__proto__":{"a":1}}],"__proto__":{"stream":true},"constructor":{"prototype":{"n":9}}}'
    expect((await gateway.chat(text)).status).toBe(200)
    expect(upstream.requests[0]!.text).toBe(text.replace('house', 'gpt-test'))
    expect(({} as { stream?: boolean }).stream).toBeUndefined()
  })
})

describe('one request', () => {
  const values = (count: number, value: string) => Array<string>(count).fill(value).join(',')
  const heavy: [string, string][] = [
    ['millions of empty messages', `{"model":"house","messages":[${values(5_000_000, '{}')}]}`],
  ]
  it.each(heavy)('of %s is refused before it can stop the event loop for all others', async (_name, text) => {
    await start()
    upstream.otherwise(answers.chat('ok'))
    const answer = await gateway.chat(text)
    expect([answer.status, upstream.requests.length]).toEqual([400, 0])
  })
})
