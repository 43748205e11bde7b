import fc from 'fast-check'
import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { RunningModel } from '../snapshot/running.ts'
import { type AnswerFault, type AnswerReader, type AnswerWriter, type EncodeTarget, isFault } from './codec.ts'
import type { NeutralEvent, NeutralRequest, Part, ToolCall, ToolResult, Turn } from './neutral.ts'

/** For tests of codecs: requests and answers in the neutral form, and models to send them to. */

/** A model of plain limits under this name. */
export function modelNamed(upstreamName: string, limits: Partial<RunningModel> = {}): EncodeTarget {
  const bounds = {
    tokensPerMessage: 16,
    tokensPerTool: 64,
    tokensPerImage: null,
    tokensPerPage: null,
    tokensPerAudioSecond: null,
  }
  const provider = {
    platform: 'OPENAI_COMPATIBLE',
    apiVersion: null,
    region: null,
  } as unknown as RunningModel['provider']
  const model = {
    contextTokens: 200_000,
    maxOutputTokens: 64_000,
    defaultOutputTokens: null,
    bounds,
    provider,
    ...limits,
  }
  return { model: model as RunningModel, upstreamName }
}

/** A request of which nothing is asked. */
export const plainRequest: NeutralRequest = {
  streamed: false,
  system: [],
  turns: [{ role: 'user', parts: [{ type: 'text', text: 'Hello' }] }],
  tools: [],
  toolChoice: 'auto',
  parallelToolCalls: null,
  output: { type: 'text' },
  sampling: { temperature: null, topP: null, topK: null, seed: null, presencePenalty: null, frequencyPenalty: null },
  maxOutputTokens: null,
  stop: [],
  choices: 1,
  reasoning: { effort: null, budgetTokens: null, shown: null },
  logprobs: null,
  user: null,
  foreign: [],
  incidental: [],
}

const word = fc.stringMatching(/^[a-zé\u{1F600}"\\ ]{0,8}[a-z]$/u)
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,10}$/)
const base64 = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const cache = fc.option(fc.constantFrom('5m' as const, '1h' as const), { nil: undefined })
const marked = <T extends object>(of: fc.Arbitrary<T>) =>
  fc.tuple(of, cache).map(([part, mark]) => (mark ? { ...part, cache: mark } : part))

const text = marked(word.map((said) => ({ type: 'text' as const, text: said })))
const image = marked(
  fc.oneof(
    base64.map((data) => ({ type: 'image' as const, source: { kind: 'data' as const, mediaType: 'image/png', data } })),
    name.map((path) => ({
      type: 'image' as const,
      source: { kind: 'url' as const, url: `https://x.test/${path}.png` },
    })),
  ),
)
const file = marked(
  fc.tuple(base64, fc.option(name)).map(([data, title]) => ({
    ...{ type: 'file' as const, source: { kind: 'data' as const, mediaType: 'application/pdf', data }, name: title },
  })),
)
const args = fc
  .dictionary(name, fc.oneof(word, fc.integer(), fc.boolean()), { maxKeys: 3 })
  .map((given) => JSON.stringify(given))

/** A call and its result, which stand in turns of their own. */
const exchange = (from: CodecName): fc.Arbitrary<Turn[]> =>
  fc
    .tuple(fc.array(fc.tuple(name, args, word, fc.boolean()), { minLength: 1, maxLength: 3 }), thoughts(from))
    .map(([calls, before]) => [
      {
        role: 'assistant',
        parts: [
          ...before,
          ...calls.map(
            ([called, given], at): ToolCall => ({
              ...{ type: 'toolCall', id: `call_${at}`, name: called, arguments: given },
            }),
          ),
        ],
      },
      {
        role: 'user',
        parts: calls.map(
          ([, , said, isError], at): ToolResult => ({
            ...{ type: 'toolResult', id: `call_${at}`, name: null, parts: [{ type: 'text', text: said }], isError },
          }),
        ),
      },
    ])

function thoughts(from: CodecName): fc.Arbitrary<Part[]> {
  const signed = fc
    .tuple(word, base64)
    .map(([said, value]) => ({ type: 'thought' as const, text: said, signature: { from, value }, encrypted: false }))
  const hidden = base64.map((value) => ({
    type: 'thought' as const,
    text: '',
    signature: { from, value },
    encrypted: true,
  }))
  return fc.array(fc.oneof(signed, hidden), { maxLength: 2 })
}

/** A conversation of alternating turns that begins with the user and ends with the user. */
export function conversations(from: CodecName): fc.Arbitrary<Turn[]> {
  const asked = fc
    .array(fc.oneof(text, image, file), { minLength: 1, maxLength: 3 })
    .map((parts): Turn => ({ role: 'user', parts }))
  const answered = fc
    .tuple(thoughts(from), text)
    .map(([before, said]): Turn => ({ role: 'assistant', parts: [...before, said] }))
  const round = fc.tuple(asked, fc.oneof(exchange(from), fc.constant([]))).map(([first, calls]) => ({ first, calls }))
  return fc
    .tuple(fc.array(fc.tuple(round, answered), { maxLength: 2 }), asked)
    .map(([rounds, last]) => [...rounds.flatMap(([{ first, calls }, answer]) => [first, ...calls, answer]), last])
}

/** The events of one answer, whole: thoughts with their signatures, text, calls one after the other, the end and what it cost. */
export function answers(from: CodecName): fc.Arbitrary<NeutralEvent[]> {
  const said = word.map((one): NeutralEvent[] => [{ type: 'text', choice: 0, text: one }])
  const thought = fc.tuple(word, base64).map(([one, value]): NeutralEvent[] => [
    { type: 'thought', choice: 0, text: one },
    { type: 'signature', choice: 0, signature: { from, value }, encrypted: false },
  ])
  const calls = fc.array(fc.tuple(name, args), { maxLength: 3 }).map((list) =>
    list.flatMap(([called, given], call): NeutralEvent[] => [
      { type: 'toolCall', choice: 0, call, id: `call_${call}`, name: called },
      { type: 'arguments', choice: 0, call, json: given },
    ]),
  )
  const reason = fc.constantFrom('length' as const, 'stop' as const, 'context_full' as const)
  return fc.tuple(fc.option(thought, { nil: [] }), said, calls, reason).map(([first, then, called, ended]) => [
    { type: 'start', id: 'msg_1', model: 'm', createdS: null },
    ...first,
    ...then,
    ...called,
    { type: 'finish', choice: 0, reason: ended === 'stop' && called.length > 0 ? 'tool_calls' : ended },
    {
      type: 'usage',
      readings: [
        { meter: 'INPUT_TOKENS', quantity: 10, source: 'REPORTED' },
        { meter: 'OUTPUT_TOKENS', quantity: 5, source: 'REPORTED' },
      ],
    },
  ])
}

/** Events with what was told in pieces put together, so that two ways of telling the same compare equal. */
export function joined(events: readonly NeutralEvent[]): NeutralEvent[] {
  const out: NeutralEvent[] = []
  for (const event of events) {
    const last = out.at(-1)
    if ((event.type === 'text' || event.type === 'thought') && last?.type === event.type)
      out[out.length - 1] = { ...last, text: last.text + event.text }
    else if (event.type === 'arguments' && last?.type === 'arguments' && last.call === event.call)
      out[out.length - 1] = { ...last, json: last.json + event.json }
    else out.push(event)
  }
  return out
}

/** All that a reader makes of these chunks; the fault where it ends in one. */
export function readAll(reader: AnswerReader, chunks: Iterable<Uint8Array>): NeutralEvent[] | AnswerFault {
  const events: NeutralEvent[] = []
  for (const chunk of chunks) {
    const read = reader.push(chunk)
    if (isFault(read)) return read
    events.push(...read)
  }
  const rest = reader.end()
  return isFault(rest) ? rest : [...events, ...rest]
}

/** All that a writer makes of these events. */
export function writeAll(writer: AnswerWriter, events: readonly NeutralEvent[]): Buffer {
  const chunks = events.flatMap((event) => writer.write([event]))
  return Buffer.concat([...chunks, ...writer.end()])
}

/** The bytes in two chunks, cut at every place, and at last byte by byte. */
export function* cuts(bytes: Uint8Array): Generator<Uint8Array[]> {
  for (let at = 1; at < bytes.length; at++) yield [bytes.slice(0, at), bytes.slice(at)]
  yield Array.from(bytes, (byte) => Uint8Array.of(byte))
}
