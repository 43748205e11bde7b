import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { PassingDialect } from '../../data-plane/codecs/codec.ts'
import { dialects } from '../../data-plane/codecs/index.ts'
import type { RunningModel } from '../../data-plane/snapshot/running.ts'
import { isRefusal } from '../../schema/refusals.ts'

const model = {
  ...{ contextTokens: 100_000, maxOutputTokens: 4_000, defaultOutputTokens: null, region: null },
  bounds: {
    tokensPerMessage: 16,
    tokensPerTool: 64,
    tokensPerImage: 1_000,
    tokensPerPage: null,
    tokensPerAudioSecond: null,
  },
  provider: { platform: 'OPENAI_COMPATIBLE', apiVersion: null },
} as unknown as RunningModel
const target = { model, upstreamName: 'upstream-model' }

/** The least that each dialect asks for, its limit included, written as no serializer would. */
const least: Record<string, string> = {
  OPENAI_CHAT:
    '"messages" : [{"role":"user", "content":"caf\\u00e9 \u{1F600}","x_odd":null}],"max_tokens":50, "model":"house"',
  OPENAI_RESPONSES:
    '"input": [{"role":"user","content":"caf\\u00e9","x_odd":[1.0]}] ,"max_output_tokens":50,"model" : "house"',
  OPENAI_COMPLETIONS: '"prompt":"caf\\u00e9", "max_tokens":50,"model":"house"',
  OPENAI_EMBEDDINGS: '"input":["caf\\u00e9"], "model":"house"',
  ANTHROPIC_MESSAGES: '"max_tokens": 50,"messages":[{"role":"user","content":"caf\\u00e9"} ], "model":"house"',
  GEMINI_GENERATE:
    '"contents":[{"parts":[ {"text":"caf\\u00e9","xOdd":1e2}]}],"generationConfig":{"maxOutputTokens":50}',
}

/** Members that no protocol has, as odd as JSON may be: their texts have to survive, not only their values. */
const corpus = [
  '"x_number": 1.0',
  '"x_exponent":1E+2 ',
  '"x_big":12345678901234567890',
  '"x_escaped":"\\u0041\\/\\ud83d\\ude00"',
  '"x_nested" : {"model":"house","messages":[ {"role":"system"} ],"max_tokens":9}',
  '"x_null":null',
  '"x_empty":{ },"x_list":[ ]',
  '"":"no name"',
  '"x-dashed\\u002dname":true',
]

const admitted = (dialect: PassingDialect, text: string) => {
  const operation = { OPENAI_EMBEDDINGS: 'embed', OPENAI_COMPLETIONS: 'complete' }[dialect.name as string] ?? 'generate'
  const named = dialect.name === 'GEMINI_GENERATE' ? { model: 'house', streamed: false } : {}
  const request = dialect.admit(text, { operation: operation as 'generate', query: '', ...named })
  if (isRefusal(request)) throw new Error(JSON.stringify(request))
  return request
}

describe.each(dialects.map((dialect) => [dialect.name, dialect] as const))('%s', (name, dialect) => {
  const passes = (members: string[]) => {
    const text = `{ ${members.join(' ,')}\n}`
    // Only the first is the request's own; those within other members stay.
    const expected = text.replace(/"model"( ?):( ?)"house"(?=[^{}]*$|[ ,]*\n?}$)/, '"model"$1:$2"upstream-model"')
    expect(dialect.pass(admitted(dialect, text), target).body).toBe(expected)
  }

  it.each(corpus)('passes %s on, byte for byte', (member) => passes([member, least[name]!]))

  it('passes all of them on at once, in any order', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(corpus), (members) => passes([...members, least[name]!])),
      { numRuns: 100 },
    )
  })
})
