import { describe, expect, it } from 'vitest'
import type { PassingDialect } from '../../data-plane/codecs/codec.ts'
import { dialects, wireTo } from '../../data-plane/codecs/index.ts'
import type { RunningModel } from '../../data-plane/snapshot/running.ts'
import type { Codec } from '../../schema/config/index.ts'
import { isRefusal } from '../../schema/refusals.ts'

const contextTokens = 50_000
const provider = { platform: 'OPENAI', apiVersion: null, headers: {}, forwardHeaders: [] }
const bounds = { tokensPerMessage: 16, tokensPerTool: 64, tokensPerImage: 1_000, tokensPerPage: null }
const long = 'x'.repeat(5_000)

/** What a body may cost at most, in tokens, where it passes to a provider of its own protocol. */
function ceilingOf(name: Codec, body: object) {
  const dialect = dialects.find((one) => one.name === name) as PassingDialect
  const operation = name === 'OPENAI_COMPLETIONS' ? 'complete' : name === 'OPENAI_EMBEDDINGS' ? 'embed' : 'generate'
  const model = {
    ...{ id: 'mdl_1', name: 'm', region: null, contextTokens, maxOutputTokens: 900, defaultOutputTokens: null },
    ...{ bounds: { ...bounds, tokensPerAudioSecond: null }, provider: { ...provider, codecs: new Set([name]) } },
  } as unknown as RunningModel
  const call = { operation, query: '', ...(name === 'GEMINI_GENERATE' && { model: 'house', streamed: false }) } as const
  const request = dialect.admit(JSON.stringify({ model: 'house', ...body }), call)
  if (isRefusal(request)) return request
  return wireTo(model.provider, dialect, operation)!.ceiling(request, model)
}

const inputOf = (name: Codec, body: object) => (ceilingOf(name, body) as { inputTokens: number }).inputTokens

describe('what a provider reads in a form that the client chose is bounded', () => {
  it.each([{ id: 'msg_1' }, { id: 'rs_1', type: null }, { id: 'msg_1', type: 'item_reference' }])(
    'of a stored item that %o brings in, as the whole context',
    (item) => expect(inputOf('OPENAI_RESPONSES', { input: [item] })).toBe(contextTokens),
  )

  it('of an item that says a text both ways, as both', () => {
    const input = [
      { type: 'function_call_output', call_id: 'a', content: [], output: [{ type: 'input_text', text: long }] },
    ]
    expect(inputOf('OPENAI_RESPONSES', { input })).toBeGreaterThan(long.length)
  })

  it.each([
    { parts: { fileData: { fileUri: 'https://example.com/long.pdf' } } },
    { parts: { file_data: { file_uri: 'https://example.com/long.pdf' } } },
    { parts: { inlineData: { mimeType: 'application/pdf', data: 'AAAA' } } },
    { parts: [{ functionResponse: { name: 'f', response: {}, parts: { fileData: { fileUri: 'a' } } } }] },
  ])('of a part of Gemini’s that stands alone instead of in a list (%o), as what it brings in', (content) => {
    expect(inputOf('GEMINI_GENERATE', { contents: [content] })).toBe(contextTokens)
    expect(inputOf('GEMINI_GENERATE', { contents: [], systemInstruction: content })).toBe(contextTokens)
  })

  it('of a list of texts that begins with a number, as the context of each', () => {
    const input = [1, 'x'.repeat(contextTokens), 'x'.repeat(contextTokens)]
    expect(inputOf('OPENAI_EMBEDDINGS', { input })).toBeGreaterThan(2 * contextTokens)
  })

  it('of what stands beside a part’s text, as its bytes', () => {
    const contents = [{ parts: [{ text: 'a', thoughtSignature: long }] }]
    expect(inputOf('GEMINI_GENERATE', { contents })).toBeGreaterThan(long.length)
  })

  it.each([
    ['OPENAI_CHAT', { type: 'file', file: { file_id: 'file_1' } }],
    ['OPENAI_CHAT', { type: 'input_audio', input_audio: { data: 'AAAA', format: 'mp3' } }],
    ['ANTHROPIC_MESSAGES', { type: 'document', source: { type: 'url', url: 'https://example.com/long.pdf' } }],
    ['ANTHROPIC_MESSAGES', { type: 'text', text: 'x'.repeat(contextTokens) }],
  ] as const)('of a message to %s whose content is one part and no list (%o)', (name, content) => {
    expect(inputOf(name, { messages: [{ role: 'user', content }] })).toBe(contextTokens)
  })

  it.each([{ system: { type: 'text', text: 'x'.repeat(contextTokens) } }])('of a system text as one block', (body) => {
    expect(inputOf('ANTHROPIC_MESSAGES', { messages: [], ...body })).toBe(contextTokens)
  })
})

describe('answers are bounded', () => {
  it('of a list of prompts that begins with a number, each of them', () => {
    const ceiling = ceilingOf('OPENAI_COMPLETIONS', { prompt: [1, 'a', 'b', [2, 3]], max_tokens: 10 })
    expect(ceiling).toMatchObject({ outputTokens: 40 })
  })

  it('of one prompt in tokens, once', () => {
    expect(ceilingOf('OPENAI_COMPLETIONS', { prompt: [1, 2, 3], max_tokens: 10 })).toMatchObject({ outputTokens: 10 })
  })
})
