import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isRefusal } from '../../../schema/refusals.ts'
import type { AnswerDecoder, Call } from '../codec.ts'
import { isFault } from '../codec.ts'
import type { Json } from '../json.ts'
import type { NeutralEvent, NeutralRequest } from '../neutral.ts'
import { answers, conversations, cuts, joined, modelNamed, plainRequest, readAll, writeAll } from '../test-neutral.ts'
import { anthropicMessages as codec } from './index.ts'
import { messagesReader } from './read-answer.ts'
import type { MessagesRequest } from './request.ts'
import { MessageStreamDecoder } from './stream.ts'
import { MessageStreamWriter, MessageWholeWriter } from './write-answer.ts'

const call: Call = { operation: 'generate', query: '' }
const haiku = modelNamed('claude-haiku-4-5')
const opus = modelNamed('claude-opus-5-5')

function admit(body: object, given: Call = call): MessagesRequest {
  const admitted = codec.admit(JSON.stringify(body), given)
  if (isRefusal(admitted)) throw new Error(JSON.stringify(admitted))
  return admitted as MessagesRequest
}

function neutral(body: object): NeutralRequest {
  const read = codec.neutral(admit({ model: 'house', messages: [], ...body }))
  if (isRefusal(read)) throw new Error(JSON.stringify(read))
  return read
}

function written(request: Partial<NeutralRequest>, target = haiku): { body: Json; lost: string[] } {
  const { body, lost } = codec.encode({ ...plainRequest, ...request }, target)
  return { body: JSON.parse(body), lost }
}

const sse = (list: Json[]) =>
  Buffer.from(list.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`).join(''))

const start = (usage: object = { input_tokens: 25, output_tokens: 1 }) => ({
  type: 'message_start',
  message: { id: 'msg_1', type: 'message', role: 'assistant', content: [], model: 'claude', stop_reason: null, usage },
})
const block = (index: number, content_block: object) => ({ type: 'content_block_start', index, content_block })
const grow = (index: number, delta: object) => ({ type: 'content_block_delta', index, delta })
const stop = (index: number) => ({ type: 'content_block_stop', index })
const last = (stop_reason: string, usage: object = { output_tokens: 15 }) => ({
  ...{ type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage },
})

/** Thinking, text and two calls, in the order and with the pings that the API's documentation shows. */
const recorded = sse([
  start({
    input_tokens: 5,
    cache_read_input_tokens: 7,
    cache_creation_input_tokens: 9,
    output_tokens: 1,
    cache_creation: { ephemeral_1h_input_tokens: 4 },
  }),
  block(0, { type: 'thinking', thinking: '', signature: '' }),
  { type: 'ping' },
  grow(0, { type: 'thinking_delta', thinking: 'Let me ' }),
  grow(0, { type: 'thinking_delta', thinking: 'see…' }),
  grow(0, { type: 'signature_delta', signature: 'EqQB' }),
  stop(0),
  block(1, { type: 'redacted_thinking', data: 'Emw=' }),
  stop(1),
  block(2, { type: 'text', text: '' }),
  grow(2, { type: 'text_delta', text: 'Größe 😀' }),
  stop(2),
  block(3, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} }),
  grow(3, { type: 'input_json_delta', partial_json: '' }),
  grow(3, { type: 'input_json_delta', partial_json: '{"city": "Bo' }),
  grow(3, { type: 'input_json_delta', partial_json: 'nn"}' }),
  stop(3),
  block(4, { type: 'tool_use', id: 'toolu_2', name: 'time', input: {} }),
  stop(4),
  last('tool_use', { output_tokens: 89, output_tokens_details: { thinking_tokens: 30 } }),
  { type: 'message_stop' },
])

const told: NeutralEvent[] = [
  { type: 'start', id: 'msg_1', model: 'claude', createdS: null },
  { type: 'thought', choice: 0, text: 'Let me see…' },
  { type: 'signature', choice: 0, signature: { from: 'ANTHROPIC_MESSAGES', value: 'EqQB' }, encrypted: false },
  { type: 'signature', choice: 0, signature: { from: 'ANTHROPIC_MESSAGES', value: 'Emw=' }, encrypted: true },
  { type: 'text', choice: 0, text: 'Größe 😀' },
  { type: 'toolCall', choice: 0, call: 0, id: 'toolu_1', name: 'weather' },
  { type: 'arguments', choice: 0, call: 0, json: '{"city": "Bonn"}' },
  { type: 'toolCall', choice: 0, call: 1, id: 'toolu_2', name: 'time' },
  { type: 'finish', choice: 0, reason: 'tool_calls' },
  {
    type: 'usage',
    readings: [
      { meter: 'INPUT_TOKENS', quantity: 5, source: 'REPORTED' },
      { meter: 'CACHED_INPUT_TOKENS', quantity: 7, source: 'REPORTED' },
      { meter: 'CACHE_WRITE_TOKENS', quantity: 5, source: 'REPORTED' },
      { meter: 'CACHE_WRITE_1H_TOKENS', quantity: 4, source: 'REPORTED' },
      { meter: 'OUTPUT_TOKENS', quantity: 59, source: 'REPORTED' },
      { meter: 'REASONING_TOKENS', quantity: 30, source: 'REPORTED' },
    ],
  },
]

function passAll(decoder: AnswerDecoder, chunks: Uint8Array[]): Buffer | string {
  const out: Uint8Array[] = []
  for (const chunk of chunks) {
    const released = decoder.push(chunk)
    if (isFault(released)) return released.refusal.refused
    out.push(...released)
  }
  const rest = decoder.end()
  return isFault(rest) ? rest.refusal.refused : Buffer.concat([...out, ...rest])
}

describe('a streamed answer', () => {
  it('reads the same wherever it is cut', () => {
    for (const chunks of cuts(recorded))
      expect(joined(readAll(messagesReader(true), chunks) as NeutralEvent[])).toEqual(told)
  })

  it('passes the same wherever it is cut, every byte of it, and its end waits', () => {
    for (const chunks of cuts(recorded)) {
      const decoder = new MessageStreamDecoder(false)
      expect(passAll(decoder, chunks)).toEqual(recorded)
      expect(decoder.facts).toMatchObject({
        usage: (told.at(-1) as Json).readings,
        finishReason: 'tool_use',
        hiddenOutput: true,
      })
    }
    const released = new MessageStreamDecoder(false).push(recorded) as Uint8Array[]
    expect(Buffer.concat(released).toString()).not.toContain('message_stop')
  })

  it('is never an empty success where it breaks off or is none', () => {
    const broken = [
      Buffer.from(''),
      sse([start()]),
      sse([start(), block(0, { type: 'text', text: '' })]),
      Buffer.from('data: {\n\n'),
    ]
    for (const bytes of broken) {
      expect(passAll(new MessageStreamDecoder(false), [bytes])).toBe('upstream_broke_off')
      expect(readAll(messagesReader(true), [bytes])).toMatchObject({ refusal: { refused: 'upstream_broke_off' } })
    }
  })

  it('is charged what was seen where it breaks off, not the counts it began with', () => {
    const decoder = new MessageStreamDecoder(false)
    passAll(decoder, [
      sse([start(), block(0, { type: 'text', text: '' }), grow(0, { type: 'text_delta', text: 'Hello' })]),
    ])
    expect(decoder.facts).toMatchObject({ usage: undefined, outputBytes: 5, hiddenOutput: false })
  })

  it('tells an error inside it by its type', () => {
    const error = (type: string) => sse([start(), { type: 'error', error: { type, message: 'No.' } }])
    expect(readAll(messagesReader(true), [error('overloaded_error')])).toMatchObject({
      cause: 'OVERLOADED',
      told: 'No.',
    })
    expect(readAll(messagesReader(true), [error('rate_limit_error')])).toMatchObject({ cause: 'RATE_LIMITED' })
    const auth = readAll(messagesReader(true), [error('authentication_error')]) as Json
    expect([auth.cause, auth.told, auth.body, auth.free]).toEqual(['AUTH_FAILED', undefined, undefined, false])
  })
})

describe('an answer in the neutral form', () => {
  it('is told and read again without loss, streamed and plain', () => {
    fc.assert(
      fc.property(answers('ANTHROPIC_MESSAGES'), (events) => {
        const again = [
          readAll(messagesReader(true), [writeAll(new MessageStreamWriter(), events)]),
          readAll(messagesReader(false), [writeAll(new MessageWholeWriter(), events)]),
        ]
        const compact = (list: NeutralEvent[]) =>
          joined(list).filter((event) => !(event.type === 'arguments' && event.json === '{}'))
        for (const read of again) expect(compact(read as NeutralEvent[])).toEqual(compact(events))
      }),
    )
  })

  it('has its calls told one after the other, however they are mixed', () => {
    const events: NeutralEvent[] = [
      told[0]!,
      { type: 'toolCall', choice: 0, call: 0, id: 'a', name: 'one' },
      { type: 'arguments', choice: 0, call: 0, json: '{"x":"}' },
      { type: 'toolCall', choice: 0, call: 1, id: 'b', name: 'two' },
      { type: 'arguments', choice: 0, call: 1, json: '{"y"' },
      { type: 'arguments', choice: 0, call: 0, json: '\\""}' },
      { type: 'arguments', choice: 0, call: 1, json: ':2}' },
      { type: 'finish', choice: 0, reason: 'stop' },
    ]
    const text = writeAll(new MessageStreamWriter(), events).toString()
    const types = [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]!))
    expect(types.map(({ type, index }) => [type, index]).slice(1, -2)).toEqual([
      ...[
        ['content_block_start', 0],
        ['content_block_delta', 0],
        ['content_block_delta', 0],
        ['content_block_stop', 0],
      ],
      ...[
        ['content_block_start', 1],
        ['content_block_delta', 1],
        ['content_block_delta', 1],
        ['content_block_stop', 1],
      ],
    ])
    expect(types.at(-2)!.delta.stop_reason).toBe('tool_use')
  })

  it('breaks off where more waits than is held', () => {
    const writer = new MessageStreamWriter()
    const piece = 'x'.repeat(1024 * 1024)
    writer.write([told[0]!, { type: 'toolCall', choice: 0, call: 0, id: 'a', name: 'one' }])
    writer.write([{ type: 'toolCall', choice: 0, call: 1, id: 'b', name: 'two' }])
    for (let count = 0; count < 9; count++) writer.write([{ type: 'arguments', choice: 0, call: 1, json: piece }])
    expect(writer.overflow).toBe(true)
  })

  it('marks the thoughts and proofs of other protocols, and knows them when they come back', () => {
    const google = { from: 'GEMINI_GENERATE', value: 'a.b/c=' } as const
    const openai = { from: 'OPENAI_RESPONSES', value: 'gAAA' } as const
    const events: NeutralEvent[] = [
      told[0]!,
      { type: 'thought', choice: 0, text: 'Hm.' },
      { type: 'signature', choice: 0, signature: openai, encrypted: true },
      { type: 'thought', choice: 0, text: 'Unsigned.' },
      { type: 'toolCall', choice: 0, call: 0, id: 'a', name: 'one', signature: google },
      { type: 'finish', choice: 0, reason: 'tool_calls' },
    ]
    for (const writer of [new MessageWholeWriter(), new MessageWholeWriter()]) {
      const { content } = JSON.parse(writeAll(writer, events).toString())
      const { turns } = neutral({ messages: [{ role: 'assistant', content }] })
      expect(turns[0]!.parts).toEqual([
        { type: 'thought', text: 'Hm.', signature: openai, encrypted: true },
        { type: 'thought', text: 'Unsigned.', signature: null, encrypted: false },
        { type: 'toolCall', id: 'a', name: 'one', arguments: '{}', signature: google },
      ])
      const passed = codec.pass(
        admit({ model: 'house', max_tokens: 9, messages: [{ role: 'assistant', content }] }),
        haiku,
      )
      expect(JSON.parse(passed.body).messages).toEqual([{ role: 'assistant', content: content.slice(-1) }])
      expect(passed.lost).toEqual(['signatures'])
    }
  })
})

describe('a request in the neutral form', () => {
  it('is written and read again without loss', () => {
    const requests = fc.record({
      turns: conversations('ANTHROPIC_MESSAGES'),
      maxOutputTokens: fc.integer({ min: 1, max: 64_000 }),
      stop: fc.array(fc.constantFrom('END', '###'), { maxLength: 2 }),
      user: fc.option(fc.constant('user-1')),
      streamed: fc.boolean(),
      toolChoice: fc.constantFrom('auto' as const, 'required' as const, { name: 'f' }),
      parallelToolCalls: fc.constantFrom(null, false),
    })
    const tools = [
      {
        name: 'f',
        description: 'Does.',
        parameters: { type: 'object', properties: {} },
        strict: true,
        cache: '1h' as const,
      },
    ]
    fc.assert(
      fc.property(requests, (given) => {
        const request: NeutralRequest = {
          ...plainRequest,
          ...given,
          tools,
          system: [{ type: 'text', text: 'Be.', cache: '5m' }],
        }
        const { body, lost } = codec.encode(request, haiku)
        expect(lost).toEqual([])
        expect(neutral(JSON.parse(body))).toEqual(request)
      }),
    )
  })

  it('has what the API cannot say named, and nothing sent of it', () => {
    const { body, lost } = written({
      ...{
        choices: 2,
        logprobs: { top: 1 },
        output: { type: 'json' },
        sampling: { ...plainRequest.sampling, seed: 1, temperature: 1.5, presencePenalty: 1 },
      },
      turns: [
        {
          role: 'user',
          parts: [
            { type: 'audio', data: 'AA==', format: 'wav' },
            { type: 'text', text: 'hi' },
          ],
        },
      ],
    })
    expect(lost.sort()).toEqual(['audio', 'choices', 'json', 'logprobs', 'presencePenalty', 'seed', 'temperature'])
    expect(body).toEqual({
      model: 'claude-haiku-4-5',
      max_tokens: 64_000,
      messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }],
    })
  })

  it('joins turns, puts results first, drops blanks, and replaces ids that the API would refuse', () => {
    const { body } = written({
      turns: [
        {
          role: 'user',
          parts: [
            { type: 'text', text: ' ' },
            { type: 'text', text: 'go' },
          ],
        },
        { role: 'assistant', parts: [{ type: 'toolCall', id: 'functions.f:0', name: 'f', arguments: 'no json' }] },
        { role: 'user', parts: [{ type: 'text', text: 'and' }] },
        { role: 'user', parts: [{ type: 'toolResult', id: 'functions.f:0', name: null, parts: [], isError: true }] },
      ],
    })
    const id = body.messages[1].content[0].id
    expect(id).toMatch(/^toolu_[0-9a-f]{24}$/)
    expect(body.messages).toEqual([
      { role: 'user', content: [{ type: 'text', text: 'go' }] },
      { role: 'assistant', content: [{ type: 'tool_use', id, name: 'f', input: { arguments: 'no json' } }] },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: id, is_error: true },
          { type: 'text', text: 'and' },
        ],
      },
    ])
    expect(body).toMatchObject({ tools: [{ name: 'f' }], tool_choice: { type: 'none' } })
  })

  it.each([
    ['claude-haiku-4-5', { effort: 'low' }, { thinking: { type: 'enabled', budget_tokens: 2_048 } }, []],
    [
      'claude-3-7-sonnet-20250219',
      { budgetTokens: 5_000 },
      { thinking: { type: 'enabled', budget_tokens: 5_000 } },
      [],
    ],
    [
      'us.anthropic.claude-opus-4-6-v1',
      { effort: 'xhigh' },
      { thinking: { type: 'adaptive' }, output_config: { effort: 'max' } },
      [],
    ],
    [
      'claude-opus-4-7',
      { budgetTokens: 9_000, shown: true },
      { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } },
      [],
    ],
    ['claude-opus-5-5', { shown: false }, { thinking: { type: 'adaptive', display: 'omitted' } }, []],
    ['claude-opus-5-5', { effort: 'none' }, {}, ['reasoning']],
    ['claude-haiku-4-5', { effort: 'none' }, { thinking: { type: 'disabled' } }, []],
    ['claude-3-5-haiku', { effort: 'high' }, {}, ['reasoning']],
  ])('(%s) thinks as this model can be asked to', (model, reasoning, asked, lost) => {
    const request = { reasoning: { ...plainRequest.reasoning, ...reasoning } } as Partial<NeutralRequest>
    const result = written(request, modelNamed(model))
    const { thinking, output_config } = result.body
    expect({ ...(thinking && { thinking }), ...(output_config && { output_config }) }).toEqual(asked)
    expect(result.lost).toEqual(lost)
  })

  it('does not force tools on, or set the temperature of, models that refuse it', () => {
    const request = {
      toolChoice: 'required' as const,
      tools: [{ name: 'f', description: null, parameters: null, strict: null }],
    }
    expect(written(request, haiku).body.tool_choice).toEqual({ type: 'any' })
    expect(written(request, opus)).toMatchObject({ lost: ['toolChoice'] })
    const cool = { sampling: { ...plainRequest.sampling, temperature: 0.2 } }
    expect(written(cool, haiku)).toMatchObject({ body: { temperature: 0.2 }, lost: [] })
    expect(written(cool, opus).lost).toEqual(['temperature'])
    expect(written({ sampling: { ...plainRequest.sampling, temperature: 1 } }, opus).lost).toEqual([])
  })

  it('says the system’s word inside a conversation where the model hears it', () => {
    const turns = [...plainRequest.turns, { role: 'system' as const, parts: [{ type: 'text' as const, text: 'Now.' }] }]
    expect(written({ turns }, opus).body.messages.map(({ role }: Json) => role)).toEqual(['user', 'system'])
    const older = written({ turns }, haiku)
    expect([older.body.messages.length, older.lost]).toEqual([1, ['systemInside']])
  })
})

describe('a client’s request', () => {
  it.each([
    ['{"model":"a","model":"b","messages":[]}', 'model'],
    ['{"model":"a","Messages":[],"messages":[]}', 'Messages'],
    ['{"model":"a","messages":[],"max_tokens":-1}', 'max_tokens'],
    ['{"model":"a","messages":[],"stream":1}', 'stream'],
    ['{"model":7,"messages":[]}', 'model'],
  ])('%s is refused by its field', (text, param) => {
    expect(codec.admit(text, call)).toMatchObject({ refused: 'malformed_request', param })
  })

  it('names what only this protocol has', () => {
    const { foreign, incidental } = neutral({
      tools: [
        { type: 'bash_20250124', name: 'bash' },
        { name: 'f', input_schema: {}, defer_loading: true },
      ],
      mcp_servers: [{ url: 'x' }],
      speed: 'fast',
      service_tier: 'auto',
      context_management: {},
      messages: [
        {
          role: 'user',
          content: [
            { type: 'search_result', content: [] },
            { type: 'image', source: { type: 'file', file_id: 'f' } },
            { type: 'document', source: { type: 'text', data: 'x' }, citations: { enabled: true } },
          ],
        },
      ],
    })
    expect(foreign.sort()).toEqual(
      [
        ...['mcp_servers', 'messages.0.content.0', 'messages.0.content.1', 'messages.0.content.2.citations', 'speed'],
        ...['tools.0', 'tools.1.defer_loading'],
      ].sort(),
    )
    expect(incidental).toEqual(['context_management'])
  })

  it('that passes loses nothing but thoughts of others, and stops thinking where they were the last word', () => {
    const unknown = fc.dictionary(fc.stringMatching(/^x_[a-z]{1,8}$/), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 })
    fc.assert(
      fc.property(unknown, (extra) => {
        const text = JSON.stringify({ ...extra, model: 'house', max_tokens: 10, messages: [] }, null, 1)
        const { body } = codec.pass(codec.admit(text, call) as MessagesRequest, haiku)
        expect(body).toBe(text.replace('"house"', '"claude-haiku-4-5"'))
      }),
    )
    const foreignThought = { type: 'thinking', thinking: 'Hm.', signature: 'sluice.NONE.thought.' }
    const bedrockThought = { type: 'thinking', thinking: 'Hm.', signature: 'sluice.BEDROCK_CONVERSE.thought.c2ln' }
    const used = { type: 'tool_use', id: 'a', name: 'f', input: {} }
    const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a' }] }
    const thinking = { type: 'enabled', budget_tokens: 1_024 }
    const pass = (first: object) => {
      const messages = [{ role: 'user', content: 'x' }, { role: 'assistant', content: [first, used] }, result]
      const { body, lost } = codec.pass(admit({ model: 'house', max_tokens: 2_000, thinking, messages }), haiku)
      return { lost, ...(JSON.parse(body) as Json) } as Json
    }
    expect(pass(foreignThought)).toMatchObject({ lost: ['signatures', 'reasoningNow'], thinking: { type: 'disabled' } })
    expect(pass(bedrockThought).messages[1].content[0]).toEqual({
      type: 'thinking',
      thinking: 'Hm.',
      signature: 'c2ln',
    })
    expect(pass(bedrockThought).thinking).toEqual(thinking)
  })

  it('is bounded by what it shows, else by the model’s context', () => {
    const ceiling = (body: object, given = call) =>
      codec.ceiling(
        admit({ model: 'house', max_tokens: 10, messages: [{ role: 'user', content: 'héllo' }], ...body }, given),
        haiku.model,
      )
    expect(ceiling({})).toMatchObject({ inputTokens: 16 + 6 + 16, outputTokens: 10 })
    expect(ceiling({ max_tokens: 1e6 }).outputTokens).toBe(64_000)
    expect(ceiling({}, { operation: 'count', query: '' })).toEqual({ inputTokens: 0, outputTokens: 0 })
    const whole = [
      { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
      { mcp_servers: [{}] },
      { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'url', url: 'x' } }] }] },
      { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'file', file_id: 'x' } }] }] },
    ]
    for (const body of whole) expect(ceiling(body).inputTokens).toBe(200_000)
  })
})

describe('a provider’s error', () => {
  const error = (type: string, message: string) => JSON.stringify({ type: 'error', error: { type, message } })
  it.each([
    [
      400,
      'invalid_request_error',
      'prompt is too long: 210000 tokens > 200000 maximum',
      'CONTEXT_TOO_LONG',
      'upstream_rejected',
    ],
    [
      400,
      'invalid_request_error',
      'input length and `max_tokens` exceed context limit: 1 + 2 > 2',
      'CONTEXT_TOO_LONG',
      'upstream_rejected',
    ],
    [
      400,
      'invalid_request_error',
      'Output blocked by content filtering policy',
      'CONTENT_FILTERED',
      'upstream_rejected',
    ],
    [
      400,
      'invalid_request_error',
      'Your credit balance is too low to access the API',
      'AUTH_FAILED',
      'upstream_auth_failed',
    ],
    [402, 'billing_error', 'Pay', 'AUTH_FAILED', 'upstream_auth_failed'],
    [403, 'permission_error', 'No', 'AUTH_FAILED', 'upstream_auth_failed'],
    [404, 'not_found_error', 'model: x', null, 'upstream_rejected'],
    [413, 'request_too_large', 'Request exceeds the maximum size', 'CONTEXT_TOO_LONG', 'upstream_rejected'],
    [429, 'rate_limit_error', 'Slow down', 'RATE_LIMITED', 'upstream_rate_limited'],
    [500, 'api_error', 'Internal server error', 'SERVER_ERROR', 'upstream_overloaded'],
    [529, 'overloaded_error', 'Overloaded', 'OVERLOADED', 'upstream_overloaded'],
  ])('%i %s (%s) means %s', (status, type, message, cause, refused) => {
    const read = codec.readError(status, error(type, message))
    expect(read).toMatchObject({ cause, refusal: { refused } })
    expect('body' in read).toBe(refused !== 'upstream_auth_failed')
  })
})
