import {
  BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFault } from '../codec.ts'
import type { Json } from '../json.ts'
import type { NeutralEvent, NeutralRequest } from '../neutral.ts'
import { conversations, cuts, joined, modelNamed, plainRequest, readAll } from '../test-neutral.ts'
import { MessageCutter } from './event-stream.ts'
import { bedrockConverse as codec } from './index.ts'

const claude = modelNamed('us.anthropic.claude-sonnet-4-5-20250929-v1:0')
const llama = modelNamed('meta.llama4-maverick-17b-instruct-v1:0')

/** Amazon's own codec, which writes what the tests read. */
const amazon = new EventStreamCodec(
  (bytes) => new TextDecoder().decode(bytes as Uint8Array),
  (text) => new TextEncoder().encode(text),
)

type Headers = Record<string, string>
function message(headers: Headers, payload: object): Uint8Array {
  const typed = Object.entries(headers).map(([name, value]) => [name, { type: 'string' as const, value }])
  return amazon.encode({ headers: Object.fromEntries(typed), body: new TextEncoder().encode(JSON.stringify(payload)) })
}
const event = (type: string, payload: object) =>
  message({ ':event-type': type, ':content-type': 'application/json', ':message-type': 'event' }, payload)
const exception = (type: string, text: string) =>
  message(
    { ':exception-type': type, ':content-type': 'application/json', ':message-type': 'exception' },
    { message: text },
  )

const delta = (contentBlockIndex: number, given: object) =>
  event('contentBlockDelta', { contentBlockIndex, delta: given })
const stop = (contentBlockIndex: number) => event('contentBlockStop', { contentBlockIndex })

/** Reasoning, text and two calls; the padding `p` is what Bedrock puts in. */
const recorded = Buffer.concat([
  event('messageStart', { role: 'assistant', p: 'abcd' }),
  delta(0, { reasoningContent: { text: 'Let me ' } }),
  delta(0, { reasoningContent: { text: 'see…' } }),
  delta(0, { reasoningContent: { signature: 'EqQB' } }),
  stop(0),
  delta(1, { reasoningContent: { redactedContent: 'Emw=' } }),
  stop(1),
  delta(2, { text: 'Größe 😀' }),
  stop(2),
  event('contentBlockStart', { contentBlockIndex: 3, start: { toolUse: { toolUseId: 'tooluse_1', name: 'weather' } } }),
  delta(3, { toolUse: { input: '{"city": "Bo' } }),
  delta(3, { toolUse: { input: 'nn"}' } }),
  stop(3),
  event('contentBlockStart', { contentBlockIndex: 4, start: { toolUse: { toolUseId: 'tooluse_2', name: 'time' } } }),
  delta(4, { toolUse: { input: '' } }),
  stop(4),
  event('messageStop', { stopReason: 'tool_use' }),
  event('metadata', {
    usage: {
      ...{ inputTokens: 5, outputTokens: 89, totalTokens: 110, cacheReadInputTokens: 7, cacheWriteInputTokens: 9 },
      cacheDetails: [
        { ttl: '1h', inputTokens: 4 },
        { ttl: '5m', inputTokens: 5 },
      ],
    },
    metrics: { latencyMs: 10 },
  }),
])

const told: NeutralEvent[] = [
  { type: 'start', id: expect.any(String), model: '', createdS: null },
  { type: 'thought', choice: 0, text: 'Let me see…' },
  { type: 'signature', choice: 0, signature: { from: 'BEDROCK_CONVERSE', value: 'EqQB' }, encrypted: false },
  { type: 'signature', choice: 0, signature: { from: 'BEDROCK_CONVERSE', value: 'Emw=' }, encrypted: true },
  { type: 'text', choice: 0, text: 'Größe 😀' },
  { type: 'toolCall', choice: 0, call: 0, id: 'tooluse_1', name: 'weather' },
  { type: 'arguments', choice: 0, call: 0, json: '{"city": "Bonn"}' },
  { type: 'toolCall', choice: 0, call: 1, id: 'tooluse_2', name: 'time' },
  { type: 'finish', choice: 0, reason: 'tool_calls' },
  {
    type: 'usage',
    readings: [
      { meter: 'INPUT_TOKENS', quantity: 5, source: 'REPORTED' },
      { meter: 'CACHED_INPUT_TOKENS', quantity: 7, source: 'REPORTED' },
      { meter: 'CACHE_WRITE_TOKENS', quantity: 5, source: 'REPORTED' },
      { meter: 'CACHE_WRITE_1H_TOKENS', quantity: 4, source: 'REPORTED' },
      { meter: 'OUTPUT_TOKENS', quantity: 89, source: 'REPORTED' },
    ],
  },
]

/** Amazon's client, answered with these bytes; it keeps what it would have sent. */
function amazonClient(answer: Uint8Array, contentType: string) {
  const sent: Json[] = []
  const client = new BedrockRuntimeClient({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    maxAttempts: 1,
    requestHandler: {
      async handle(request: Json) {
        sent.push(request)
        const body = new Response(answer as Uint8Array<ArrayBuffer>).body
        return { response: { statusCode: 200, headers: { 'content-type': contentType }, body } as never }
      },
    },
  })
  return { client, sent }
}

describe('a streamed answer', () => {
  it('reads the same wherever it is cut', () => {
    for (const chunks of cuts(recorded)) {
      const reader = codec.reader(true)
      expect(joined(readAll(reader, chunks) as NeutralEvent[])).toEqual(told)
      expect(reader.facts).toMatchObject({ finishReason: 'tool_calls', hiddenOutput: true })
    }
  })

  it('is what Amazon’s own client reads', async () => {
    const { client } = amazonClient(recorded, 'application/vnd.amazon.eventstream')
    const { stream } = await client.send(new ConverseStreamCommand({ modelId: 'm', messages: [] }))
    const kinds: string[] = []
    for await (const each of stream!) kinds.push(Object.keys(each)[0]!)
    expect([kinds.length, kinds[0], kinds.at(-1)]).toEqual([18, 'messageStart', 'metadata'])
  })

  it.each([
    ['throttlingException', 'RATE_LIMITED', 'upstream_rate_limited'],
    ['modelStreamErrorException', 'SERVER_ERROR', 'upstream_overloaded'],
    ['serviceUnavailableException', 'OVERLOADED', 'upstream_overloaded'],
    ['internalServerException', 'SERVER_ERROR', 'upstream_overloaded'],
    ['validationException', null, 'upstream_rejected'],
    ['somethingNewException', 'SERVER_ERROR', 'upstream_overloaded'],
  ])('that ends in %s is no success, though what came before is told', (type, cause, refused) => {
    const reader = codec.reader(true)
    const bytes = Buffer.concat([
      event('messageStart', { role: 'assistant' }),
      delta(0, { text: 'Hi' }),
      exception(type, 'No.'),
    ])
    expect(reader.push(bytes)).toHaveLength(2)
    expect(reader.complete).toBe(true)
    expect(reader.end()).toMatchObject({ cause, refusal: { refused }, told: 'No.', free: false })
  })

  it('tells an error that has no payload by its headers', () => {
    const bytes = message({ ':message-type': 'error', ':error-code': 'InternalFailure', ':error-message': 'Oops' }, {})
    expect(readAll(codec.reader(true), [bytes])).toMatchObject({ cause: 'SERVER_ERROR', told: 'Oops' })
  })

  it('is never an empty success where it breaks off, comes damaged or is something else', () => {
    const damaged = Buffer.from(recorded)
    damaged[40] = damaged[40]! ^ 1
    const huge = Buffer.from(recorded)
    huge.writeUInt32BE(0x7fffffff, 0)
    const begun = event('messageStart', { role: 'assistant' })
    const broken = [
      Buffer.alloc(0),
      begun,
      recorded.subarray(0, recorded.length - 3),
      damaged,
      huge,
      Buffer.from('{"message":"no stream"}'),
    ]
    for (const bytes of broken)
      expect(readAll(codec.reader(true), [bytes])).toMatchObject({ refusal: { refused: 'upstream_broke_off' } })
  })

  it('has its events cut as Amazon’s codec writes them, whatever headers they have', () => {
    const kinds = fc.oneof(
      fc.string({ maxLength: 20 }).map((value) => ({ type: 'string' as const, value })),
      fc.boolean().map((value) => ({ type: 'boolean' as const, value })),
      fc.integer({ min: -100, max: 100 }).map((value) => ({ type: 'integer' as const, value })),
      fc.uint8Array({ maxLength: 9 }).map((value) => ({ type: 'binary' as const, value })),
      fc
        .date({ min: new Date(0), max: new Date(2e12), noInvalidDate: true })
        .map((value) => ({ type: 'timestamp' as const, value })),
    )
    const messages = fc.array(
      fc.record({
        headers: fc.dictionary(fc.stringMatching(/^[a-z:-]{1,9}$/), kinds, { maxKeys: 4 }),
        body: fc.uint8Array({ maxLength: 50 }),
      }),
      { minLength: 1, maxLength: 4 },
    )
    fc.assert(
      fc.property(messages, fc.integer({ min: 1, max: 60 }), (given, step) => {
        const bytes = Buffer.concat(given.map((each) => amazon.encode(each)))
        const cutter = new MessageCutter(1_000_000)
        const read: unknown[] = []
        for (let at = 0; at < bytes.length; at += step) read.push(...cutter.push(bytes.subarray(at, at + step)))
        const texts = ({ headers }: (typeof given)[number]) =>
          Object.fromEntries(
            Object.entries(headers).flatMap(([name, { type, value }]) => (type === 'string' ? [[name, value]] : [])),
          )
        expect(read).toEqual(
          given
            .map((each) => ({ headers: texts(each), payload: Buffer.from(each.body) }))
            .map((each) => ({
              headers: each.headers,
              payload: expect.toSatisfy((got: Uint8Array) => Buffer.from(got).equals(each.payload)),
            })),
        )
        expect(cutter.end()).toBeUndefined()
      }),
    )
  })
})

describe('a plain answer', () => {
  const plain = (content: object[], extra: object = {}) =>
    Buffer.from(
      JSON.stringify({
        output: { message: { role: 'assistant', content } },
        stopReason: 'end_turn',
        usage: { inputTokens: 3, outputTokens: 2, totalTokens: 5 },
        ...extra,
      }),
    )

  it('tells the same as a streamed one', () => {
    const content = [
      { reasoningContent: { reasoningText: { text: 'Let me see…', signature: 'EqQB' } } },
      { reasoningContent: { redactedContent: 'Emw=' } },
      { text: 'Größe 😀' },
      { toolUse: { toolUseId: 'tooluse_1', name: 'weather', input: { city: 'Bonn' } } },
    ]
    const read = joined(readAll(codec.reader(false), [plain(content, { stopReason: 'tool_use' })]) as NeutralEvent[])
    expect(read.slice(0, 6)).toEqual(told.slice(0, 6))
    expect(read[6]).toMatchObject({ type: 'arguments', json: '{"city":"Bonn"}' })
  })

  it('names what has no form elsewhere, and is a fault where it is none', () => {
    const read = readAll(codec.reader(false), [
      plain([{ citationsContent: {} }], { stopReason: 'malformed_tool_use' }),
    ]) as NeutralEvent[]
    const foreign = read.filter((each) => each.type === 'foreign').map((each) => (each as Json).what)
    expect(foreign).toEqual(['citationsContent', 'stopReason.malformed_tool_use'])
    expect(readAll(codec.reader(false), [Buffer.from('{"output":{}}')])).toMatchObject({
      refusal: { refused: 'upstream_broke_off' },
    })
  })
})

describe('a request', () => {
  const written = (request: Partial<NeutralRequest>, target = claude) => {
    const { body, ...rest } = codec.encode({ ...plainRequest, ...request }, target)
    return { ...rest, body: JSON.parse(body) as Json }
  }

  it('is what Amazon’s own client would send, to the letter', async () => {
    const ids = [
      'anthropic.claude-3-haiku-20240307-v1:0',
      'arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/a1b2',
    ]
    for (const modelId of ids) {
      const tools = [
        {
          name: 'f',
          description: 'Does.',
          parameters: { type: 'object', properties: {} },
          strict: true,
          cache: '1h' as const,
        },
      ]
      const { body, path, lost } = written(
        {
          system: [{ type: 'text', text: 'Be.', cache: '5m' }],
          turns: [
            {
              role: 'user',
              parts: [
                { type: 'text', text: 'Look' },
                { type: 'image', source: { kind: 'data', mediaType: 'image/png', data: 'AQID' } },
                {
                  type: 'file',
                  source: { kind: 'data', mediaType: 'application/pdf', data: 'BAUG' },
                  name: 'a/b_c.pdf',
                },
              ],
            },
            { role: 'assistant', parts: [{ type: 'toolCall', id: 'x:1', name: 'f', arguments: '{"a":1}' }] },
            {
              role: 'user',
              parts: [
                { type: 'toolResult', id: 'x:1', name: null, parts: [{ type: 'text', text: 'no' }], isError: true },
              ],
            },
          ],
          ...{ tools, toolChoice: { name: 'f' }, maxOutputTokens: 100, stop: ['END'] },
          sampling: { ...plainRequest.sampling, temperature: 0.5 },
          output: { type: 'schema', name: 'n', description: null, schema: { type: 'object' }, strict: null },
        },
        modelNamed(modelId),
      )
      const toolUseId = body.messages[1].content[0].toolUse.toolUseId
      const same: ConverseCommandInput = {
        modelId,
        system: [{ text: 'Be.' }, { cachePoint: { type: 'default' } }],
        messages: [
          {
            role: 'user',
            content: [
              { text: 'Look' },
              { image: { format: 'png', source: { bytes: Uint8Array.of(1, 2, 3) } } },
              { document: { format: 'pdf', name: 'a b c pdf', source: { bytes: Uint8Array.of(4, 5, 6) } } },
            ],
          },
          { role: 'assistant', content: [{ toolUse: { toolUseId, name: 'f', input: { a: 1 } } }] },
          { role: 'user', content: [{ toolResult: { toolUseId, content: [{ text: 'no' }], status: 'error' } }] },
        ],
        inferenceConfig: { maxTokens: 100, temperature: 0.5, stopSequences: ['END'] },
        toolConfig: {
          tools: [
            {
              toolSpec: {
                name: 'f',
                description: 'Does.',
                inputSchema: { json: { type: 'object', properties: {} } },
                strict: true,
              },
            },
            { cachePoint: { type: 'default', ttl: '1h' } },
          ],
          toolChoice: { tool: { name: 'f' } },
        },
        outputConfig: {
          textFormat: { type: 'json_schema', structure: { jsonSchema: { schema: '{"type":"object"}', name: 'n' } } },
        },
      }
      const { client, sent } = amazonClient(Buffer.from('{}'), 'application/json')
      await client.send(new ConverseCommand(same))
      expect([lost, path]).toEqual([[], sent[0]!.path])
      expect(body).toEqual(JSON.parse(new TextDecoder().decode(sent[0]!.body)))
    }
  })

  it('goes to the stream where a stream is asked for', () => {
    expect(written({ streamed: true }).path).toBe(
      '/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream',
    )
  })

  it('keeps the parts of any conversation, in order', () => {
    fc.assert(
      fc.property(conversations('BEDROCK_CONVERSE'), (turns) => {
        const { body, lost } = written({ turns })
        const hasUrl = JSON.stringify(turns).includes('"kind":"url"')
        expect(lost.filter((feature) => feature !== 'reasoningNow')).toEqual(hasUrl ? ['imageUrls'] : [])
        const parts = turns
          .flatMap((turn) => turn.parts)
          .filter((part) => !(part.type === 'image' && part.source.kind === 'url'))
        const kinds: Record<string, string> = { file: 'document', toolCall: 'toolUse', thought: 'reasoningContent' }
        const blocks = body.messages.flatMap(({ content }: Json) => content).filter((each: Json) => !each.cachePoint)
        expect(blocks.map((each: Json) => Object.keys(each)[0])).toEqual(parts.map(({ type }) => kinds[type] ?? type))
      }),
    )
  })

  it('thinks as the Claude behind it does, and sends thoughts to no other model', () => {
    const thought = {
      type: 'thought',
      text: 'Hm.',
      signature: { from: 'ANTHROPIC_MESSAGES', value: 'c2ln' },
      encrypted: false,
    } as const
    const turns: NeutralRequest['turns'] = [
      ...plainRequest.turns,
      { role: 'assistant', parts: [thought, { type: 'text', text: 'Yes' }] },
      ...plainRequest.turns,
    ]
    const reasoning = { effort: 'low' as const, budgetTokens: null, shown: null }
    const asked = written({ turns, reasoning, sampling: { ...plainRequest.sampling, topK: 5 }, maxOutputTokens: 8_000 })
    expect(asked.body.messages[1].content[0]).toEqual({
      reasoningContent: { reasoningText: { text: 'Hm.', signature: 'c2ln' } },
    })
    expect(asked.body.additionalModelRequestFields).toEqual({ thinking: { type: 'enabled', budget_tokens: 2_048 } })
    expect(asked.lost).toEqual(['topK'])
    const newer = written({ reasoning }, modelNamed('global.anthropic.claude-opus-4-7'))
    expect(newer.body).toMatchObject({
      additionalModelRequestFields: { thinking: { type: 'adaptive' } },
      outputConfig: { effort: 'low' },
    })
    expect(written({ turns, reasoning }, llama).lost).toEqual(['signatures', 'reasoning'])
  })

  it('has what Bedrock cannot say named', () => {
    const tools = [{ name: 'f', description: null, parameters: null, strict: null }]
    expect(written({ tools, toolChoice: 'none' })).toMatchObject({
      lost: [],
      body: expect.not.objectContaining({ toolConfig: expect.anything() }),
    })
    const request = {
      choices: 2,
      user: 'u',
      parallelToolCalls: false,
      output: { type: 'json' as const },
      logprobs: { top: 1 },
    }
    expect(written(request, llama).lost.sort()).toEqual(['choices', 'json', 'logprobs', 'parallelToolCalls', 'user'])
  })
})

describe('an error of the runtime', () => {
  it.each([
    [400, 'Input is too long for requested model.', 'CONTEXT_TOO_LONG', 'upstream_rejected'],
    [
      400,
      'The model returned the following errors: prompt is too long: 9 > 8',
      'CONTEXT_TOO_LONG',
      'upstream_rejected',
    ],
    [400, 'Malformed input request', null, 'upstream_rejected'],
    [403, 'The security token included in the request is expired', 'AUTH_FAILED', 'upstream_auth_failed'],
    [404, 'Could not resolve the foundation model', null, 'upstream_rejected'],
    [408, 'Model has timed out', 'TIMEOUT', 'upstream_timeout'],
    [424, 'The model failed', 'SERVER_ERROR', 'upstream_overloaded'],
    [429, 'Too many tokens, please wait before trying again.', 'RATE_LIMITED', 'upstream_rate_limited'],
    [503, 'Bedrock is unable to process your request.', 'OVERLOADED', 'upstream_overloaded'],
  ])('%i %s means %s', (status, text, cause, refused) => {
    const read = codec.readError(status, JSON.stringify({ message: text }))
    expect(read).toMatchObject({ cause, refusal: { refused } })
    expect(isFault(read)).toBe(true)
  })
})
