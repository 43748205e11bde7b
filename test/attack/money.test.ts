import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { parseAmount } from '../../schema/money.ts'
import { hello, startGateway, type TestGateway } from '../flow/gateway.ts'
import { type Answer, answers, comment, raw } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

/** What a provider does, and what design/ledger.md ("Post") makes of it for a request of this kind. */
interface Deed {
  name: string
  script: Answer
  /** At 10⁻¹², by whether the request was streamed. */
  cost: (streamed: boolean) => bigint
  /** Whether another target is tried after it. */
  retried: boolean
}

const input = 150_000n
const output = 600_000n
const inputBound = BigInt(16 + 'user'.length + 'Hello'.length)
const outputBound = 1_000n
const ceiling = input * inputBound + output * outputBound
const seen = (bytes: number) => input * inputBound + output * BigInt(Math.min(bytes, Number(outputBound)))
const reported = (prompt: number, completion: number) => input * BigInt(prompt) + output * BigInt(completion)

const counts = fc.nat({ max: 1e9 })
const wrongUsage = fc.constantFrom<object>(
  { prompt_tokens: -1, completion_tokens: 1 },
  { prompt_tokens: '5', completion_tokens: 7 },
  { prompt_tokens: 2 ** 53 + 2, completion_tokens: 7 },
  { prompt_tokens: 1, completion_tokens: 1e12 },
  { prompt_tokens: 1, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 2 } },
  { completion_tokens: 4 },
)
const words = fc.array(fc.constantFrom('a', 'wörd ', '😀', 'long '.repeat(60)), { minLength: 1, maxLength: 8 })
const chunkOf = (content: string) => ({ choices: [{ delta: { content } }] })
const bytesOf = (list: string[]) => list.reduce((sum, text) => sum + Buffer.byteLength(text), 0)

const deeds: fc.Arbitrary<Deed> = fc.oneof(
  fc.tuple(counts, counts, words).map(([prompt, completion, text]) => ({
    name: `usage ${prompt}/${completion}`,
    script: answers.chat({ text, usage: { prompt_tokens: prompt, completion_tokens: completion } }),
    cost: () => reported(prompt, completion),
    retried: false,
  })),
  fc.tuple(counts, fc.double({ min: 0, max: 1, noNaN: true }), counts).map(([prompt, part, completion]) => ({
    name: `cached of ${prompt}`,
    script: answers.chat({
      text: 'x',
      usage: {
        prompt_tokens: prompt,
        completion_tokens: completion,
        prompt_tokens_details: { cached_tokens: Math.floor(prompt * part) },
        completion_tokens_details: { reasoning_tokens: Math.floor(completion * part) },
      },
    }),
    cost: () => reported(prompt, completion),
    retried: false,
  })),
  fc.tuple(wrongUsage, words).map(([usage, text]) => ({
    name: `usage ${JSON.stringify(usage)}`,
    script: answers.chat({ text, usage: usage as never }),
    cost: (streamed: boolean) => (streamed ? seen(bytesOf(text)) : ceiling),
    retried: false,
  })),
  words.map((text) => ({
    name: 'no usage',
    script: answers.chat({ text, usage: null }),
    cost: (streamed: boolean) => (streamed ? seen(bytesOf(text)) : ceiling),
    retried: false,
  })),
  fc.constantFrom(400, 404, 422, 429).map((status) => ({
    name: String(status),
    script: answers.error(status, 'no'),
    cost: () => 0n,
    retried: status === 429,
  })),
  fc.constantFrom(500, 502, 503).map((status) => ({
    name: String(status),
    script: answers.error(status, 'no'),
    cost: (streamed: boolean) => (streamed ? seen(0) : ceiling),
    retried: true,
  })),
  // The pause lets what was sent be read: bytes that a reset overtakes are not seen.
  words.map((text) => ({
    name: 'breaks off within',
    script: answers
      .sse([raw(text.map((each) => `data: ${JSON.stringify(chunkOf(each))}\n\n`).join('')), comment('x')])
      .chunkDelayMs(30)
      .thenBreak(),
    cost: (streamed: boolean) => (streamed ? seen(bytesOf(text)) : ceiling),
    retried: false,
  })),
  fc.constantFrom('', '{}', '<html>', '{"choices":[]}', 'null', '[]', '7').map((text) => ({
    name: `200 ${text}`,
    script: answers.bytes(text),
    cost: (streamed: boolean) => (streamed ? seen(0) : ceiling),
    retried: true,
  })),
  fc.tuple(counts, counts, fc.nat({ max: 5 })).map(([prompt, completion, times]) => ({
    name: 'usage in every chunk',
    script: answers.sse([
      ...Array.from({ length: times + 1 }, (_, at) => ({
        ...chunkOf('ab'),
        usage: { prompt_tokens: prompt, completion_tokens: at === times ? completion : 0 },
      })),
      { choices: [{ delta: {}, finish_reason: 'stop' }] },
      '[DONE]',
    ]),
    cost: (streamed: boolean) => (streamed ? reported(prompt, completion) : ceiling),
    retried: false,
  })),
)

let upstream: ScriptedUpstream
let gateway: TestGateway
let count = 0

beforeAll(async () => {
  upstream = await scriptedUpstream()
  const breaker = { failures: 1e9, windowMs: 1, coolDownMs: 1 }
  const retry = { attempts: 3, backoffMs: 0 }
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, targets: ['t0', 't1', 't2'], retry, breaker })
})
afterAll(async () => {
  expect(gateway.faults).toEqual([])
  await gateway.stop()
  await upstream.stop()
})

async function recordOf(script: Deed[], streamed: boolean): Promise<FlightRecord> {
  for (const [at, { script: answer }] of script.entries()) upstream.on(`t${at}`, answer)
  await gateway.chat({ ...hello, stream: streamed }).then((answer) => answer.text())
  return (await gateway.records(++count)).at(-1)!
}

/** A plain request that is answered with events, or the other way round, is no answer: it is tried again elsewhere. */
function attemptsOf(script: Deed[], streamed: boolean): Deed[] {
  const made: Deed[] = []
  for (const deed of script) {
    made.push(deed)
    const wrongForm = !streamed && /every chunk|breaks off/.test(deed.name)
    if (!deed.retried && !wrongForm) break
  }
  return made
}

describe('whatever three providers do', () => {
  it('a record costs the sum of its meters, and what the rules say', async () => {
    const runs = fc.asyncProperty(fc.tuple(deeds, deeds, deeds), fc.boolean(), async (script, streamed) => {
      const record = await recordOf(script, streamed)
      const metered = record.meters.reduce((sum, { cost }) => sum + parseAmount(cost)!, 0n)
      const made = attemptsOf(script, streamed)
      const ruled = made.reduce((sum, { cost }) => sum + cost(streamed), 0n)
      const cost = parseAmount(record.cost)
      expect([cost, record.attempts.length]).toEqual([metered, made.length])
      expect(cost, made.map(({ name }) => name).join(' → ')).toBe(ruled)
    })
    await fc.assert(runs, { numRuns: 120 })
  })
})
