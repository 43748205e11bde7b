import type { Resource } from '../../schema/config/index.ts'
import { liveResources } from '../domain/resources.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import type { GraphContext } from './context.ts'
import { rangeOf } from './filters.ts'
import { read, referenced, resourceOf } from './loaders.ts'
import { Money } from './money.ts'
import { ofKind } from './organisation.ts'
import { Condition } from './policy.ts'
import { type PriceLine, pricesAt } from './prices.ts'
import { Alias, Credential, Model, Node, PriceSheet, Provider, ResourceType, Route, Tier } from './refs.ts'

type Spec<K extends 'model' | 'alias' | 'route'> = Resource<K>['spec']

const InputBounds = builder.objectRef<Spec<'model'>['bounds']>('InputBounds').implement({
  description: 'Upper bounds on input tokens for what the length of the text does not tell.',
  fields: (t) => ({
    tokensPerMessage: t.exposeInt('tokensPerMessage'),
    tokensPerTool: t.exposeInt('tokensPerTool'),
    tokensPerImage: t.exposeInt('tokensPerImage', { nullable: true }),
    tokensPerPage: t.exposeInt('tokensPerPage', { nullable: true }),
    tokensPerAudioSecond: t.exposeInt('tokensPerAudioSecond', { nullable: true }),
  }),
})

const Price = builder.objectRef<PriceLine>('Price').implement({
  description:
    'Amounts are per `per` units, as providers publish them. `aboveInputTokens` and `serviceTier` select the dearer line of a model.',
  fields: (t) => ({
    model: t.field({ type: Model, resolve: (line, _, ctx) => referenced(ctx, 'model', line.model) }),
    meter: t.field({ type: configEnum('Meter'), resolve: (line) => line.meter }),
    amount: t.expose('amount', { type: 'Decimal' }),
    per: t.expose('per', { type: 'SafeInt' }),
    aboveInputTokens: t.expose('aboveInputTokens', { type: 'SafeInt', nullable: true }),
    serviceTier: t.exposeString('serviceTier', { nullable: true }),
  }),
})

Model.implement({
  description: 'A model of a provider. A name ending in `*` stands for every model of the provider with that prefix.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('model'),
  fields: (t) => ({
    provider: t.field({ type: Provider, resolve: ({ spec }, _, ctx) => referenced(ctx, 'provider', spec.provider) }),
    upstreamName: t.string({ resolve: ({ spec }) => spec.upstreamName }),
    region: t.string({ nullable: true, resolve: ({ spec }) => spec.region }),
    tier: t.field({ type: Tier, nullable: true, resolve: ({ spec }, _, ctx) => resourceOf(ctx, 'tier', spec.tier) }),
    contextTokens: t.int({ nullable: true, resolve: ({ spec }) => spec.contextTokens }),
    maxOutputTokens: t.int({ nullable: true, resolve: ({ spec }) => spec.maxOutputTokens }),
    defaultOutputTokens: t.int({
      nullable: true,
      description: 'Output reserved, and sent upstream as the limit, when a request names none.',
      resolve: ({ spec }) => spec.defaultOutputTokens,
    }),
    bounds: t.field({ type: InputBounds, resolve: ({ spec }) => spec.bounds }),
    capabilities: t.field({ type: [configEnum('Capability')], resolve: ({ spec }) => spec.capabilities }),
    maxDataClass: t.field({ type: configEnum('DataClass'), resolve: ({ spec }) => spec.maxDataClass }),
    prices: t.field({
      type: [Price],
      args: { at: t.arg({ type: 'DateTime' }) },
      authScopes: { may: 'config:read' },
      resolve: async ({ id }, { at }, ctx) => {
        const atMs = rangeOf({ from: at })?.from?.getTime() ?? ctx.domain.clock.now()
        return pricesAt(await priceSheets(ctx), id, atMs)
      },
    }),
  }),
})

const AliasDeprecation = builder.objectRef<NonNullable<Spec<'alias'>['deprecation']>>('AliasDeprecation').implement({
  fields: (t) => ({
    since: t.expose('since', { type: 'DateTime' }),
    removeAfter: t.expose('removeAfter', { type: 'DateTime', nullable: true }),
    use: t.field({ type: Alias, nullable: true, resolve: ({ use }, _, ctx) => resourceOf(ctx, 'alias', use) }),
  }),
})

Alias.implement({
  description:
    'The model name applications ask for. A name ending in `*` matches by prefix (longest wins) and passes the rest on. ' +
    'Exactly one of route and model is declared.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('alias'),
  fields: (t) => ({
    route: t.field({
      type: Route,
      nullable: true,
      resolve: ({ spec }, _, ctx) => resourceOf(ctx, 'route', spec.route),
    }),
    model: t.field({
      type: Model,
      nullable: true,
      resolve: ({ spec }, _, ctx) => resourceOf(ctx, 'model', spec.model),
    }),
    allowLossy: t.boolean({
      description: 'Serve even when the target cannot express something; what was lost is in the record.',
      resolve: ({ spec }) => spec.allowLossy,
    }),
    deprecation: t.field({ type: AliasDeprecation, nullable: true, resolve: ({ spec }) => spec.deprecation }),
  }),
})

export const RouteTarget = builder.objectRef<Spec<'route'>['targets'][number]>('RouteTarget').implement({
  fields: (t) => ({
    model: t.field({ type: Model, resolve: (target, _, ctx) => referenced(ctx, 'model', target.model) }),
    credential: t.field({
      type: Credential,
      nullable: true,
      resolve: (target, _, ctx) => resourceOf(ctx, 'credential', target.credential),
    }),
    weight: t.exposeInt('weight'),
    when: t.field({
      type: Condition,
      nullable: true,
      description: 'Of a BY_TASK route: which requests it is for. Null: every one.',
      resolve: ({ when }) => when,
    }),
  }),
})

const RetrySpec = builder.objectRef<Spec<'route'>['retry']>('RetrySpec').implement({
  fields: (t) => ({
    attempts: t.exposeInt('attempts'),
    on: t.field({ type: [configEnum('RetryCause')], resolve: (retry) => retry.on }),
    backoff: t.expose('backoff', { type: 'Duration' }),
  }),
})

const RouteTimeouts = builder.objectRef<Spec<'route'>['timeouts']>('RouteTimeouts').implement({
  fields: (t) => ({
    firstByte: t.expose('firstByte', { type: 'Duration' }),
    idle: t.expose('idle', { type: 'Duration' }),
    total: t.expose('total', { type: 'Duration' }),
  }),
})

const BreakerSpec = builder.objectRef<Spec<'route'>['breaker']>('BreakerSpec').implement({
  fields: (t) => ({
    failures: t.exposeInt('failures'),
    window: t.expose('window', { type: 'Duration' }),
    coolDown: t.expose('coolDown', { type: 'Duration' }),
  }),
})

Route.implement({
  description: 'Which models serve an alias, and in which order they are tried.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('route'),
  fields: (t) => ({
    strategy: t.field({ type: configEnum('RouteStrategy'), resolve: ({ spec }) => spec.strategy }),
    targets: t.field({ type: [RouteTarget], resolve: ({ spec }) => spec.targets }),
    retry: t.field({ type: RetrySpec, resolve: ({ spec }) => spec.retry }),
    timeouts: t.field({ type: RouteTimeouts, resolve: ({ spec }) => spec.timeouts }),
    breaker: t.field({ type: BreakerSpec, resolve: ({ spec }) => spec.breaker }),
    stickyHeader: t.string({
      nullable: true,
      description:
        'Requests with the same value of this header go to the same target while it is healthy, for the sake of prompt caches.',
      resolve: ({ spec }) => spec.stickyHeader,
    }),
  }),
})

PriceSheet.implement({
  description: 'What models cost from a date on. The latest sheet that names a model holds for it, whole.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('priceSheet'),
  fields: (t) => ({
    currency: t.field({ type: 'Currency', resolve: ({ spec }) => spec.currency }),
    exchangeRate: t.field({
      type: 'Decimal',
      nullable: true,
      description: "Units of the tenant's currency for one of the sheet's; required when they differ.",
      resolve: ({ spec }) => spec.exchangeRate,
    }),
    effectiveFrom: t.field({ type: 'DateTime', resolve: ({ spec }) => spec.effectiveFrom }),
    source: t.string({
      nullable: true,
      description: 'Where the lines came from, e.g. a catalogue and its version.',
      resolve: ({ spec }) => spec.source,
    }),
    unpricedCeiling: t.field({
      type: Money,
      nullable: true,
      description:
        'Reserved and charged for a model that has no line here. Null: such a model refuses with price_unknown.',
      resolve: ({ spec }) => spec.unpricedCeiling,
    }),
    lines: t.field({ type: [Price], resolve: ({ spec }) => spec.lines }),
  }),
})

const priceSheets = (ctx: GraphContext) => read(ctx, (tx, tenant) => liveResources(tx, tenant, ['priceSheet']))
