import { describe, expect, it } from 'vitest'
import { type AnswerReader, isFault } from '../../data-plane/codecs/codec.ts'
import { protocols } from '../../data-plane/codecs/index.ts'
import type { NeutralEvent } from '../../data-plane/codecs/neutral.ts'
import { retold } from '../../data-plane/codecs/translated.ts'
import { awsKeys, awsRegion } from '../prove/providers/house.ts'
import { called, plainText, type Score, thought } from '../prove/providers/scenes.ts'
import { anthropicVendor } from '../prove/providers/vendors/anthropic.ts'
import { bedrockVendor } from '../prove/providers/vendors/bedrock.ts'
import { geminiVendor } from '../prove/providers/vendors/gemini.ts'
import { openaiChatVendor } from '../prove/providers/vendors/openai-chat.ts'
import { openaiResponsesVendor } from '../prove/providers/vendors/openai-responses.ts'

/** What every vendor streams in its own wire format; the proof of providers plays the same. */
const vendors = {
  OPENAI_CHAT: openaiChatVendor('compatible', 'key', true),
  OPENAI_RESPONSES: openaiResponsesVendor('key'),
  ANTHROPIC_MESSAGES: anthropicVendor('key'),
  GEMINI_GENERATE: geminiVendor('key'),
  BEDROCK_CONVERSE: bedrockVendor(awsKeys, awsRegion),
}

const usage = { fresh: 213, cached: 1_024, write5m: 0, write1h: 0, output: 89, reasoning: 0 }
const calls = called.map((call, at) => ({ ...call, id: `call_${at}` }))
const whole: Score = { reasoned: true, thought, text: plainText, calls, usage }
const scores: Record<string, Score> = {
  'a whole answer': whole,
  'an answer that breaks off': { ...whole, cut: true },
  'an answer with an error in it': { ...whole, failure: { status: 529, message: 'overloaded' } },
}

/** Everything that is read, pieces joined, and how it ends. */
function readAll(reader: AnswerReader, parts: Uint8Array[]): unknown[] {
  const events: NeutralEvent[] = []
  for (const part of parts) {
    const read = reader.push(part)
    if (isFault(read)) return [joined(events), retold(read)]
    events.push(...read)
  }
  const rest = reader.end()
  return isFault(rest) ? [joined(events), retold(rest)] : [joined([...events, ...rest])]
}

function joined(events: NeutralEvent[]): unknown[] {
  const out: NeutralEvent[] = []
  for (const event of events) {
    const last = out.at(-1)
    if ((event.type === 'text' || event.type === 'thought') && last?.type === event.type)
      out[out.length - 1] = { ...last, text: last.text + event.text }
    // Converse gives its answers no ids, so they are minted.
    else out.push(event.type === 'start' ? { ...event, id: '' } : event)
  }
  return out
}

describe.each(protocols.map((protocol) => [protocol.name, protocol] as const))('%s', (name, protocol) => {
  const vendor = vendors[name as keyof typeof vendors]
  it.each(Object.keys(scores))('reads the same of a stream that is cut at every byte: %s', (title) => {
    const pieces = vendor.stream(scores[title]!, 'a-model').map((piece) => Buffer.from(piece as Uint8Array))
    const bytes = Buffer.concat(pieces)
    const expected = readAll(protocol.reader(true), [bytes])
    expect(expected.length).toBe(title === 'a whole answer' ? 1 : 2)
    expect(
      readAll(
        protocol.reader(true),
        Array.from(bytes, (byte) => Uint8Array.of(byte)),
      ),
    ).toEqual(expected)
    const should = JSON.stringify(expected)
    const cuts = Array.from({ length: bytes.length - 1 }, (_, at) => at + 1)
    const odd = cuts.filter((cut) => {
      const read = readAll(protocol.reader(true), [bytes.subarray(0, cut), bytes.subarray(cut)])
      return JSON.stringify(read) !== should
    })
    expect(odd).toEqual([])
  })
})
