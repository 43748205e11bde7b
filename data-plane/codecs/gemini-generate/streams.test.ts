import { describe, expect, it } from 'vitest'
import { isFault } from '../codec.ts'
import type { NeutralEvent } from '../neutral.ts'
import { geminiReader } from './read-answer.ts'
import { GeminiStreamDecoder } from './stream.ts'

const usage = {
  promptTokenCount: 1_200,
  cachedContentTokenCount: 1_000,
  candidatesTokenCount: 20,
  thoughtsTokenCount: 60,
  totalTokenCount: 1_280,
  promptTokensDetails: [{ modality: 'TEXT', tokenCount: 1_200 }],
}
const piece = (parts: object[] | undefined, more: object = {}, candidate: object = {}) => ({
  candidates: [{ ...(parts && { content: { parts, role: 'model' } }), index: 0, ...candidate }],
  modelVersion: 'gemini-3-pro-preview',
  responseId: 'xRS0aZC5BNHVz7IP',
  ...more,
})

/** Streams as Google's two services send them: events with CRLF, usage in every piece or only in some, signatures late. */
const recorded: Record<string, object[]> = {
  'thoughts, then calls in one piece': [
    piece([{ text: '**Looking**\n', thought: true }], {
      usageMetadata: { promptTokenCount: 1_200, totalTokenCount: 1_200 },
    }),
    piece([
      { functionCall: { name: 'weather', args: { city: 'Oslo é漢🙂' } }, thoughtSignature: 'AbC+/1=' },
      { functionCall: { name: 'weather', args: {}, id: 'fc-1' } },
    ]),
    piece([{ text: '' }], { usageMetadata: usage }, { finishReason: 'STOP' }),
  ],
  'text, its signature in a last part of its own': [
    piece([{ text: 'Hel' }], { usageMetadata: { trafficType: 'ON_DEMAND' } }),
    piece([{ text: 'lo' }]),
    piece([{ text: '', thoughtSignature: 'c2ln' }], { usageMetadata: usage }, { finishReason: 'STOP' }),
  ],
  'an end in every piece, and usage behind them': [
    piece([{ text: 'a' }], {}, { finishReason: 'STOP' }),
    piece([{ text: 'b' }], {}, { finishReason: 'STOP' }),
    { usageMetadata: usage },
  ],
  'a prompt that is blocked': [{ promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: usage }],
  'an answer that is stopped': [
    piece([{ text: 'a' }]),
    piece(undefined, { usageMetadata: usage }, { finishReason: 'RECITATION' }),
  ],
  'an answer cut at its limit': [piece([{ text: 'a' }], { usageMetadata: usage }, { finishReason: 'MAX_TOKENS' })],
}

const bytesOf = (pieces: object[]) => Buffer.from(pieces.map((one) => `data: ${JSON.stringify(one)}\r\n\r\n`).join(''))

function read(chunks: Uint8Array[]): NeutralEvent[] {
  const reader = geminiReader(true)
  const events = chunks.flatMap((chunk) => good(reader.push(chunk)))
  return [...events, ...good(reader.end())]
}

function passed(chunks: Uint8Array[], framing: 'sse' | 'array') {
  const decoder = new GeminiStreamDecoder(framing)
  const before = chunks.flatMap((chunk) => good(decoder.push(chunk)))
  const held = good(decoder.end())
  return { before: text(before), held: text(held), facts: decoder.facts }
}

function good<T>(value: T[] | object): T[] {
  if (isFault(value as never)) throw new Error(JSON.stringify(value))
  return value as T[]
}

const text = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString()

describe.each(Object.entries(recorded))('a stream of %s', (_, pieces) => {
  const bytes = bytesOf(pieces)
  const halves = (cut: number) => [bytes.subarray(0, cut), bytes.subarray(cut)]

  it('gives the same events wherever it is cut', () => {
    const whole = read([bytes])
    for (let cut = 1; cut < bytes.length; cut++) expect([cut, read(halves(cut))]).toEqual([cut, whole])
    expect(read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole)
  })

  it('passes byte for byte, or element for element, and never tells its end too early', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      const { before, held, facts } = passed(halves(cut), 'sse')
      expect(before + held).toBe(bytes.toString())
      expect(before).not.toContain(JSON.stringify(pieces.at(-1)))
      expect(facts.usage?.map(({ quantity }) => quantity)).toEqual([200, 1_000, 20, 60])
    }
    const list = passed([bytes], 'array')
    expect(JSON.parse(list.before + list.held)).toEqual(pieces)
  })

  it('is no answer where it ends too early', () => {
    const shorter = bytesOf(pieces.slice(0, -1))
    if (pieces.slice(0, -1).some((one) => JSON.stringify(one).includes('finishReason'))) return
    for (const framing of ['sse', 'array'] as const) {
      const decoder = new GeminiStreamDecoder(framing)
      decoder.push(shorter)
      expect(decoder.end()).toMatchObject({ refusal: { refused: 'upstream_broke_off' }, free: false })
    }
    expect(() => read([shorter])).toThrow('upstream_broke_off')
  })
})

it('takes a stream that goes on behind its end for no answer', () => {
  const decoder = new GeminiStreamDecoder('sse')
  decoder.push(bytesOf([piece([{ text: 'a' }], {}, { finishReason: 'STOP' })]))
  const more = bytesOf(Array(200).fill({ usageMetadata: usage }))
  expect(decoder.push(more)).toMatchObject({ refusal: { refused: 'upstream_broke_off' } })
})

it('holds the end of several candidates until all that began have ended', () => {
  const decoder = new GeminiStreamDecoder('sse')
  const first = piece([{ text: 'a' }], {}, { finishReason: 'STOP' })
  const second = piece([{ text: 'b' }], {}, { index: 1 })
  const last = piece([{ text: 'c' }], {}, { index: 1, finishReason: 'STOP' })
  expect(text(good(decoder.push(bytesOf([first]))))).toBe('')
  expect(text(good(decoder.push(bytesOf([second]))))).toBe(bytesOf([first, second]).toString())
  expect(text(good(decoder.push(bytesOf([last]))))).toBe('')
  expect(text(good(decoder.end()))).toBe(bytesOf([last]).toString())
})

describe('events', () => {
  it('name calls without an id, the same for every reading and another for every answer', () => {
    const calls = read([bytesOf(recorded['thoughts, then calls in one piece']!)]).filter(
      ({ type }) => type === 'toolCall',
    )
    expect(calls).toEqual([
      {
        ...{ type: 'toolCall', choice: 0, call: 0, id: 'call_sluice_xRS0aZC5BNHVz7IP_0', name: 'weather' },
        signature: { from: 'GEMINI_GENERATE', value: 'AbC+/1=' },
      },
      { type: 'toolCall', choice: 0, call: 1, id: 'fc-1', name: 'weather' },
    ])
  })

  it('tell what ended the answer', () => {
    const reasons = Object.values(recorded).map((pieces) => {
      const finish = read([bytesOf(pieces)]).filter((event) => event.type === 'finish')
      return finish.map(({ reason }) => reason)
    })
    expect(reasons).toEqual([['tool_calls'], ['stop'], ['stop'], ['content_filter'], ['content_filter'], ['length']])
  })

  it('name what has no neutral form', () => {
    const pieces = [
      piece([{ text: 'a' }, { executableCode: { code: '1' } }], {}, { finishReason: 'STOP', groundingMetadata: {} }),
    ]
    expect(read([bytesOf(pieces)]).filter(({ type }) => type === 'foreign')).toEqual([
      { type: 'foreign', what: 'executableCode' },
      { type: 'foreign', what: 'groundingMetadata' },
    ])
  })

  it('carry log probabilities with their text', () => {
    const logprobsResult = {
      chosenCandidates: [{ token: 'a', logProbability: -0.5 }],
      topCandidates: [
        {
          candidates: [
            { token: 'a', logProbability: -0.5 },
            { token: 'b', logProbability: -2 },
          ],
        },
      ],
    }
    const [, told] = read([bytesOf([piece([{ text: 'a' }], {}, { finishReason: 'STOP', logprobsResult })])])
    const top = [
      { token: 'a', logprob: -0.5, bytes: null },
      { token: 'b', logprob: -2, bytes: null },
    ]
    expect(told).toEqual({ type: 'text', choice: 0, text: 'a', logprobs: [{ ...top[0], top }] })
  })
})
