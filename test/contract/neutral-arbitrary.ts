import fc from 'fast-check'
import type {
  FilePart,
  ImagePart,
  NeutralEvent,
  NeutralRequest,
  Part,
  TextPart,
  Thought,
  ToolCall,
  Turn,
} from '../../data-plane/codecs/neutral.ts'
import type { Reading } from '../../data-plane/reading.ts'
import type { Codec } from '../../schema/config/index.ts'

/** Words with all that texts hold: quotes, line ends, several scripts, halves of nothing. */
const text = fc
  .string({
    unit: fc.constantFrom('a', 'Z', ' ', '\n', '"', '\\', 'é', '漢', '🙂', ':', '{', '</', '\u2028'),
    minLength: 1,
    maxLength: 12,
  })
  .map((made) => `w${made}`)
const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,10}$/)
const base64 = fc.uint8Array({ minLength: 3, maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const args = fc
  .dictionary(name, fc.oneof(text, fc.integer(), fc.boolean()), { maxKeys: 3 })
  .map((value) => JSON.stringify(value))

const textPart: fc.Arbitrary<TextPart> = text.map((made) => ({ type: 'text', text: made }))
const imagePart: fc.Arbitrary<ImagePart> = base64.map((data) => ({
  type: 'image',
  source: { kind: 'data', mediaType: 'image/png', data },
}))
const filePart: fc.Arbitrary<FilePart> = fc.record({
  type: fc.constant('file' as const),
  source: base64.map((data) => ({ kind: 'data' as const, mediaType: 'application/pdf', data })),
  name: fc.constant('paper.pdf'),
})

/** One exchange of the conversation: what the user says, and what came back, with the results of its calls. */
function round(codec: Codec, index: number): fc.Arbitrary<Turn[]> {
  const thought: fc.Arbitrary<Thought> = fc.record({ text, value: base64 }).map((made) => ({
    ...{ type: 'thought', text: made.text, encrypted: codec === 'OPENAI_RESPONSES' },
    signature: { from: codec, value: codec === 'OPENAI_RESPONSES' ? `rs_${index} ${made.value}` : made.value },
  }))
  const call = (at: number): fc.Arbitrary<ToolCall> =>
    fc.record({
      type: fc.constant('toolCall' as const),
      id: fc.constant(`call_${index}_${at}`),
      name: fc.constant(`tool_${at}`),
      arguments: args,
    })
  return fc
    .record({
      said: fc.array(fc.oneof({ weight: 4, arbitrary: textPart }, imagePart, filePart), { minLength: 1, maxLength: 3 }),
      thoughts: fc.array(thought, { maxLength: 1 }),
      answered: textPart,
      calls: fc.oneof(fc.constant([]), fc.tuple(call(0)), fc.tuple(call(0), call(1))),
      results: fc.array(textPart, { minLength: 2, maxLength: 2 }),
    })
    .map(({ said, thoughts, answered, calls, results }) => {
      const turns: Turn[] = [
        { role: 'user', parts: said },
        { role: 'assistant', parts: [...thoughts, answered, ...calls] },
      ]
      const answers: Part[] = calls.map((made, at) => ({
        ...{ type: 'toolResult', id: made.id, name: null, isError: false },
        parts: [results[at]!],
      }))
      return calls.length > 0 ? [...turns, { role: 'user', parts: answers }] : turns
    })
}

/** Requests that hold what the neutral form holds; thoughts are signed by the protocol that is tested. */
export function neutralRequest(codec: Codec): fc.Arbitrary<NeutralRequest> {
  const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null })
  const schema = fc.constant({
    type: 'object',
    properties: { city: { type: 'string', description: 'Where' }, days: { type: 'integer' } },
    required: ['city'],
    additionalProperties: false,
  })
  return fc.record({
    streamed: fc.boolean(),
    system: fc.array(textPart, { maxLength: 1 }),
    turns: fc
      .tuple(round(codec, 0), fc.option(round(codec, 1), { nil: [] }), textPart)
      .map(([first, second, last]): Turn[] => [...first, ...second, { role: 'user', parts: [last] }]),
    tools: fc.constant(
      [0, 1].map((at) => ({
        ...{ name: `tool_${at}`, description: 'Does "it"', strict: null },
        parameters: { type: 'object', properties: { q: { type: 'string' } }, required: ['q'] },
      })),
    ),
    toolChoice: fc.constantFrom('auto' as const, 'none' as const, 'required' as const, { name: 'tool_0' }),
    parallelToolCalls: fc.constantFrom(null, false),
    output: fc.oneof(
      fc.constant({ type: 'text' as const }),
      schema.map((made) => ({
        type: 'schema' as const,
        name: 'answer',
        description: null,
        schema: made,
        strict: null,
      })),
    ),
    sampling: fc.record({
      temperature: orNull(fc.constantFrom(0, 0.5, 1)),
      topP: orNull(fc.constantFrom(0.25, 1)),
      topK: orNull(fc.constantFrom(1, 40)),
      seed: orNull(fc.nat(1000)),
      presencePenalty: orNull(fc.constantFrom(0.5)),
      frequencyPenalty: orNull(fc.constantFrom(0.5)),
    }),
    maxOutputTokens: fc.integer({ min: 16, max: 900 }),
    stop: fc.array(name, { maxLength: 2 }),
    choices: fc.constant(1),
    reasoning: fc.constant({ effort: null, budgetTokens: null, shown: null }),
    logprobs: fc.constant(null),
    user: orNull(name),
    foreign: fc.constant([]),
    incidental: fc.constant([]),
  })
}

/** Answers as events: a thought, texts, calls with their arguments in pieces, how it ends, what it used. */
export const neutralAnswer: fc.Arbitrary<NeutralEvent[]> = fc
  .record({
    thoughts: fc.array(text, { maxLength: 2 }),
    texts: fc.array(text, { maxLength: 4 }),
    calls: fc.array(args, { maxLength: 3 }),
    ended: fc.constantFrom('stop' as const, 'length' as const),
    usage: fc.tuple(fc.nat(500), fc.nat(500), fc.nat(500), fc.nat(500)),
  })
  .filter(({ texts, calls }) => texts.length + calls.length > 0)
  .map(({ thoughts, texts, calls, ended, usage }) => [
    { type: 'start', id: 'x1', model: 'm-1', createdS: 1_700_000_000 },
    ...thoughts.map((made): NeutralEvent => ({ type: 'thought', choice: 0, text: made })),
    ...texts.map((made): NeutralEvent => ({ type: 'text', choice: 0, text: made })),
    ...calls.flatMap((made, call): NeutralEvent[] => [
      { type: 'toolCall', choice: 0, call, id: `call_${call}`, name: `tool_${call}` },
      ...pieces(made).map((json): NeutralEvent => ({ type: 'arguments', choice: 0, call, json })),
    ]),
    { type: 'finish', choice: 0, reason: calls.length > 0 ? 'tool_calls' : ended },
    { type: 'usage', readings: readings(usage) },
  ])

const pieces = (json: string) => [json.slice(0, 3), json.slice(3)].filter((piece) => piece !== '')

function readings([input, cached, output, reasoning]: [number, number, number, number]): Reading[] {
  const meters = [
    ['INPUT_TOKENS', input],
    ['CACHED_INPUT_TOKENS', cached],
    ['OUTPUT_TOKENS', output],
    ['REASONING_TOKENS', reasoning],
  ] as const
  return meters.map(([meter, quantity]) => ({ meter, quantity, source: 'REPORTED' }))
}
