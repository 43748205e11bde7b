import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Prepared, prepare } from '../../data-plane/attempt.ts'
import type { RunningBudget } from '../../data-plane/budgets/book.ts'
import type { AdmittedRequest, PassingDialect } from '../../data-plane/codecs/codec.ts'
import { dialects, wireTo } from '../../data-plane/codecs/index.ts'
import { price } from '../../data-plane/pricing.ts'
import type { Reading } from '../../data-plane/reading.ts'
import type { Target } from '../../data-plane/routing/target.ts'
import type { RateCard, RateTable, RunningModel } from '../../data-plane/snapshot/running.ts'
import { type Codec, type Meter, meters } from '../../schema/config/index.ts'
import { isRefusal, type Refusal } from '../../schema/refusals.ts'

const bounds = { tokensPerMessage: 16, tokensPerTool: 64, tokensPerImage: 1_000, tokensPerPage: null }
const hard = { of: { id: 'bdg_1', isHard: true } as RunningBudget, subject: null }

function targetOf(dialect: PassingDialect, protocol: Codec, rates: RateCard, model: Partial<RunningModel>): Target {
  const provider = {
    platform: 'OPENAI',
    codecs: new Set([protocol]),
    apiVersion: null,
    headers: {},
    forwardHeaders: [],
  }
  const running = {
    ...{ id: 'mdl_1', name: 'gpt-test', region: null, contextTokens: 50_000, maxOutputTokens: 900 },
    ...{ defaultOutputTokens: null, reasoning: false, bounds: { ...bounds, tokensPerAudioSecond: null } },
    ...{ rateHistory: [rates], ceilingHistory: [], upstreamPrefix: null, provider: provider as never },
    ...model,
  } as unknown as RunningModel
  const operation = operationOf(dialect)
  const wire = wireTo(running.provider, dialect, operation)!
  return { model: running, credential: null, weight: 1, upstreamName: 'gpt-test', wire, key: 'k', tries: 0 }
}

const operationOf = ({ name }: PassingDialect) =>
  name === 'OPENAI_EMBEDDINGS' ? 'embed' : name === 'OPENAI_COMPLETIONS' ? 'complete' : 'generate'

function prepared(
  dialect: PassingDialect,
  target: Target,
  body: object,
  capped: number | null = null,
): Prepared | Refusal {
  const named = dialect.name === 'GEMINI_GENERATE' ? { model: 'house', streamed: false } : {}
  const request = dialect.admit(JSON.stringify(body), { operation: operationOf(dialect), query: '', ...named })
  if (isRefusal(request)) return request
  const trying = { admitted: request as AdmittedRequest, allowLossy: true, clientHeaders: new Headers(), atMs: 1 }
  return prepare(target, trying, [hard], capped === null ? null : { budget: 'bdg_1', outputTokens: capped })
}

const rate = fc.bigInt({ min: 0n, max: 10n ** 9n })
const rates = fc.uniqueArray(fc.tuple(fc.constantFrom(...meters), rate), {
  selector: ([meter]) => meter,
  minLength: 3,
})
const table = fc.record({
  rates: rates.map((list) => new Map(list)),
  steps: fc.array(
    fc.record({ aboveInputTokens: fc.integer({ min: 1, max: 2_000 }), rates: rates.map((l) => new Map(l)) }),
    { maxLength: 2 },
  ),
}) as fc.Arbitrary<RateTable>
const tierNames = ['priority', 'flex', 'fast', 'us'] as const
const card: fc.Arbitrary<RateCard> = fc.record({
  sheet: fc.constant('prs_1'),
  effectiveFromMs: fc.constant(0),
  standard: table.map(({ steps, ...rest }) => ({
    ...rest,
    steps: [...steps].sort((a, b) => b.aboveInputTokens - a.aboveInputTokens),
  })),
  tiers: fc.array(fc.tuple(fc.constantFrom(...tierNames), table), { maxLength: 3 }).map((list) => new Map(list)),
})

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((one) => one.toWellFormed())
const count = fc.oneof(
  fc.integer({ min: 1, max: 2_000 }),
  fc.constantFrom(-1, 0, 1.5, 1e12, 2 ** 60, '7', null, true, 1e308),
)
const choices = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.constantFrom(-3, 0, 129, 1e9, '2', null))
const tier = fc.constantFrom('auto', 'default', 'flex', 'priority', 'fast', 'standard_only', 'scale', null)
const maybe = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined, freq: 2 })
const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }
const tools = fc.constantFrom(
  [],
  [{ type: 'function', name: 'f', function: { name: 'f', parameters: {} } }],
  [{ type: 'web_search' }],
  [{ name: 'g', input_schema: { type: 'object' } }],
  [{ type: 'web_search_20250305', name: 'web_search' }],
  [{ functionDeclarations: [{ name: 'h' }] }],
  [{ googleSearch: {} }],
)
const content = fc.oneof(
  text,
  fc.array(
    fc.oneof(
      text.map((one) => ({ type: 'text', text: one })),
      fc.constant(image),
    ),
    { maxLength: 4 },
  ),
)
const messages = fc.array(fc.record({ role: fc.constantFrom('user', 'assistant'), content }), {
  minLength: 1,
  maxLength: 4,
})

const bodies: Record<string, fc.Arbitrary<object>> = {
  OPENAI_CHAT: fc.record({
    ...{ model: fc.constant('house'), messages, max_tokens: maybe(count), max_completion_tokens: maybe(count) },
    ...{ n: maybe(choices), tools: maybe(tools), service_tier: maybe(tier), best_of: maybe(choices) },
    modalities: maybe(fc.constantFrom(['text'], ['text', 'audio'])),
    web_search_options: maybe(fc.constant({})),
  }),
  OPENAI_RESPONSES: fc.record({
    ...{ model: fc.constant('house'), input: text, instructions: maybe(text), max_output_tokens: maybe(count) },
    ...{ service_tier: maybe(tier), tools: maybe(tools), background: maybe(fc.boolean()) },
    ...{ previous_response_id: maybe(fc.constant('resp_1')), prompt: maybe(fc.constant({ id: 'pmpt_1' })) },
  }),
  OPENAI_COMPLETIONS: fc.record({
    ...{ model: fc.constant('house'), prompt: fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 })) },
    ...{ max_tokens: maybe(count), n: maybe(choices), best_of: maybe(choices), suffix: maybe(text) },
  }),
  OPENAI_EMBEDDINGS: fc.record({
    ...{ model: fc.constant('house'), input: fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 3 })) },
  }),
  ANTHROPIC_MESSAGES: fc.record({
    ...{ model: fc.constant('house'), messages, max_tokens: maybe(count), system: maybe(text), tools: maybe(tools) },
    ...{ service_tier: maybe(tier), speed: maybe(fc.constantFrom('fast', 'standard')) },
    ...{ inference_geo: maybe(fc.constantFrom('us', 'global')), mcp_servers: maybe(fc.constantFrom([], [{}])) },
    thinking: maybe(
      fc.integer({ min: 1_024, max: 4_000 }).map((budget_tokens) => ({ type: 'enabled', budget_tokens })),
    ),
  }),
  GEMINI_GENERATE: fc.record({
    contents: fc.array(fc.record({ parts: fc.array(fc.record({ text }), { maxLength: 3 }) }), { maxLength: 3 }),
    generationConfig: maybe(
      fc.record({
        ...{ maxOutputTokens: maybe(count), candidateCount: maybe(choices) },
        responseModalities: maybe(fc.constantFrom(['TEXT'], ['AUDIO'], ['IMAGE'])),
      }),
    ),
    ...{ tools: maybe(tools), serviceTier: maybe(tier), cachedContent: maybe(fc.constant('cachedContents/1')) },
  }),
}

type Sent = Record<string, never>

/** What limits the output in a body as a provider reads it: the limit, and how many answers it is for. */
function outputOf(protocol: Codec, sent: Sent): number {
  const { generationConfig: config = {}, inferenceConfig = {} } = sent as Record<string, Record<string, number>>
  const body = sent as Record<string, number>
  const prompt: unknown = sent.prompt
  const limits: Partial<Record<Codec, () => number>> = {
    OPENAI_CHAT: () => Math.max(body.max_completion_tokens ?? 0, body.max_tokens ?? 0) * (body.n ?? 1),
    OPENAI_RESPONSES: () => body.max_output_tokens!,
    OPENAI_COMPLETIONS: () =>
      body.max_tokens! * Math.max(body.n ?? 1, body.best_of ?? 1) * (Array.isArray(prompt) ? prompt.length : 1),
    OPENAI_EMBEDDINGS: () => 0,
    ANTHROPIC_MESSAGES: () => body.max_tokens!,
    GEMINI_GENERATE: () => config!.maxOutputTokens! * (config!.candidateCount ?? 1),
    BEDROCK_CONVERSE: () => inferenceConfig!.maxTokens!,
  }
  return limits[protocol]!()
}

const promptMembers = 'messages system input instructions prompt suffix contents systemInstruction tools'.split(' ')
const unseenMembers = ['previous_response_id', 'cachedContent']

/** The most input that a provider can count of what it was sent, told apart from how ceilings are made. */
function inputOf(sent: Sent, context: number): number {
  if (unseenMembers.some((name) => sent[name] != null)) return context
  let tokens = 0
  const visit = (value: unknown, isImage: boolean): void => {
    if (typeof value === 'string' && !isImage) tokens += Buffer.byteLength(value)
    if (typeof value !== 'object' || value === null) return
    const type = (value as { type?: string }).type ?? ''
    const holds = /image/.test(type)
    if (holds) tokens += bounds.tokensPerImage
    for (const [key, inner] of Object.entries(value))
      if (!['role', 'type'].includes(key)) visit(inner, isImage || holds)
  }
  for (const name of promptMembers) visit(sent[name], false)
  return Math.min(tokens, context)
}

const inputMeters: Meter[] = ['INPUT_TOKENS', 'CACHED_INPUT_TOKENS', 'CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS']
const outputMeters: Meter[] = ['OUTPUT_TOKENS', 'REASONING_TOKENS']

/** The tiers that a provider may say it billed, for a request that asks as this one does. */
function tiersOf(protocol: Codec, sent: Sent): (string | undefined)[] {
  const { service_tier: asked, serviceTier, speed, inference_geo: geo } = sent as Record<string, string | undefined>
  if (protocol === 'BEDROCK_CONVERSE') return [undefined]
  if (protocol === 'GEMINI_GENERATE') return [undefined, serviceTier?.toLowerCase()]
  if (protocol === 'ANTHROPIC_MESSAGES') {
    if (speed === 'fast') return [undefined, 'fast']
    if (geo === 'us') return ['us', undefined]
    return [undefined, ...(asked === 'standard_only' ? [] : ['priority'])]
  }
  if (asked === 'default') return [undefined]
  return [
    undefined,
    ...(asked == null || asked === 'auto' ? ['priority', 'flex'] : [asked === 'fast' ? 'priority' : asked]),
  ]
}

const pairs = dialects.flatMap((dialect) => {
  const translated: Codec[] = [
    'OPENAI_CHAT',
    'OPENAI_RESPONSES',
    'ANTHROPIC_MESSAGES',
    'GEMINI_GENERATE',
    'BEDROCK_CONVERSE',
  ]
  const spoken = operationOf(dialect) === 'generate' ? translated : [dialect.name]
  return spoken.map((protocol) => [dialect.name, protocol, dialect] as const)
})

describe.each(pairs)('%s to %s, under a hard budget', (name, protocol, dialect) => {
  const model = fc.record({
    contextTokens: fc.constantFrom(50_000, null),
    maxOutputTokens: fc.constantFrom(900, null),
    defaultOutputTokens: fc.constantFrom(300, null),
  })
  const capped = fc.constantFrom(null, null, 64, 2_000)
  const mix = fc.tuple(
    fc.constantFrom(...inputMeters),
    fc.constantFrom(...outputMeters),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )

  it('is refused by name, or costs at its extreme no more than what is reserved', () => {
    let served = 0
    fc.assert(
      fc.property(bodies[name]!, card, model, capped, mix, (body, rateCard, limits, cap, [input, output, part]) => {
        const target = targetOf(dialect, protocol, rateCard, limits as Partial<RunningModel>)
        const attempt = prepared(dialect, target, body, cap)
        if (isRefusal(attempt)) {
          expect(['malformed_request', 'unsupported_feature']).toContain(attempt.refused)
          if (attempt.refused === 'unsupported_feature') expect(attempt.param).toBeTruthy()
          return
        }
        served++
        const sent: Sent = JSON.parse(attempt.request.body)
        const outputs = outputOf(protocol, sent)
        expect(outputs).not.toBeNaN()
        expect(outputs).toBeLessThanOrEqual(attempt.ceiling.outputTokens!)
        const inputs = inputOf(sent, limits.contextTokens ?? Number.POSITIVE_INFINITY)
        expect(inputs).toBeLessThanOrEqual(attempt.ceiling.inputTokens)
        const first = Math.floor(inputs * part)
        const readings: Reading[] = [
          { meter: input, quantity: first, source: 'REPORTED' },
          { meter: 'INPUT_TOKENS', quantity: inputs - first, source: 'REPORTED' },
          { meter: output, quantity: outputs, source: 'REPORTED' },
        ]
        for (const billed of tiersOf(protocol, sent))
          expect(price(attempt.prices, readings, billed).cost <= attempt.cost).toBe(true)
      }),
      { numRuns: 150 },
    )
    expect(served).toBeGreaterThan(5)
  })
})
