import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AnswerReader, Dialect, Protocol } from '../../data-plane/codecs/codec.ts'
import { isFault, isTranslatable } from '../../data-plane/codecs/codec.ts'
import { dialects, protocols } from '../../data-plane/codecs/index.ts'
import type { Feature, NeutralEvent, NeutralRequest, Part, Turn } from '../../data-plane/codecs/neutral.ts'
import { retold } from '../../data-plane/codecs/translated.ts'
import type { RunningModel } from '../../data-plane/snapshot/running.ts'
import { isRefusal } from '../../schema/refusals.ts'
import { neutralAnswer, neutralRequest } from './neutral-arbitrary.ts'

const model = {
  ...{ contextTokens: 100_000, maxOutputTokens: 4_000, defaultOutputTokens: null, region: null },
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
const call = { operation: 'generate' as const, query: '' }

const bothSides = dialects.flatMap((dialect) => {
  const protocol = protocols.find(({ name }) => name === dialect.name)
  return protocol && isTranslatable(dialect) ? [{ name: dialect.name, dialect, protocol }] : []
})

/** Turns of one speaker that follow each other are one, and what the protocol said that it lost is left out. */
function canonical(request: NeutralRequest, lost: ReadonlySet<Feature>) {
  const turns: Turn[] = []
  for (const { role, parts } of request.turns) {
    const kept = parts.flatMap((part) => canonicalPart(part, lost))
    const last = turns.at(-1)
    if (last?.role === role) last.parts.push(...kept)
    else turns.push({ role, parts: kept })
  }
  const { sampling, streamed, tools, output, stop, maxOutputTokens, toolChoice, parallelToolCalls, user } = request
  return {
    ...{ streamed, turns, maxOutputTokens, user: lost.has('user') ? null : user },
    system: request.system.map(({ text }) => text).join('\n\n'),
    tools: tools.map(({ strict: _, ...tool }) => tool),
    output: output.type === 'schema' && !lost.has('schema') ? { schema: output.schema } : output.type,
    stop: lost.has('stop') ? [] : stop,
    toolChoice: lost.has('toolChoice') ? 'auto' : toolChoice,
    // Of calls that are not to be made nothing can be said.
    parallelToolCalls: lost.has('parallelToolCalls') || toolChoice === 'none' ? null : parallelToolCalls,
    sampling: Object.fromEntries(
      Object.entries(sampling).map(([name, value]) => [
        name,
        lost.has(name as Feature) || isDefault(name, value) ? null : value,
      ]),
    ),
  }
}

/** What holds anyway need not be said: some models refuse even that. */
const isDefault = (name: string, value: unknown) => value === 1 && (name === 'temperature' || name === 'topP')

function canonicalPart(part: Part, lost: ReadonlySet<Feature>): Part[] {
  if (part.type === 'thought' && lost.has('signatures')) return []
  if (part.type === 'toolResult') return [{ ...part, name: null }]
  if (part.type === 'toolCall') return [{ ...part, arguments: JSON.stringify(JSON.parse(part.arguments)) }]
  if (part.type === 'file') return lost.has('files') ? [] : [{ ...part, name: null }]
  return [part]
}

/** Pieces of one thing are joined; ids and times are each protocol's own. */
function joined(events: readonly NeutralEvent[]) {
  const out: unknown[][] = []
  for (const event of events) {
    if (event.type === 'start' || event.type === 'foreign') continue
    const last = out.at(-1)
    if (event.type === 'text' || event.type === 'thought') {
      if (last?.[0] === event.type) last[1] += event.text
      else out.push([event.type, event.text])
    } else if (event.type === 'toolCall') out.push(['call', event.name, ''])
    else if (event.type === 'arguments') last![2] += event.json
    else if (event.type === 'finish') out.push(['finish', event.reason])
    else if (event.type === 'usage')
      out.push([
        'usage',
        event.readings.filter(({ quantity }) => quantity > 0).map(({ meter, quantity }) => [meter, quantity]),
      ])
  }
  return out.map((each) => (each[0] === 'call' ? [...each.slice(0, 2), JSON.parse((each[2] as string) || '{}')] : each))
}

function admit(dialect: Dialect, streamed: boolean) {
  const protocol = protocols.find(({ name }) => name === dialect.name)!
  const plain: NeutralRequest = {
    ...{
      streamed,
      system: [],
      turns: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
      tools: [],
      toolChoice: 'auto',
    },
    ...{
      parallelToolCalls: null,
      output: { type: 'text' },
      maxOutputTokens: 100,
      stop: [],
      choices: 1,
      logprobs: null,
    },
    sampling: { temperature: null, topP: null, topK: null, seed: null, presencePenalty: null, frequencyPenalty: null },
    ...{ reasoning: { effort: null, budgetTokens: null, shown: true }, user: null, foreign: [], incidental: [] },
  }
  const { body, path } = protocol.encode(plain, target)
  const query = path.split('?')[1] ?? ''
  const admitted = dialect.admit(body, { ...call, model: 'upstream-model', streamed, query })
  if (isRefusal(admitted)) throw new Error(admitted.detail)
  return admitted
}

function readAll(reader: AnswerReader, bytes: Uint8Array, cuts: readonly number[]): NeutralEvent[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  const events: NeutralEvent[] = []
  for (let at = 1; at < places.length; at++) {
    const read = reader.push(bytes.subarray(places[at - 1], places[at]))
    if (isFault(read)) throw new Error(JSON.stringify(retold(read)))
    events.push(...read)
  }
  const rest = reader.end()
  if (isFault(rest)) throw new Error(JSON.stringify(retold(rest)))
  return [...events, ...rest]
}

function written(dialect: Dialect, events: NeutralEvent[], streamed: boolean): Uint8Array {
  const writer = dialect.writer(admit(dialect, streamed))
  return Buffer.concat([...events.flatMap((event) => writer.write([event])), ...writer.end()])
}

describe.each(bothSides)(
  '$name',
  ({ name, dialect, protocol }: { name: string; dialect: Dialect; protocol: Protocol }) => {
    it('brings back every request that it writes, but for what it says that it loses', () => {
      fc.assert(
        fc.property(neutralRequest(dialect.name), (request) => {
          const { body, lost, path } = protocol.encode(request, target)
          const admitted = dialect.admit(body, {
            ...call,
            model: 'upstream-model',
            streamed: request.streamed,
            query: path.split('?')[1] ?? '',
          })
          if (isRefusal(admitted)) throw new Error(JSON.stringify(admitted))
          const again = dialect.neutral(admitted)
          if (isRefusal(again)) throw new Error(JSON.stringify(again))
          expect(again.foreign).toEqual([])
          expect(canonical(again, new Set(lost))).toEqual(canonical(request, new Set(lost)))
        }),
        { numRuns: 200 },
      )
    })
    it.each([true, false])('brings back every answer that it tells, however it is cut (streamed: %s)', (streamed) => {
      fc.assert(
        fc.property(neutralAnswer, fc.array(fc.nat(5_000), { maxLength: 6 }), (events, cuts) => {
          const bytes = written(dialect, events, streamed)
          expect(joined(readAll(protocol.reader(streamed), bytes, cuts))).toEqual(joined(events))
        }),
        { numRuns: 200 },
      )
    })
    it('gives the same events for a stream that is cut at every byte', () => {
      const [events] = fc.sample(neutralAnswer, { numRuns: 1, seed: 7 })
      const bytes = written(dialect, events!, true)
      const whole = joined(readAll(protocol.reader(true), bytes, []))
      for (let cut = 1; cut < bytes.length; cut++)
        expect([name, cut, joined(readAll(protocol.reader(true), bytes, [cut]))]).toEqual([name, cut, whole])
    })
    it('never takes a stream that ends too early for an answer', () => {
      const bytes = written(dialect, fc.sample(neutralAnswer, { numRuns: 1, seed: 7 })[0]!, true)
      // The last bytes of some protocols say nothing that was not said.
      for (let length = 0; length < bytes.length * 0.6; length++) {
        const reader = protocol.reader(true)
        const read = reader.push(bytes.subarray(0, length))
        expect([length, isFault(read) || isFault(reader.end())]).toEqual([length, true])
      }
    })
  },
)
