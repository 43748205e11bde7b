import fc from 'fast-check'
import type {
  SnapshotCondition,
  SnapshotConfig,
  SnapshotPolicy,
  SnapshotRoutingPolicy,
  SnapshotScope,
} from '../../schema/snapshot.ts'

/** Configurations of a few models, with policies, labels and prices that get in each other's way. Ids are short and fixed. */
export const randomConfig: fc.Arbitrary<SnapshotConfig> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 3 }))
  .chain(([models, aliases]) =>
    fc.record({
      schemaVersion: fc.constant(1 as const),
      tenant: fc.constant({ id: 'ten_1', name: 'acme', currency: 'USD', maxStalenessMs: 86_400_000 }),
      revision: fc.integer({ min: 1, max: 9 }),
      grants: grant(aliases).map((one) => [one]),
      aliases: fc.tuple(...Array.from({ length: aliases }, (_, at) => alias(at))),
      routes: fc.tuple(...Array.from({ length: aliases }, () => route(models))),
      models: fc.tuple(...Array.from({ length: models }, (_, at) => model(at))),
      providers: fc.tuple(provider(0), provider(1)),
      credentials: fc.constant([]),
      priceSheets: priceSheets(models),
      tiers: fc.subarray(range(models)).map((some) => [{ id: 'tir_1', name: 'small', rank: 1, models: some }]),
      requestLabels: fc
        .record({ required: rarely(fc.constant(true), 5), values: maybe(fc.constant<string[]>(['a', 'b']), 2) })
        .map((some) => [
          {
            key: 'case',
            from: ['metadata.case'],
            maxValues: 2,
            subject: false,
            ...some,
            required: some.required ?? false,
          },
        ]),
      policies: fc
        .array(policy(models, aliases), { maxLength: 4 })
        .map((some) => some.map((one, at) => ({ ...one, id: `pol_${at}` }))),
      budgets: fc.constant<SnapshotConfig['budgets']>([]),
      rateLimits: fc.constant<SnapshotConfig['rateLimits']>([]),
    }),
  )

/** The base URL is filled in by who runs it. */
const provider = (at: number) =>
  fc.record({ region: maybe(region()), selfHosted: fc.boolean() }).map((some): SnapshotConfig['providers'][number] => ({
    ...{ id: `prv_${at}`, name: `provider-${at}`, platform: 'OPENAI_COMPATIBLE', codecs: ['OPENAI_CHAT'] },
    ...{ baseUrl: '', apiVersion: null, headers: {}, forwardHeaders: [], proxy: null, caBundle: null, ...some },
  }))

const model = (at: number) =>
  fc
    .record({ provider: fc.nat(1), region: maybe(region()), maxOutputTokens: maybe(fc.constant(1_000)) })
    .map((some): SnapshotConfig['models'][number] => ({
      ...{ id: `mdl_${at}`, name: `model-${at}`, upstreamName: `up-${at}`, contextTokens: 8_000 },
      ...{ defaultOutputTokens: null, reasoning: false, ...some },
      bounds: {
        ...{ tokensPerMessage: 16, tokensPerTool: 64, tokensPerImage: 500, tokensPerPage: null },
        tokensPerAudioSecond: null,
      },
    }))

const alias = (at: number) =>
  fc
    .record({ deprecation: rarely(fc.constant({ sinceMs: 0, removeAfterMs: 1, use: null }), 20) })
    .map((some) => ({ id: `als_${at}`, name: `alias-${at}`, route: at, allowLossy: false, ...some }))

/** What a running gateway learns of its targets nobody can say beforehand, so LEAST_LATENCY is not among them. */
const strategy = fc.constantFrom('PRIORITY', 'WEIGHTED', 'LEAST_COST', 'BY_TASK')

const task = fc.constantFrom<SnapshotCondition>(
  ...[{ tools: true }, { images: true }, { images: false, streamed: true }, { requestLabels: { case: 'a' } }],
  { minInputTokens: 200 },
)

/** With WEIGHTED at most one target has a weight, so that lots decide nothing. */
const route = (models: number) =>
  fc
    .tuple(fc.shuffledSubarray(range(models), { minLength: 1 }), strategy, fc.nat(3), fc.array(task, { maxLength: 3 }))
    .map(([chosen, strategy, heavy, tasks]): SnapshotConfig['routes'][number] => ({
      id: null,
      strategy,
      stickyHeader: null,
      targets: chosen.map((at, place) => ({
        model: at,
        credential: null,
        weight: strategy === 'WEIGHTED' && place !== heavy % chosen.length ? 0 : 1,
        when: strategy === 'BY_TASK' ? (tasks[place] ?? null) : null,
      })),
      retry: { attempts: 1, on: [], backoffMs: 1 },
      timeouts: { firstByteMs: 5_000, idleMs: 5_000, totalMs: 10_000 },
      breaker: { failures: 100, windowMs: 1_000, coolDownMs: 1_000 },
    }))

const grant = (aliases: number) =>
  fc.record({
    team: fc.constant('tea_1'),
    project: fc.constant('prj_1'),
    principal: fc.constant('prn_1'),
    aliases: rarely(fc.subarray(range(aliases).map((at) => `als_${at}`)), 8),
    requestLabels: fc.constantFrom<Record<string, string>>({}, {}, { case: 'a' }, { team: 'blue' }),
    allowedAddresses: fc.constantFrom<string[]>([], [], ['127.0.0.0/8']),
  })

const priceSheets = (models: number) =>
  fc
    .record({
      priced: fc.subarray(range(models), { minLength: models - 1 }),
      ceiling: maybe(fc.constant('5000000000')),
    })
    .map(({ priced, ceiling }) => [
      {
        id: 'prs_1',
        effectiveFromMs: 0,
        unpricedCeiling: ceiling,
        lines: priced.flatMap((at) => [line(at, 'INPUT_TOKENS', '150000'), line(at, 'OUTPUT_TOKENS', '600000')]),
      },
    ])

const line = (at: number, meter: 'INPUT_TOKENS' | 'OUTPUT_TOKENS', unitPrice: string) => ({
  ...{ model: at, meter, unitPrice, aboveInputTokens: null, serviceTier: null },
})

const policy = (models: number, aliases: number): fc.Arbitrary<SnapshotPolicy> =>
  fc.record({
    id: fc.constant(''),
    name: fc.constant('p'),
    order: fc.constant(0),
    mode: fc.constantFrom('ENFORCE', 'ENFORCE', 'OBSERVE'),
    onFailure: fc.constantFrom('CLOSED', 'OPEN'),
    overridable: fc.boolean(),
    scope: scope(models),
    when: rarely(condition(models), 2),
    spec: fc
      .tuple(routing(models, aliases), rarely(fc.constant({ kind: 'PII' } as never), 15))
      .map(([known, unknown]) => unknown ?? known),
  })

export const randomScopes: SnapshotScope[] = [
  ...[{ kind: 'TENANT' }, { kind: 'TEAM', id: 'tea_1' }, { kind: 'PROJECT', id: 'prj_1' }, { kind: 'TEAM', id: 'x' }],
  ...[
    { kind: 'PRINCIPAL', id: 'prn_1' },
    { kind: 'API_KEY', id: 'key_1' },
    { kind: 'API_KEY', id: 'key_2' },
  ],
  ...[
    { kind: 'LABEL', key: 'case', value: null },
    { kind: 'LABEL', key: 'case', value: 'b' },
  ],
  ...[
    { kind: 'PROVIDER', at: 0 },
    { kind: 'TIER', at: 0 },
    { kind: 'MODEL', at: 0 },
  ],
] as SnapshotScope[]

const scope = (_models: number) => fc.constantFrom(...randomScopes)

const condition = (models: number): fc.Arbitrary<SnapshotCondition> =>
  fc
    .record(
      {
        requestLabels: fc.constantFrom({ case: 'a' }, { case: 'b' }),
        providers: fc.subarray([0, 1], { minLength: 1 }),
        models: fc.subarray(range(models), { minLength: 1 }),
        tiers: fc.constant([0]),
        regions: fc.subarray(['eu', 'us'], { minLength: 1 }),
        external: fc.boolean(),
        dialect: fc.constantFrom(['OPENAI_CHAT'], ['ANTHROPIC_MESSAGES']),
        streamed: fc.boolean(),
        tools: fc.boolean(),
        images: fc.boolean(),
        minInputTokens: fc.constant(100),
        maxInputTokens: fc.constant(100),
        task: fc.constant(['CODE']),
      },
      { requiredKeys: [] },
    )
    .chain((all) => {
      const keys = Object.keys(all)
      return fc.subarray(keys, { maxLength: 2 }).map((some) => {
        const picked = Object.entries(all).filter(([key]) => some.includes(key))
        return Object.fromEntries(picked) as SnapshotCondition
      })
    })

const routing = (models: number, aliases: number): fc.Arbitrary<SnapshotRoutingPolicy> =>
  fc.record({
    kind: fc.constant('ROUTING' as const),
    allowAliases: rarely(fc.subarray(range(aliases)), 6),
    allowModels: rarely(fc.subarray(range(models), { minLength: 1 }), 3),
    allowTiers: rarely(fc.constant([0]), 6),
    denyModels: fc.subarray(range(models), { maxLength: Math.max(1, models - 1) }),
    regions: rarely(fc.subarray(['eu', 'us'], { minLength: 1 }), 2),
  })

export interface RandomRequest {
  alias: string
  body: string
  labels: Record<string, string>
}

/** Requests for these configurations: most are well formed. */
export const randomRequest: fc.Arbitrary<RandomRequest> = fc
  .record({
    alias: fc.constantFrom('alias-0', 'alias-0', 'alias-0', 'alias-0', 'alias-0', 'alias-1', 'alias-1', 'nope'),
    stream: fc.boolean(),
    tools: fc.boolean(),
    image: fc.boolean(),
    long: fc.boolean(),
    inBody: fc.constantFrom<unknown>(undefined, undefined, undefined, 'a', 'a', 'b', 'b', 'c', 7),
    labels: fc.constantFrom<Record<string, string>>(
      {},
      {},
      { case: 'a' },
      { case: 'a' },
      { case: 'b' },
      { case: 'b' },
      { case: 'c' },
      { other: 'x' },
    ),
    maxTokens: fc.constantFrom(undefined, 10, 100_000),
    broken: rarely(fc.constant(true), 30),
  })
  .map(({ alias: model, stream, tools, image, long, inBody, labels, maxTokens, broken }) => {
    const text = { type: 'text', text: 'x'.repeat(long ? 500 : 5) }
    const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const body = {
      ...{ model, stream, messages: [{ role: 'user', content: image ? [text, picture] : [text] }] },
      ...(tools && { tools: [{ type: 'function', function: { name: 'f' } }] }),
      ...(inBody !== undefined && { metadata: { case: inBody } }),
      ...(maxTokens && { max_tokens: maxTokens }),
    }
    return { alias: model, labels, body: broken ? '{"model":' : JSON.stringify(body) }
  })

/** One value in so many is not null. */
function rarely<T>(of: fc.Arbitrary<T>, among: number): fc.Arbitrary<T | null> {
  const lot = fc.noBias(fc.nat(among - 1))
  return lot.chain((at): fc.Arbitrary<T | null> => (at === 0 ? of : fc.constant(null)))
}

/** One value in so many is null. */
function maybe<T>(of: fc.Arbitrary<T>, among = 3): fc.Arbitrary<T | null> {
  return fc.option(of, { freq: among })
}

const region = () => fc.constantFrom('eu', 'us')
const range = (count: number) => Array.from({ length: count }, (_, at) => at)
