import { EventStreamCodec } from '@smithy/eventstream-codec'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type {
  AdmittedRequest,
  AnswerDecoder,
  Dialect,
  PassingDialect,
  Protocol,
} from '../../data-plane/codecs/codec.ts'
import { isFault, isTranslatable } from '../../data-plane/codecs/codec.ts'
import { dialects, protocols } from '../../data-plane/codecs/index.ts'
import { passingWire, translatingWire, type Wire } from '../../data-plane/codecs/wire.ts'
import type { RunningModel } from '../../data-plane/snapshot/running.ts'
import { isRefusal } from '../../schema/refusals.ts'
import { neutralAnswer, neutralRequest } from '../contract/neutral-arbitrary.ts'
import { cutAnywhere, mutateBytes, mutateJson, mutateList, type Random, seeded } from './mutations.ts'

const runs = Number(process.env.SLUICE_FUZZ_RUNS ?? 300)
const seed = Number(process.env.SLUICE_FUZZ_SEED ?? 7)

const model = {
  ...{ name: 'model', contextTokens: 100_000, maxOutputTokens: 4_000, defaultOutputTokens: null, region: null },
  bounds: {
    tokensPerMessage: 16,
    tokensPerTool: 64,
    tokensPerImage: 1000,
    tokensPerPage: null,
    tokensPerAudioSecond: null,
  },
  provider: { platform: 'OPENAI_COMPATIBLE', apiVersion: null },
} as unknown as RunningModel
const target = { model, upstreamName: 'upstream-model' }

const speaking = dialects.filter((dialect): dialect is Dialect => isTranslatable(dialect))
const protocolOf = (dialect: PassingDialect) => protocols.find(({ name }) => name === dialect.name)!
const wireOf = (dialect: Dialect, protocol: Protocol): Wire =>
  dialect.name === protocol.name ? passingWire(dialect) : translatingWire(dialect, protocol)
const pairs = speaking.flatMap((dialect) =>
  protocols.map((protocol) => ({
    of: dialect.name,
    to: protocol.name,
    dialect,
    protocol,
    wire: wireOf(dialect, protocol),
  })),
)
const callOf = (streamed: boolean) => ({
  ...{ operation: 'generate' as const, model: 'house', streamed },
  query: streamed ? 'alt=sse' : '',
})

/** What went wrong, by where: one example of each. */
const wrong = new Map<string, string>()

function note(input: string, attempt: () => void): void {
  try {
    attempt()
  } catch (error) {
    const stack = String((error as Error).stack)
    const at = /data-plane\S+?:\d+/.exec(stack)?.[0] ?? ''
    wrong.set(`${at} ${(error as Error).message}`.slice(0, 160), input.slice(0, 3_000))
  }
}

function expectNone(): void {
  const met = Object.fromEntries(wrong)
  wrong.clear()
  expect(met).toEqual({})
}

/** Bodies as clients of this dialect write them. */
function bodiesOf(dialect: Dialect, count: number): string[] {
  const requests = fc.sample(neutralRequest(dialect.name), { numRuns: count, seed })
  return requests.map((request) => protocolOf(dialect).encode(request, target).body)
}

function admitPlain(dialect: Dialect, streamed: boolean): AdmittedRequest {
  const [request] = fc.sample(neutralRequest(dialect.name), { numRuns: 1, seed })
  const { body } = protocolOf(dialect).encode({ ...request!, streamed, tools: [], choices: 1 }, target)
  const admitted = dialect.admit(body, callOf(streamed))
  if (isRefusal(admitted)) throw new Error(admitted.detail)
  return admitted
}

describe.each(speaking)('a mutated request of $name', (dialect) => {
  const bodies = bodiesOf(dialect, 40)
  it.each(protocols)('never breaks the way to $name, and is bounded by whole numbers', (protocol) => {
    const wire = wireOf(dialect, protocol)
    const random = seeded(seed)
    for (let run = 0; run < runs * 3; run++) {
      const text = mutateJson(bodies[run % bodies.length]!, random)
      const streamed = random() < 0.5
      note(text, () => asked(dialect, wire, text, streamed))
    }
    expectNone()
  })
})

function asked(dialect: Dialect, wire: Wire, text: string, streamed: boolean): void {
  const admitted = dialect.admit(text, callOf(streamed))
  if (isRefusal(admitted)) {
    told(dialect, admitted)
    return
  }
  const { inputTokens, outputTokens } = wire.ceiling(admitted, model)
  const encoded = wire.encode(admitted, target, true)
  if (isRefusal(encoded)) {
    told(dialect, encoded)
    return
  }
  for (const bound of [inputTokens, outputTokens])
    if (!Number.isSafeInteger(bound) || bound! < 0) throw new Error(`ceiling ${bound}`)
  JSON.parse(encoded.body)
  if (!encoded.path.startsWith('/')) throw new Error(encoded.path)
  for (const name of encoded.lossy) if (typeof name !== 'string') throw new Error(`lossy ${name}`)
  wire.decoder(admitted, true)
}

function told(dialect: Dialect, refusal: Parameters<Dialect['renderRefusal']>[0]): void {
  JSON.parse(dialect.renderRefusal(refusal))
}

const amazon = new EventStreamCodec(
  (bytes) => new TextDecoder().decode(bytes as Uint8Array),
  (text) => new TextEncoder().encode(text),
)

/** An answer as its protocol tells it: pieces that are JSON, and how they are framed. */
interface Told {
  pieces: string[]
  frame(piece: string, at: number): Uint8Array
}

function answersOf(protocol: Protocol, streamed: boolean): Told[] {
  if (protocol.name === 'BEDROCK_CONVERSE') return [bedrock(streamed)]
  const dialect = speaking.find(({ name }) => name === protocol.name)!
  return fc.sample(neutralAnswer, { numRuns: 30, seed }).map((events) => {
    const writer = dialect.writer(admitPlain(dialect, streamed))
    const bytes = Buffer.concat([...writer.write(events), ...writer.end()]).toString()
    if (!streamed) return { pieces: [bytes], frame: (piece) => Buffer.from(piece) }
    const frames = bytes.split(/\r?\n\r?\n/).filter(Boolean)
    const parts = frames.map((frame) => /^(.*?data: )(.*)$/s.exec(frame) ?? ['', frame, ''])
    return {
      pieces: parts.map(([, , data]) => data!),
      frame: (piece, at) => Buffer.from(`${parts[at % parts.length]![1]}${piece}\n\n`),
    }
  })
}

function bedrock(streamed: boolean): Told {
  const usage = { inputTokens: 20, outputTokens: 8, totalTokens: 34, cacheReadInputTokens: 6 }
  const content = [
    { reasoningContent: { reasoningText: { text: 'Hm.', signature: 'c2ln' } } },
    { text: 'Hello' },
    { toolUse: { toolUseId: 't_1', name: 'weather', input: { city: 'Bonn' } } },
  ]
  const whole = { output: { message: { role: 'assistant', content } }, stopReason: 'tool_use', usage }
  if (!streamed) return { pieces: [JSON.stringify(whole)], frame: (piece) => Buffer.from(piece) }
  const events: [string, object][] = [
    ['messageStart', { role: 'assistant' }],
    ['contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { text: 'Hm.' } } }],
    ['contentBlockDelta', { contentBlockIndex: 0, delta: { reasoningContent: { signature: 'c2ln' } } }],
    ['contentBlockStop', { contentBlockIndex: 0 }],
    ['contentBlockDelta', { contentBlockIndex: 1, delta: { text: 'Hello' } }],
    ['contentBlockStop', { contentBlockIndex: 1 }],
    ['contentBlockStart', { contentBlockIndex: 2, start: { toolUse: { toolUseId: 't_1', name: 'weather' } } }],
    ['contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '{"city":' } } }],
    ['contentBlockDelta', { contentBlockIndex: 2, delta: { toolUse: { input: '"Bonn"}' } } }],
    ['contentBlockStop', { contentBlockIndex: 2 }],
    ['messageStop', { stopReason: 'tool_use' }],
    ['metadata', { usage, metrics: { latencyMs: 1 } }],
  ]
  return {
    pieces: events.map(([, event]) => JSON.stringify(event)),
    frame: (piece, at) =>
      amazon.encode({
        headers: {
          ':event-type': { type: 'string', value: events[at % events.length]![0] },
          ':message-type': { type: 'string', value: 'event' },
        },
        body: new TextEncoder().encode(piece),
      }),
  }
}

describe.each(pairs)('a mutated answer of $to to a client of $of', ({ dialect, protocol, wire }) => {
  it.each([true, false])(
    'is an answer of the client’s dialect or a refusal, never an exception (streamed: %s)',
    (streamed) => {
      const random = seeded(seed + 1)
      const told = answersOf(protocol, streamed)
      const request = admitPlain(dialect, streamed)
      for (let run = 0; run < runs; run++) {
        const bytes = mutated(told[run % told.length]!, random)
        const chunks = cutAnywhere(bytes, random)
        note(Buffer.from(bytes).toString(), () =>
          relayed(dialect, wire.decoder(request, run % 2 === 0), request, chunks),
        )
      }
      expectNone()
    },
  )
})

function mutated({ pieces, frame }: Told, random: Random): Uint8Array {
  const places = pieces.map((piece, at) => ({ piece, at }))
  const change = ({ piece, at }: { piece: string; at: number }) => ({ piece: mutateJson(piece, random), at })
  const changed = pieces.length === 1 ? places.map(change) : mutateList(places, random, change)
  const bytes = Buffer.concat(changed.map(({ piece, at }) => frame(piece, at)))
  return random() < 0.3 ? mutateBytes(bytes, random) : bytes
}

/** What Exchange and Drive do with a decoder; what the client then holds must be what its dialect has. */
function relayed(dialect: Dialect, decoder: AnswerDecoder, request: AdmittedRequest, chunks: Uint8Array[]): void {
  const out: Uint8Array[] = []
  for (const chunk of chunks) {
    if (decoder.complete) break
    const released = decoder.push(chunk)
    if (isFault(released)) {
      refused(dialect, released, request, out)
      return
    }
    out.push(...released)
  }
  const held = decoder.end()
  if (isFault(held)) {
    refused(dialect, held, request, out)
    return
  }
  const { usage, outputBytes } = decoder.facts
  for (const { quantity } of usage ?? [])
    if (!Number.isSafeInteger(quantity) || quantity < 0) throw new Error(`quantity ${quantity}`)
  if (!Number.isSafeInteger(outputBytes)) throw new Error(`outputBytes ${outputBytes}`)
  if (decoder.facts.finishReason !== null && typeof decoder.facts.finishReason !== 'string') throw new Error('finish')
  wellFormed(Buffer.concat([...out, ...held]).toString(), request)
}

function refused(
  dialect: Dialect,
  fault: Exclude<ReturnType<AnswerDecoder['end']>, Uint8Array[]>,
  request: AdmittedRequest,
  out: Uint8Array[],
): void {
  JSON.parse(dialect.renderRefusal(fault.refusal))
  if (!request.streamed) return
  const end = dialect.renderStreamRefusal(fault.refusal, fault.body, { request, begun: out.length > 0 })
  if (fault.body === undefined) wellFormed(Buffer.concat(out).toString() + end, request)
}

function wellFormed(text: string, { streamed }: AdmittedRequest): void {
  if (!streamed) {
    JSON.parse(text)
    return
  }
  for (const event of text.split(/\r\n\r\n|\n\n|\r\r/)) {
    const data = event
      .split(/\r\n|\n|\r/)
      .find((line) => line.startsWith('data: '))
      ?.slice(6)
    if (data && data !== '[DONE]') JSON.parse(data)
  }
}
