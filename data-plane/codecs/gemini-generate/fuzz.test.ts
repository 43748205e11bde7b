import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isRefusal } from '../../../schema/refusals.ts'
import type { RunningModel } from '../../snapshot/running.ts'
import { geminiGenerate } from './index.ts'

const model = {
  ...{ contextTokens: 8_000, maxOutputTokens: 1_000, defaultOutputTokens: null },
  bounds: { tokensPerMessage: 10, tokensPerTool: 20, tokensPerImage: 300 },
  provider: { platform: 'GOOGLE_AI', apiVersion: null },
} as unknown as RunningModel

const request = {
  contents: [
    {
      role: 'user',
      parts: [
        { text: 'a', thought: true, thoughtSignature: 'c2x1aWNlLg==' },
        { inlineData: { mimeType: 'image/png', data: 'a-_' } },
      ],
    },
    {
      role: 'model',
      parts: [
        { functionCall: { name: 'f', args: {}, id: 'x' }, thoughtSignature: 'c2x1aWNlLnt9' },
        { fileData: { fileUri: 'https://x/y', mimeType: 'a/b' } },
      ],
    },
    {
      role: 'user',
      parts: [
        {
          functionResponse: {
            name: 'f',
            response: { output: 'a' },
            parts: [{ inlineData: { mimeType: 'image/png', data: '' } }],
          },
        },
      ],
    },
  ],
  systemInstruction: { parts: [{ text: 'a' }] },
  tools: [
    {
      functionDeclarations: [
        { name: 'f', parameters: { type: 'OBJECT', properties: { a: { anyOf: [{ type: 'STRING' }] } } } },
      ],
    },
  ],
  toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f'] } },
  generationConfig: {
    ...{
      stopSequences: ['a'],
      candidateCount: 1,
      maxOutputTokens: 5,
      responseModalities: ['TEXT'],
      responseSchema: { type: 'STRING' },
    },
    thinkingConfig: { thinkingBudget: 1, includeThoughts: true },
  },
  generateContentRequest: { contents: [] },
}
const answer = {
  candidates: [
    {
      content: {
        role: 'model',
        parts: [{ text: 'a', thoughtSignature: 'x' }, { functionCall: { name: 'f', args: { a: 1 } } }],
      },
      finishReason: 'STOP',
      index: 0,
      logprobsResult: {
        chosenCandidates: [{ token: 'a', logProbability: 1 }],
        topCandidates: [{ candidates: [{ token: 'b' }] }],
      },
    },
  ],
  promptFeedback: {},
  usageMetadata: { promptTokenCount: 1, promptTokensDetails: [{ modality: 'AUDIO', tokenCount: 1 }] },
  error: { code: 400, details: [{ reason: 'x', retryDelay: '1s' }] },
}

/** The object with one of its values, at any depth, replaced by anything. */
function broken(seed: object): fc.Arbitrary<object> {
  const paths: (string | number)[][] = []
  const walk = (value: unknown, path: (string | number)[]) => {
    if (path.length > 0) paths.push(path)
    if (typeof value !== 'object' || value === null) return
    for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key])
  }
  walk(seed, [])
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(null, '', 0, -1, [], {}, [null], 'STOP'))
  return fc.tuple(fc.constantFrom(...paths), anything).map(([path, value]) => {
    const copy = structuredClone(seed)
    // biome-ignore lint/suspicious/noExplicitAny: any place of any object
    let at: any = copy
    for (const key of path.slice(0, -1)) at = at[key]
    at[path.at(-1)!] = value
    return copy
  })
}

it('refuses or reads whatever a client sends, and never breaks', () => {
  fc.assert(
    fc.property(broken(request), fc.boolean(), fc.boolean(), (body, streamed, counts) => {
      const operation = counts ? ('count' as const) : ('generate' as const)
      const admitted = geminiGenerate.admit(JSON.stringify(body), { operation, model: 'm', streamed, query: '' })
      if (isRefusal(admitted)) return
      const target = { model, upstreamName: 'gemini-3' }
      expect(geminiGenerate.ceiling(admitted, model).inputTokens).toBeGreaterThanOrEqual(0)
      JSON.parse(geminiGenerate.pass(admitted, target).body)
      JSON.parse(geminiGenerate.countHere!(admitted, model))
      geminiGenerate.writer(admitted).end()
      if (counts) return
      const neutral = geminiGenerate.neutral(admitted)
      if (!isRefusal(neutral)) JSON.parse(geminiGenerate.encode(neutral, target).body)
    }),
    { numRuns: 3_000 },
  )
})

it('reads or faults whatever a provider sends, and never breaks', () => {
  fc.assert(
    fc.property(broken(answer), fc.boolean(), fc.boolean(), (body, streamed, hasError) => {
      const text = JSON.stringify(hasError ? body : { ...body, error: undefined })
      const bytes = Buffer.from(streamed ? `data: ${text}\r\n\r\n` : text)
      const call = { operation: 'generate' as const, model: 'm', streamed, query: '' }
      const admitted = geminiGenerate.admit('{"contents":[]}', call)
      if (isRefusal(admitted)) throw new Error('refused')
      for (const follower of [geminiGenerate.reader(streamed), geminiGenerate.passing(admitted)]) {
        follower.push(bytes)
        follower.end()
      }
      geminiGenerate.readError(400, text)
    }),
    { numRuns: 3_000 },
  )
})
