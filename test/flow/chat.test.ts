import canonicalize from 'canonicalize'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { chainStart, recordHash } from '../../schema/flight-record.ts'
import { answers, comment, raw } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, policyOfKind, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

async function start(setup: Partial<Setup> = {}): Promise<TestGateway> {
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, ...setup })
  running.push(gateway)
  return gateway
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

const streamOf = async (answer: Response) => ({ status: answer.status, text: await answer.text() })

describe('a plain chat', () => {
  it('is passed through byte for byte but for the model name, and priced to the last digit', async () => {
    await start()
    const bodyText =
      '{ "messages" : [ {"role":"user","content":"caf\\u00e9 \u{1F600}"} ],\n  "model":"house", "x_unknown": {"a":[1,2,{"b":null}]},"temperature":1.0 }'
    upstream.on(
      'gpt-test',
      answers.chat({
        text: 'Fine.',
        usage: { prompt_tokens: 1_000, completion_tokens: 7 },
        extra: { x_more: [1, { deep: true }] },
      }),
    )
    const answer = await gateway.chat(bodyText)
    const text = await answer.text()
    expect(answer.status).toBe(200)
    expect(JSON.parse(text).x_more).toEqual([1, { deep: true }])
    expect(upstream.requests[0]!.text).toBe(bodyText.replace('"house"', '"gpt-test"'))
    expect(upstream.requests[0]!.headers.authorization).toBe('Bearer sk-provider-secret')
    expect(answer.headers.get('x-sluice-cost')).toBe('0.0001542')
    expect(answer.headers.get('x-sluice-model')).toBe('model-gpt-test')
    expect(answer.headers.get('x-sluice-revision')).toBe('7')
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({
      outcome: 'COMPLETED',
      cost: '0.0001542',
      alias: 'house',
      status: 200,
      streamed: false,
      finishReason: 'stop',
    })
    expect(record!.id).toBe(answer.headers.get('x-sluice-request-id'))
    expect(record!.meters).toEqual([
      { cost: '0.00015', meter: 'INPUT_TOKENS', quantity: 1_000, source: 'REPORTED' },
      { cost: '0.0000042', meter: 'OUTPUT_TOKENS', quantity: 7, source: 'REPORTED' },
    ])
  })

  it('goes on in the trace it came in, below a span of the gateway', async () => {
    await start()
    upstream.otherwise(answers.chat('ok'))
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const headers = { traceparent: `00-${trace}-b7ad6b7169203331-01`, tracestate: 'vendor=1' }
    await (await gateway.chat(hello, { headers })).text()
    await (await gateway.chat(hello, { headers: { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` } })).text()
    expect(upstream.requests[0]!.headers.traceparent).toMatch(
      new RegExp(`^00-${trace}-(?!b7ad6b7169203331)[0-9a-f]{16}-01$`),
    )
    expect(upstream.requests[0]!.headers.tracestate).toBe('vendor=1')
    expect(upstream.requests[1]!.headers).not.toHaveProperty('traceparent')
    expect((await gateway.records(2)).map(({ traceId }) => traceId)).toEqual([trace, null])
  })

  it('counts cached and reasoning tokens apart from what they are part of', async () => {
    await start()
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 50,
      prompt_tokens_details: { cached_tokens: 40 },
      completion_tokens_details: { reasoning_tokens: 30 },
    }
    upstream.on('gpt-test', answers.chat({ text: 'x', usage }))
    await (await gateway.chat(hello)).text()
    const [record] = await gateway.records(1)
    expect(record!.meters.map(({ meter, quantity }) => [meter, quantity])).toEqual([
      ['INPUT_TOKENS', 60],
      ['CACHED_INPUT_TOKENS', 40],
      ['OUTPUT_TOKENS', 20],
      ['REASONING_TOKENS', 30],
    ])
  })

  it('works with the openai SDK: tools and images arrive as they were sent, tool calls come back', async () => {
    await start()
    upstream.on(
      'gpt-test',
      answers.chat({
        toolCalls: [
          { name: 'weather', arguments: { city: 'Oslo' } },
          { name: 'time', arguments: {} },
        ],
      }),
    )
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
    const tools = [
      {
        type: 'function' as const,
        function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
      },
    ]
    const content = [
      { type: 'text' as const, text: 'Look' },
      { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } },
    ]
    const answer = await client.chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content }],
      tools,
    })
    expect(answer.choices[0]!.message.tool_calls).toHaveLength(2)
    expect(upstream.requests[0]!.member('tools')).toEqual(tools)
    expect(upstream.requests[0]!.member('messages', '0', 'content')).toEqual(content)
    const stream = await client.chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content }],
      tools,
      stream: true,
    })
    const calls: string[] = []
    for await (const chunk of stream)
      for (const call of chunk.choices[0]?.delta.tool_calls ?? []) calls.push(call.function?.arguments ?? '')
    expect(calls).toEqual(['{"city":"Oslo"}', '{}'])
  })
})

describe('a streamed chat', () => {
  it('is released as it comes, without the usage that only the gateway asked for', async () => {
    await start()
    upstream.on('gpt-test', answers.chat({ text: 'one two three', usage: { prompt_tokens: 9, completion_tokens: 3 } }))
    const { text } = await streamOf(await gateway.chat({ ...hello, stream: true, stream_options: { x_kept: 1 } }))
    expect(text).not.toContain('usage')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(upstream.requests[0]!.member('stream_options')).toEqual({ x_kept: 1, include_usage: true })
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ streamed: true, outcome: 'COMPLETED', cost: '0.00000315' })
  })

  it('is byte for byte what the provider sent to a client that asked for usage', async () => {
    await start()
    const items = [
      comment('keep-alive'),
      raw('data: {"choices":[{"delta":{"content":"h\u00e9"}}],"usage":null}\r\n\r\n'),
      raw('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\r\r'),
      raw('data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'),
      raw('data: [DONE]\n\n'),
    ]
    upstream.on('gpt-test', answers.sse(items))
    const { text } = await streamOf(
      await gateway.chat({ ...hello, stream: true, stream_options: { include_usage: true } }),
    )
    expect(text).toBe(items.map((item) => Buffer.from(item.bytes).toString()).join(''))
  })

  it('does not show null usage to a client that did not ask for usage', async () => {
    await start()
    upstream.on(
      'gpt-test',
      answers.sse([
        { choices: [{ delta: { content: ',"usage":null' } }], usage: null },
        { choices: [{ delta: {}, finish_reason: 'stop' }], usage: null },
        { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 } },
        '[DONE]',
      ]),
    )
    const { text } = await streamOf(await gateway.chat({ ...hello, stream: true }))
    const chunks = text
      .split('\n\n')
      .filter((line) => line.startsWith('data: {'))
      .map((line) => JSON.parse(line.slice(6)))
    expect(chunks).toEqual([
      { choices: [{ delta: { content: ',"usage":null' } }] },
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
    ])
  })

  it.each([1, 2, 3, 7, 64])('is the same however the provider cuts it (%i bytes at a time)', async (size) => {
    await start()
    upstream.on('gpt-test', answers.chat('h\u00e9llo w\u00f6rld \u{1F600} ok').pieces(size))
    const { text } = await streamOf(await gateway.chat({ ...hello, stream: true }))
    const said = [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join('')
    expect(said).toBe('h\u00e9llo w\u00f6rld \u{1F600} ok')
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'COMPLETED' })
  })

  it.each(['\r', '\r\n'] as const)('may end its lines with %j', async (end) => {
    await start()
    upstream.on('gpt-test', answers.chat('a b').lineEnds(end))
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
    const stream = await client.chat.completions.create({
      ...hello,
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
    })
    let said = ''
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? ''
    expect(said).toBe('a b')
  })

  it('ends at the first [DONE]', async () => {
    await start()
    upstream.on('gpt-test', answers.chat('a').done(2))
    const { text } = await streamOf(await gateway.chat({ ...hello, stream: true }))
    expect(text.match(/\[DONE\]/g)).toHaveLength(1)
  })

  it('is complete without [DONE] once the provider said why it finished', async () => {
    await start()
    upstream.on('gpt-test', answers.chat('a').done(0))
    await streamOf(await gateway.chat({ ...hello, stream: true }))
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'COMPLETED' })
  })

  it('without usage is charged at the input bound and the output seen, marked so', async () => {
    await start()
    upstream.on('gpt-test', answers.chat({ text: ['abcd', 'efgh'], usage: null }))
    await streamOf(await gateway.chat({ ...hello, stream: true }))
    const [record] = await gateway.records(1)
    expect(record!.meters).toEqual([
      { cost: '0.00000375', meter: 'INPUT_TOKENS', quantity: 16 + 'user'.length + 'Hello'.length, source: 'ESTIMATED' },
      { cost: '0.0000048', meter: 'OUTPUT_TOKENS', quantity: 8, source: 'ESTIMATED' },
    ])
  })
})

describe('an upstream that fails', () => {
  const cases: [string, () => ReturnType<typeof answers.chat>, number, string][] = [
    [
      'answers 401',
      () => answers.error(401, 'Incorrect API key provided: sk-provider-secret'),
      502,
      'upstream_auth_failed',
    ],
    [
      'answers 429',
      () => answers.error(429, 'slow down', { code: 'rate_limit_exceeded' }),
      429,
      'upstream_rate_limited',
    ],
    ['answers 500', () => answers.error(500, 'oops'), 503, 'upstream_overloaded'],
    ['answers 503 with HTML', () => answers.bytes('<html>', 'text/html', 503), 503, 'upstream_overloaded'],
    [
      'answers 302',
      () => answers.bytes('', 'text/plain', 302).header('location', 'http://127.0.0.1:1/'),
      502,
      'upstream_broke_off',
    ],
    [
      'answers 200 with an error',
      () => answers.error(200, 'model crashed', { type: 'server_error' }),
      503,
      'upstream_overloaded',
    ],
    ['answers 200 with nothing', () => answers.empty(), 502, 'upstream_broke_off'],
    [
      'answers 200 with no choices',
      () => answers.json({ object: 'chat.completion', choices: [] }),
      502,
      'upstream_broke_off',
    ],
    ['answers 200 with HTML', () => answers.bytes('<html>hi</html>', 'text/html'), 502, 'upstream_broke_off'],
    ['truncates its JSON', () => answers.chat('hello world').bytesOnly(60), 502, 'upstream_broke_off'],
    [
      'breaks off within its body',
      () => answers.chat('hello world').bytesOnly(60).thenBreak(),
      502,
      'upstream_broke_off',
    ],
    ['never answers', () => answers.chat('x').headDelayMs(60_000), 504, 'upstream_timeout'],
    ['sends a head and no byte', () => answers.chat('x').firstChunkDelayMs(60_000), 504, 'upstream_timeout'],
  ]
  it.each(cases)('plain: %s', async (_name, script, status, code) => {
    await start({ retry: { attempts: 1 }, timeouts: { firstByteMs: 150, idleMs: 150 } })
    upstream.on('gpt-test', script())
    const answer = await gateway.chat(hello)
    const body = await answer.text()
    expect([answer.status, answer.headers.get('x-sluice-refusal')]).toEqual([status, code])
    expect(JSON.parse(body).error.message).toBeTypeOf('string')
    expect(body).not.toContain('sk-provider-secret')
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'FAILED', refusal: code, status })
  })

  const first = { choices: [{ delta: { content: 'Hel' } }] }
  const streams: [string, () => ReturnType<typeof answers.chat>, string][] = [
    [
      'breaks off',
      () =>
        answers
          .sse([first, comment('x')])
          .chunkDelayMs(50)
          .thenBreak(),
      'upstream_broke_off',
    ],
    ['ends without finishing', () => answers.sse([first]), 'upstream_broke_off'],
    ['stalls', () => answers.sse([first]).thenStall(), 'upstream_timeout'],
    [
      'tells an error',
      () => answers.sse([first, { error: { message: 'overloaded sk-provider-secret', type: 'server_error' } }]),
      'upstream_overloaded',
    ],
    ['sends what is not JSON', () => answers.sse([first, '{"choices":[{']), 'upstream_broke_off'],
    [
      'sends what is not UTF-8',
      () => answers.sse([first, raw(new Uint8Array([100, 97, 116, 97, 58, 32, 0xff, 10, 10]))]),
      'upstream_broke_off',
    ],
  ]
  it.each(streams)('within a stream: %s', async (_name, script, code) => {
    await start({ timeouts: { firstByteMs: 300, idleMs: 150 } })
    upstream.on('gpt-test', script())
    const { status, text } = await streamOf(await gateway.chat({ ...hello, stream: true }))
    expect(status).toBe(200)
    expect(text.startsWith(`data: ${JSON.stringify(first)}\n\n`)).toBe(true)
    const last = text.trim().split('\n\n').at(-1)!
    expect(JSON.parse(last.slice(6)).error.message).toBeTypeOf('string')
    expect(text).not.toContain('[DONE]')
    expect(text).not.toContain('sk-provider-secret')
    expect(upstream.requests).toHaveLength(1)
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ outcome: 'FAILED', refusal: code })
    expect(record!.meters.map(({ source }) => source)).toEqual(['ESTIMATED', 'ESTIMATED'])
  })

  it('that refuses the connection is told apart, and costs nothing', async () => {
    await start({ baseUrl: 'http://127.0.0.1:9/v1', retry: { attempts: 1 } })
    const answer = await gateway.chat(hello)
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([503, 'true'])
    expect((await gateway.records(1))[0]).toMatchObject({ cost: '0', attempts: [{ cause: 'CONNECT_FAILED' }] })
  })

  it('passes on the error body of its own dialect untouched, with our code beside it', async () => {
    await start()
    const script = answers.error(400, "This model's maximum context length is 8000 tokens", {
      code: 'context_length_exceeded',
      param: 'messages',
    })
    upstream.on('gpt-test', script)
    const answer = await gateway.chat(hello)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('x-sluice-refusal')).toBe('upstream_rejected')
    expect((await answer.json()).error).toEqual({
      message: "This model's maximum context length is 8000 tokens",
      type: 'invalid_request_error',
      param: 'messages',
      code: 'context_length_exceeded',
    })
    expect((await gateway.records(1))[0]).toMatchObject({ cost: '0', status: 400 })
  })
})

describe('a route', () => {
  it('falls back to the next target before the first byte, encoding from the admitted request again', async () => {
    await start({ targets: ['first', 'second', 'third'] })
    upstream
      .on('first', answers.error(503, 'busy'))
      .on('second', answers.error(200, 'told inside', { type: 'server_error' }))
      .on('third', answers.chat('ok'))
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-model')).toBe('model-third')
    expect(upstream.requests.map(({ model }) => model)).toEqual(['first', 'second', 'third'])
    const [record] = await gateway.records(1)
    expect(record!.attempts.map(({ cause, status }) => [cause, status])).toEqual([
      ['OVERLOADED', 503],
      ['SERVER_ERROR', 200],
      [null, 200],
    ])
  })

  it('falls back when a stream fails before anything of it was released', async () => {
    await start({ targets: ['first', 'second'], timeouts: { firstByteMs: 200 } })
    upstream.on('first', answers.sse([{ error: { message: 'no' } }])).on('second', answers.chat('ok'))
    const { text } = await streamOf(await gateway.chat({ ...hello, stream: true }))
    expect(text).toContain('"content":"ok"')
    expect(text).not.toContain('error')
  })

  it('does not retry what the client has to mend', async () => {
    await start({ targets: ['first', 'second'] })
    upstream.on('first', answers.error(400, 'bad'))
    await gateway.chat(hello)
    expect(upstream.requests).toHaveLength(1)
  })

  it('stops at the number of attempts it declares', async () => {
    await start({ targets: ['first'], retry: { attempts: 4, backoffMs: 1 } })
    upstream.on('first', answers.error(500, 'no'))
    await gateway.chat(hello)
    expect(upstream.requests).toHaveLength(4)
  })

  it('spreads by weight, and never to weight 0', async () => {
    await start({ targets: ['heavy', 'light', 'none'], strategy: 'WEIGHTED', weights: [90, 10, 0] })
    upstream.otherwise(answers.chat('ok'))
    for (let at = 0; at < 100; at++) await (await gateway.chat(hello)).text()
    const count = (model: string) => upstream.requests.filter((request) => request.model === model).length
    expect(count('none')).toBe(0)
    expect(count('heavy')).toBeGreaterThan(count('light') * 2)
  })

  it('lets a failing target rest, and tries it again after the cool-down', async () => {
    await start({
      targets: ['first'],
      retry: { attempts: 1 },
      breaker: { failures: 2, windowMs: 5_000, coolDownMs: 200 },
    })
    upstream.on('first', answers.error(500, 'no'), answers.error(500, 'no'), answers.chat('well again'))
    await gateway.chat(hello)
    await gateway.chat(hello)
    const resting = await gateway.chat(hello)
    expect(resting.headers.get('x-sluice-refusal')).toBe('no_target_left')
    expect(upstream.requests).toHaveLength(2)
    await Bun.sleep(220)
    expect((await gateway.chat(hello)).status).toBe(200)
  })

  it('refuses a model without a price, unless a ceiling for that is declared', async () => {
    await start({ prices: null })
    const refused = await gateway.chat(hello)
    expect([refused.status, refused.headers.get('x-sluice-refusal')]).toEqual([403, 'price_unknown'])
    expect(upstream.requests).toHaveLength(0)
    await start({ prices: null, unpricedCeiling: '5000000000' })
    upstream.on('gpt-test', answers.chat('ok'))
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-cost')).toBe('0.005')
  })

  it("fills a wildcard alias's rest into the provider's name", async () => {
    await start({ alias: { name: 'any/*' }, model: { upstreamName: 'vendor/*' } })
    upstream.otherwise(answers.chat('ok'))
    expect((await gateway.chat({ ...hello, model: 'any/llama-3' })).status).toBe(200)
    expect(upstream.requests[0]!.model).toBe('vendor/llama-3')
  })
})

describe('bad input', () => {
  const nested = `{"model":"house","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
  const bodies: [string, string | Uint8Array, number, string][] = [
    ['no JSON', '{"model":', 400, 'malformed_request'],
    ['an empty body', '', 400, 'malformed_request'],
    ['a list', '[]', 400, 'malformed_request'],
    ['absurd nesting', nested, 400, 'malformed_request'],
    ['a key that stands twice', '{"model":"house","messages":[],"mod\\u0065l":"other"}', 400, 'malformed_request'],
    ['no model', '{"messages":[]}', 400, 'malformed_request'],
    ['messages that are no list', '{"model":"house","messages":"hi"}', 400, 'malformed_request'],
    ['negative max_tokens', '{"model":"house","messages":[],"max_tokens":-1}', 400, 'malformed_request'],
    ['bytes that are not UTF-8', new Uint8Array([0x7b, 0xff, 0x7d]), 400, 'malformed_request'],
    ['an unknown model', '{"model":"nope","messages":[]}', 404, 'unknown_alias'],
    ['more than the limit', `{"model":"house","messages":[],"x":"${'y'.repeat(300_000)}"}`, 413, 'too_large'],
  ]
  it.each(bodies)('%s gets its refusal in OpenAI’s shape', async (_name, body, status, code) => {
    await start({ bodyBytesMax: 250_000 })
    const answer = await gateway.chat('', { body: body as BodyInit })
    const { error } = await answer.json()
    expect([answer.status, error.code, answer.headers.get('x-should-retry')]).toEqual([status, code, 'false'])
    expect(error).toMatchObject({ type: 'invalid_request_error', message: expect.stringMatching(/\.$/) })
    expect(upstream.requests).toHaveLength(0)
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'REFUSED', refusal: code, cost: '0' })
  })

  it('a chunked body is bounded too', async () => {
    await start({ bodyBytesMax: 100_000 })
    const stream = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10_000).fill(97)) })
    const answer = await gateway.chat('', { body: stream })
    expect(answer.status).toBe(413)
  })

  it('a wrong content type says which is right', async () => {
    await start()
    const answer = await gateway.chat(hello, { headers: { 'content-type': 'text/plain' } })
    expect([answer.status, (await answer.json()).error.message]).toEqual([
      400,
      expect.stringContaining('application/json'),
    ])
  })

  it('an unknown path names what exists', async () => {
    await start()
    const answer = await fetch(`${gateway.url}/v1/nope`, { method: 'POST' })
    const { error } = await answer.json()
    expect([answer.status, error.code]).toEqual([404, 'unknown_endpoint'])
    expect(error.message).toContain('/v1/chat/completions')
  })
})

describe('a key', () => {
  const refusedWith = async (key: string | undefined) => {
    const headers = new Headers({ 'content-type': 'application/json', ...(key && { authorization: `Bearer ${key}` }) })
    const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers,
      body: JSON.stringify(hello),
    })
    return [answer.status, (await answer.json()).error.code]
  }
  it('that is missing, unknown or of another kind is unauthenticated', async () => {
    await start()
    for (const key of [undefined, '', 'slk_unknown', 'sla_admin', 'sk-provider', "slk_' OR 1=1 --"])
      expect(await refusedWith(key)).toEqual([401, 'unauthenticated'])
  })
  it('that was revoked or has expired is refused by name', async () => {
    await start({ key: { revoked: true } })
    expect(await refusedWith(gateway.key)).toEqual([401, 'key_revoked'])
    await start({ key: { expiresAtMs: Date.now() - 1 } })
    expect(await refusedWith(gateway.key)).toEqual([401, 'key_expired'])
  })
  it('bound to other addresses is not permitted from here', async () => {
    await start({ grant: { allowedAddresses: ['10.0.0.0/8', '2001:db8::/32'] } })
    expect(await refusedWith(gateway.key)).toEqual([403, 'not_permitted'])
    await start({ grant: { allowedAddresses: ['127.0.0.0/8'] } })
    upstream.otherwise(answers.chat('ok'))
    expect((await gateway.chat(hello)).status).toBe(200)
  })
  it('sees in /v1/models only what it may use', async () => {
    await start()
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['house'])
    expect((await client.models.retrieve('house')).id).toBe('house')
    await start({ grant: { aliases: [] } })
    const other = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
    expect((await other.models.list()).data).toEqual([])
    expect(await refusedWith(gateway.key)).toEqual([404, 'unknown_alias'])
  })
  it('a policy that this gateway does not know refuses', async () => {
    await start({ policies: [policyOfKind('PII')] })
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-refusal')).toBe('policy_unavailable')
  })
})

describe('a client that leaves', () => {
  it('mid-stream cancels the upstream and is charged for what it received', async () => {
    await start()
    upstream.on('gpt-test', answers.chat({ text: Array(200).fill('word ') }).chunkDelayMs(10))
    const controller = new AbortController()
    const answer = await gateway.chat({ ...hello, stream: true }, { signal: controller.signal })
    const reader = answer.body!.getReader()
    for (let seen = ''; !seen.includes('word word') && seen.length < 300; )
      seen += new TextDecoder().decode((await reader.read()).value)
    controller.abort()
    const [record] = await gateway.records(1)
    expect(await upstream.requests[0]!.ended).toBe('client left')
    expect(record).toMatchObject({ outcome: 'CANCELLED', clientDisconnected: true, refusal: null })
    const output = record!.meters.find(({ meter }) => meter === 'OUTPUT_TOKENS')!
    expect(output.source).toBe('ESTIMATED')
    expect(output.quantity).toBeGreaterThan(0)
    expect(output.quantity).toBeLessThan(500)
  })

  it('before a plain answer leaves the upstream to finish, and is charged what it reports', async () => {
    await start()
    upstream.on(
      'gpt-test',
      answers.chat({ text: 'late', usage: { prompt_tokens: 5, completion_tokens: 2 } }).headDelayMs(300),
    )
    const controller = new AbortController()
    const asked = gateway.chat(hello, { signal: controller.signal }).catch(() => undefined)
    await upstream.received(1)
    controller.abort()
    await asked
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ outcome: 'CANCELLED', status: 499, cost: '0.00000195' })
    expect(record!.meters.every(({ source }) => source === 'REPORTED')).toBe(true)
  })
})

describe('the records', () => {
  it('are canonical JSON in a chain that continues over a restart', async () => {
    await start()
    upstream.otherwise(answers.chat('ok'))
    for (let at = 0; at < 5; at++) await (await gateway.chat(hello)).text()
    const records = await gateway.records(5)
    const tenant = records[0]!.tenant
    const texts = gateway.recorder.next(tenant, 1, 0, { records: 10, bytes: 1e6 })
    let previous = chainStart
    for (const [sequence, text] of texts.entries()) {
      const record = JSON.parse(text)
      expect(canonicalize(record)).toBe(text)
      expect([record.sequence, record.previousHash]).toEqual([sequence, previous])
      previous = recordHash(text)
    }
  })
})
