import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { answers, event } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

const claude = 'claude-haiku-4-5'
const anthropic = { platform: 'ANTHROPIC', codecs: ['ANTHROPIC_MESSAGES'] } as const
const openai = { platform: 'OPENAI', codecs: ['OPENAI_CHAT'] } as const

async function start(setup: Partial<Setup> = {}): Promise<TestGateway> {
  gateway = await startGateway({
    baseUrl: `${upstream.url}/v1`,
    provider: { ...anthropic, codecs: [...anthropic.codecs] },
    targets: [claude],
    ...setup,
  })
  running.push(gateway)
  return gateway
}

const toOpenai = () => start({ provider: { ...openai, codecs: [...openai.codecs] }, targets: ['gpt-test'] })

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

const client = () => new Anthropic({ baseURL: gateway.url, apiKey: gateway.key, maxRetries: 0 })

/** Posts as curl would; a string goes out as it is. */
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(gateway.url + path, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'x-api-key': gateway.key, 'content-type': 'application/json', ...headers },
  })

const message = (extra: object = {}) => ({
  ...{ id: 'msg_1', type: 'message', role: 'assistant', model: claude, stop_reason: 'end_turn', stop_sequence: null },
  content: [{ type: 'text', text: 'Hi.' }],
  usage: { input_tokens: 12, output_tokens: 3 },
  ...extra,
})

const events = (list: ({ type: string } & Record<string, unknown>)[]) =>
  answers.sse(list.map((each) => event(each.type, each)))

const toolStream = events([
  {
    type: 'message_start',
    message: message({ content: [], stop_reason: null, usage: { input_tokens: 40, output_tokens: 1 } }),
  },
  { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
  { type: 'ping' },
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Looking.' } },
  { type: 'content_block_stop', index: 0 },
  {
    type: 'content_block_start',
    index: 1,
    content_block: { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} },
  },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '{"city":' } },
  { type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json: '"Bonn"}' } },
  { type: 'content_block_stop', index: 1 },
  { type: 'message_delta', delta: { stop_reason: 'tool_use', stop_sequence: null }, usage: { output_tokens: 21 } },
  { type: 'message_stop' },
])

const hello = { model: 'house', max_tokens: 100, messages: [{ role: 'user' as const, content: 'Hello' }] }

describe('a client of Anthropic’s, served by Anthropic', () => {
  it('has its bytes, query and headers passed on, and its key replaced', async () => {
    await start()
    upstream.otherwise(answers.json(message({ x_new: [1] })))
    const body =
      '{ "x_unknown" : {"a":1.0}, "model":"house","max_tokens":50, "messages":[{"role":"user","content":"caf\\u00e9"}] }'
    const answer = await post('/v1/messages?beta=true', body, {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'context-management-2025-06-27,x-2027',
      'anthropic-x-later': 'yes',
      'anthropic-workspace-id': 'wrkspc_other',
      'x-stainless-lang': 'js',
    })
    expect(await answer.json()).toEqual(message({ x_new: [1] }))
    const [request] = upstream.requests
    expect(request!.path).toBe('/v1/messages?beta=true')
    expect(request!.text).toBe(body.replace('"house"', `"${claude}"`))
    expect(request!.headers).toMatchObject({
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'context-management-2025-06-27,x-2027',
      'anthropic-x-later': 'yes',
      'x-api-key': 'sk-provider-secret',
    })
    expect(request!.headers).not.toHaveProperty('anthropic-workspace-id')
    expect(request!.headers).not.toHaveProperty('x-stainless-lang')
  })

  it('streams tools, and is charged what the stream’s end says', async () => {
    await start()
    upstream.otherwise(toolStream)
    const stream = client().messages.stream(hello)
    const last = await stream.finalMessage()
    expect(last.content).toMatchObject([
      { type: 'text', text: 'Looking.' },
      { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Bonn' } },
    ])
    expect(last.stop_reason).toBe('tool_use')
    const [record] = await gateway.records(1)
    expect(record!.dialect).toBe('ANTHROPIC_MESSAGES')
    expect(record!.meters.map(({ meter, quantity }) => [meter, quantity])).toEqual([
      ['INPUT_TOKENS', 40],
      ['OUTPUT_TOKENS', 21],
    ])
  })

  it('says the version for a client that names none, and the model’s limit for one without', async () => {
    await start()
    upstream.otherwise(answers.json(message()))
    await post('/v1/messages', { ...hello, max_tokens: undefined })
    await post('/v1/messages', { ...hello, max_tokens: 5_000, thinking: { type: 'enabled', budget_tokens: 4_000 } })
    expect(upstream.requests[0]!.headers['anthropic-version']).toBe('2023-06-01')
    expect(upstream.requests[0]!.member('max_tokens')).toBe(1_000)
    expect(upstream.requests[1]!.member('max_tokens')).toBe(1_000)
  })

  it('counts tokens for nothing, whatever a model costs', async () => {
    await start({ prices: null })
    upstream.otherwise(answers.json({ input_tokens: 14 }))
    const { max_tokens: _, ...asked } = hello
    expect(await client().messages.countTokens(asked)).toMatchObject({ input_tokens: 14 })
    expect(upstream.requests[0]!.path).toBe('/v1/messages/count_tokens')
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ cost: '0', meters: [], outcome: 'COMPLETED' })
  })

  it('sees the provider’s own errors, in the stream too', async () => {
    await start({ retry: { attempts: 1 } })
    const tooLong = { type: 'error', error: { type: 'invalid_request_error', message: 'prompt is too long: 9 > 8' } }
    upstream.next(answers.json(tooLong, 400))
    await expect(client().messages.create(hello)).rejects.toMatchObject({ status: 400, type: 'invalid_request_error' })
    upstream.next(
      events([
        { type: 'message_start', message: message({ content: [] }) },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      ]),
    )
    await expect(client().messages.stream(hello).finalMessage()).rejects.toMatchObject({ type: 'overloaded_error' })
    upstream.next(answers.json({ type: 'error', error: { type: 'authentication_error', message: 'sk-provider' } }, 401))
    await expect(client().messages.create(hello)).rejects.toMatchObject({ status: 502, type: 'api_error' })
  })
})

describe('a client of Anthropic’s, served by OpenAI', () => {
  it('gets text and thoughts, tools and usage as its own API tells them', async () => {
    await toOpenai()
    upstream.otherwise(
      answers.chat({
        text: 'Two calls.',
        toolCalls: [
          { name: 'weather', arguments: { city: 'Bonn' } },
          { name: 'time', arguments: {} },
        ],
        usage: { prompt_tokens: 30, completion_tokens: 9 },
      }),
    )
    const tools = [{ name: 'weather', input_schema: { type: 'object' as const } }]
    const asked = { ...hello, tools, system: [{ type: 'text' as const, text: 'Be brief.' }] }
    for (const answer of [
      await client().messages.create(asked),
      await client().messages.stream(asked).finalMessage(),
    ]) {
      expect(answer).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'tool_use' })
      expect(answer.content).toMatchObject([
        { type: 'text', text: 'Two calls.' },
        { type: 'tool_use', id: 'call_0', name: 'weather', input: { city: 'Bonn' } },
        { type: 'tool_use', id: 'call_1', name: 'time', input: {} },
      ])
      expect(answer.usage).toMatchObject({ input_tokens: 30, output_tokens: 9 })
    }
    expect(upstream.requests[0]!.member('messages')).toMatchObject([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ])
    expect(upstream.requests[0]!.path).toBe('/v1/chat/completions')
  })

  it('sends what Claude Code sends, and is served', async () => {
    await toOpenai()
    upstream.otherwise(answers.chat('ok'))
    const cached = { type: 'ephemeral', ttl: '1h' }
    const answer = await post(
      '/v1/messages?beta=true',
      {
        model: 'house',
        max_tokens: 500,
        stream: true,
        system: [
          { type: 'text', text: 'You are an agent.', cache_control: cached },
          { type: 'text', text: 'Rules.' },
        ],
        messages: [
          { role: 'user', content: [{ type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } }] },
          { role: 'system', content: [{ type: 'text', text: 'A hint.' }] },
        ],
        tools: [
          {
            name: 'Bash',
            description: 'Runs',
            input_schema: { type: 'object', properties: {} },
            eager_input_streaming: true,
          },
        ],
        metadata: { user_id: 'user_1_session_2' },
        thinking: { type: 'adaptive', display: 'omitted' },
        context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] },
        output_config: { effort: 'high' },
      },
      { 'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14', 'anthropic-version': '2023-06-01' },
    )
    expect(answer.status).toBe(200)
    expect((await answer.text()).trim().endsWith('data: {"type":"message_stop"}')).toBe(true)
    expect(upstream.requests[0]!.headers).not.toHaveProperty('anthropic-beta')
    const [record] = await gateway.records(1)
    expect(record!.lossy).toEqual(expect.arrayContaining(['context_management', 'cache_control']))
  })

  it('has its tokens estimated, and is told that it is an estimate', async () => {
    await toOpenai()
    const answer = await post('/v1/messages/count_tokens', {
      ...hello,
      messages: [{ role: 'user', content: 'x'.repeat(3_000) }],
    })
    expect(answer.headers.get('x-sluice-estimate')).toBe('tokens')
    const { input_tokens } = (await answer.json()) as { input_tokens: number }
    expect(input_tokens).toBeGreaterThan(900)
    expect(input_tokens).toBeLessThan(1_100)
    expect(upstream.requests).toEqual([])
    expect((await gateway.records(1))[0]).toMatchObject({ cost: '0', outcome: 'COMPLETED', status: 200 })
  })

  it('reads of a conversation that is too long in the words it knows', async () => {
    await toOpenai()
    upstream.otherwise(answers.error(400, 'maximum context length is 8', { code: 'context_length_exceeded' }))
    await expect(client().messages.create(hello)).rejects.toMatchObject({
      status: 400,
      apiMessage: 'prompt is too long: maximum context length is 8',
    })
  })

  it('is refused what OpenAI cannot do, by its own field', async () => {
    await toOpenai()
    const search = { type: 'web_search_20250305' as const, name: 'web_search' as const }
    await expect(client().messages.create({ ...hello, tools: [search] })).rejects.toMatchObject({ status: 422 })
    expect(upstream.requests).toEqual([])
  })
})

describe('a client of OpenAI’s, served by Anthropic', () => {
  const chat = () => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })

  it('gets text, tools and usage, streamed and plain', async () => {
    await start()
    upstream.otherwise(toolStream)
    const stream = chat().chat.completions.stream({ model: 'house', messages: [{ role: 'user', content: 'hi' }] })
    const { choices } = await stream.finalChatCompletion()
    expect(choices[0]).toMatchObject({ finish_reason: 'tool_calls' })
    expect(choices[0]!.message.tool_calls).toMatchObject([
      { id: 'toolu_1', function: { name: 'weather', arguments: '{"city":"Bonn"}' } },
    ])
    upstream.otherwise(
      answers.json(message({ usage: { input_tokens: 5, cache_read_input_tokens: 7, output_tokens: 2 } })),
    )
    const plain = await chat().chat.completions.create({ model: 'house', messages: [{ role: 'user', content: 'hi' }] })
    expect(plain.choices[0]!.message.content).toBe('Hi.')
    expect(plain.usage).toMatchObject({ prompt_tokens: 12, prompt_tokens_details: { cached_tokens: 7 } })
    expect(upstream.requests[0]!.headers['anthropic-version']).toBe('2023-06-01')
    expect(upstream.requests[0]!.member('max_tokens')).toBe(1_000)
  })

  it('keeps its reasoning where the conversation stays, and goes on without where it comes from elsewhere', async () => {
    await start({ model: { maxOutputTokens: 8_000 } })
    upstream.otherwise(answers.json(message()))
    const toolTurn = (extra: object) => [
      { role: 'user', content: 'hi' },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'time', arguments: '{}' } }],
        ...extra,
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'noon' },
    ]
    const tools = [{ type: 'function', function: { name: 'time', parameters: { type: 'object' } } }]
    const ask = (messages: object[]) => gateway.chat({ model: 'house', reasoning_effort: 'low', tools, messages })
    const signed = [{ type: 'reasoning.text', text: 'Hm.', signature: 'c2ln', format: 'ANTHROPIC_MESSAGES' }]
    expect((await ask(toolTurn({ reasoning_details: signed }))).status).toBe(200)
    expect(upstream.requests[0]!.member('thinking')).toEqual({ type: 'enabled', budget_tokens: 2_048 })
    expect(upstream.requests[0]!.member('messages', '1', 'content', '0')).toEqual({
      ...{ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
    })
    expect((await ask(toolTurn({}))).status).toBe(200)
    expect(upstream.requests[1]!.member('thinking')).toBeUndefined()
    expect((await gateway.records(2))[1]!.lossy).toEqual(['reasoning_effort'])
  })
})

describe('the list of models', () => {
  it('has Anthropic’s shape for Anthropic’s clients', async () => {
    await start()
    const page = await client().models.list()
    expect(page.data).toMatchObject([{ id: 'house', type: 'model', max_input_tokens: 8_000, max_tokens: 1_000 }])
    expect(await client().models.retrieve('house')).toMatchObject({ id: 'house', type: 'model' })
    await expect(client().messages.batches.list()).rejects.toMatchObject({ status: 404, type: 'not_found_error' })
    await expect(client().models.retrieve('none')).rejects.toMatchObject({ status: 404, type: 'not_found_error' })
  })
})
