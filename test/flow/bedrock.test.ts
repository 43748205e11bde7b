import Anthropic from '@anthropic-ai/sdk'
import { EventStreamCodec } from '@smithy/eventstream-codec'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const claude = 'eu.anthropic.claude-haiku-4-5-20251001-v1:0'

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
beforeEach(async () => {
  gateway = await startGateway({
    baseUrl: upstream.url,
    provider: { platform: 'AWS_BEDROCK', codecs: ['BEDROCK_CONVERSE'], region: 'eu-central-1' },
    targets: [claude],
    retry: { attempts: 1 },
  })
})
afterEach(async () => {
  expect(gateway.faults).toEqual([])
  await gateway.stop()
  upstream.reset()
})
afterAll(() => upstream.stop())

const amazon = new EventStreamCodec(
  (bytes) => new TextDecoder().decode(bytes as Uint8Array),
  (text) => new TextEncoder().encode(text),
)

/** An event stream, each message a chunk of its own. */
function streamOf(messages: [kind: 'event' | 'exception', type: string, payload: object][]) {
  const bytes = messages.map(([kind, type, payload]) =>
    amazon.encode({
      headers: {
        [`:${kind}-type`]: { type: 'string', value: type },
        ':message-type': { type: 'string', value: kind },
      },
      body: new TextEncoder().encode(JSON.stringify(payload)),
    }),
  )
  return answers.bytes(bytes, 'application/vnd.amazon.eventstream')
}

const usage = { inputTokens: 20, outputTokens: 8, totalTokens: 34, cacheReadInputTokens: 6 }
const calling = () =>
  streamOf([
    ['event', 'messageStart', { role: 'assistant' }],
    ['event', 'contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Hm.' } } }],
    ['event', 'contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 'c2ln' } } }],
    ['event', 'contentBlockStop', { contentBlockIndex: 0 }],
    ['event', 'contentBlockStart', { contentBlockIndex: 1, start: { toolUse: { toolUseId: 't_1', name: 'weather' } } }],
    ['event', 'contentBlockDelta', { contentBlockIndex: 1, delta: { toolUse: { input: '{"city":"Bonn"}' } } }],
    ['event', 'contentBlockStop', { contentBlockIndex: 1 }],
    ['event', 'messageStop', { stopReason: 'tool_use' }],
    ['event', 'metadata', { usage, metrics: { latencyMs: 1 } }],
  ])
const broken = () =>
  streamOf([
    ['event', 'messageStart', { role: 'assistant' }],
    ['event', 'contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hi' } }],
    ['exception', 'throttlingException', { message: 'Too many tokens.' }],
  ])

const anthropic = () => new Anthropic({ baseURL: gateway.url, apiKey: gateway.key, maxRetries: 0 })
const openai = () => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })

const tools = [{ name: 'weather', input_schema: { type: 'object' as const } }]
const hello = { model: 'house', max_tokens: 900, messages: [{ role: 'user' as const, content: 'Hello' }], tools }

describe('Bedrock behind the gateway', () => {
  it('serves a client of Anthropic’s, whose thoughts go back to it as they came', async () => {
    upstream.otherwise(calling())
    const answer = await anthropic().messages.stream(hello).finalMessage()
    expect(answer).toMatchObject({ model: 'house', stop_reason: 'tool_use' })
    expect(answer.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm.', signature: 'sluice.BEDROCK_CONVERSE.thought.c2ln' },
      { type: 'tool_use', id: 't_1', name: 'weather', input: { city: 'Bonn' } },
    ])
    expect(answer.usage).toMatchObject({ input_tokens: 20, cache_read_input_tokens: 6, output_tokens: 8 })
    expect(upstream.requests[0]!.path).toBe(`/model/${encodeURIComponent(claude)}/converse-stream`)
    const result = { type: 'tool_result' as const, tool_use_id: 't_1', content: 'rain' }
    const messages = [
      ...hello.messages,
      { role: 'assistant' as const, content: answer.content as never },
      { role: 'user' as const, content: [result] },
    ]
    await anthropic()
      .messages.stream({ ...hello, messages })
      .finalMessage()
    expect(upstream.requests[1]!.member('messages', '1', 'content', '0')).toEqual({
      reasoningContent: { reasoningText: { text: 'Hm.', signature: 'c2ln' } },
    })
    const [record] = await gateway.records(1)
    expect(record!.meters.map(({ meter, quantity }) => [meter, quantity])).toEqual([
      ['INPUT_TOKENS', 20],
      ['CACHED_INPUT_TOKENS', 6],
      ['OUTPUT_TOKENS', 8],
    ])
  })

  it('serves a client of OpenAI’s, streamed and plain', async () => {
    const asked = { model: 'house', messages: [{ role: 'user' as const, content: 'Hello' }] }
    upstream.next(calling())
    const { choices } = await openai().chat.completions.stream(asked).finalChatCompletion()
    expect(choices[0]!.message.tool_calls).toMatchObject([{ id: 't_1', function: { arguments: '{"city":"Bonn"}' } }])
    const message = { role: 'assistant', content: [{ text: 'Fine.' }] }
    upstream.next(answers.json({ output: { message }, stopReason: 'end_turn', usage, metrics: { latencyMs: 1 } }))
    const plain = await openai().chat.completions.create(asked)
    expect([plain.model, plain.choices[0]!.message.content, plain.usage!.prompt_tokens]).toEqual(['house', 'Fine.', 26])
  })

  it('tells an exception within the stream as the client’s own protocol does, and no success', async () => {
    upstream.otherwise(broken())
    await expect(anthropic().messages.stream(hello).finalMessage()).rejects.toMatchObject({ type: 'rate_limit_error' })
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'FAILED', refusal: 'upstream_rate_limited' })
  })

  it('says that a conversation is too long in the words and codes that clients know', async () => {
    upstream.otherwise(answers.json({ message: 'Input is too long for requested model.' }, 400))
    await expect(anthropic().messages.create(hello)).rejects.toMatchObject({
      status: 400,
      apiMessage: 'prompt is too long: Input is too long for requested model.',
    })
    const asked = openai().chat.completions.create({ model: 'house', messages: [{ role: 'user', content: 'x' }] })
    await expect(asked).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' })
  })
})
