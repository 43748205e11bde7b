import type { Condition as ConditionShape, Resource, RoutingPolicy as RoutingShape } from '../../schema/config/index.ts'
import { handleOf, isLabelScope } from '../../schema/handles.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import type { GraphContext } from './context.ts'
import { ModelFilter } from './filters.ts'
import { listOf } from './lists.ts'
import { resourcesOf, visibleResource } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { Alias, Model, Node, Policy, Provider, ResourceType, Tier } from './refs.ts'

Tier.implement({
  description: 'A class of models that may stand in for one another.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('tier'),
  fields: (t) => ({
    rank: t.int({
      description: 'A higher rank is the more capable, and dearer, class.',
      resolve: ({ spec }) => spec.rank,
    }),
    models: listOf(t, 'model', { filter: ModelFilter, where: ({ id }) => ({ tier: [id] }), may: () => true }),
  }),
})

/** What a policy attaches to, as it is stored: an id, or a label. */
export const Scope = builder.objectRef<{ stored: string }>('Scope').implement({
  description: 'What a policy attaches to. `resource` is null for a label scope.',
  fields: (t) => ({
    ref: t.field({
      type: 'Ref',
      resolve: async ({ stored }, _, ctx) => {
        const found = await scoped(ctx, stored)
        return found ? handleOf(found.kind, found.name) : stored
      },
    }),
    resource: t.field({ type: ResourceType, nullable: true, resolve: ({ stored }, _, ctx) => scoped(ctx, stored) }),
  }),
})

const scoped = async (ctx: GraphContext, stored: string) => (isLabelScope(stored) ? null : visibleResource(ctx, stored))

export const Condition = builder.objectRef<ConditionShape>('Condition').implement({
  description: 'All fields that are given must hold; values in one list are alternatives. Null = not asked.',
  fields: (t) => ({
    requestLabels: t.expose('requestLabels', { type: 'Labels', nullable: true }),
    provider: t.field({
      type: [Provider],
      nullable: true,
      resolve: ({ provider }, _, ctx) => provider && resourcesOf(ctx, 'provider', provider),
    }),
    model: t.field({
      type: [Model],
      nullable: true,
      resolve: ({ model }, _, ctx) => model && resourcesOf(ctx, 'model', model),
    }),
    tier: t.field({
      type: [Tier],
      nullable: true,
      resolve: ({ tier }, _, ctx) => tier && resourcesOf(ctx, 'tier', tier),
    }),
    region: t.exposeStringList('region', { nullable: true }),
    external: t.exposeBoolean('external', {
      nullable: true,
      description: 'True: only when the target is outside the company (Provider.selfHosted is false).',
    }),
    dialect: t.field({ type: [configEnum('Codec')], nullable: true, resolve: ({ dialect }) => dialect }),
    streamed: t.exposeBoolean('streamed', { nullable: true }),
    tools: t.exposeBoolean('tools', { nullable: true }),
    images: t.exposeBoolean('images', { nullable: true }),
    language: t.exposeStringList('language', {
      nullable: true,
      description:
        'Only of a route: a guess at the language of what the user said last, ISO 639-1. One that cannot be told is none.',
    }),
    minInputTokens: t.expose('minInputTokens', { type: 'SafeInt', nullable: true }),
    maxInputTokens: t.expose('maxInputTokens', { type: 'SafeInt', nullable: true }),
  }),
})

const RoutingPolicy = builder.objectRef<RoutingShape>('RoutingPolicy').implement({
  description:
    'Where requests may go. A list that is null does not limit; a target must pass each list of each policy. Regions are those of ' +
    'the model, else of its provider; a target without one is in none.',
  fields: (t) => ({
    allowAliases: t.field({
      type: [Alias],
      nullable: true,
      resolve: (rule, _, ctx) => rule.allowAliases && resourcesOf(ctx, 'alias', rule.allowAliases),
    }),
    allowModels: t.field({
      type: [Model],
      nullable: true,
      resolve: (rule, _, ctx) => rule.allowModels && resourcesOf(ctx, 'model', rule.allowModels),
    }),
    allowTiers: t.field({
      type: [Tier],
      nullable: true,
      resolve: (rule, _, ctx) => rule.allowTiers && resourcesOf(ctx, 'tier', rule.allowTiers),
    }),
    denyModels: t.field({ type: [Model], resolve: (rule, _, ctx) => resourcesOf(ctx, 'model', rule.denyModels) }),
    regions: t.exposeStringList('regions', { nullable: true }),
  }),
})

/** One member for each member of PolicySpecInput. */
const PolicySpec = builder.unionType('PolicySpec', { types: [RoutingPolicy], resolveType: () => RoutingPolicy })

const specOf = ({ spec }: Resource<'policy'>) => {
  if (spec.spec.routing) return spec.spec.routing
  throw new Error('A policy has no spec that the API knows.')
}

Policy.implement({
  description: 'A rule that data planes hold requests to, within its scope.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('policy'),
  fields: (t) => ({
    scope: t.field({ type: Scope, resolve: ({ spec }) => ({ stored: spec.scope }) }),
    order: t.int({ description: 'Lower comes first.', resolve: ({ spec }) => spec.order }),
    mode: t.field({ type: configEnum('PolicyMode'), resolve: ({ spec }) => spec.mode }),
    onFailure: t.field({
      type: configEnum('FailureMode'),
      description: 'What happens when the policy itself cannot be evaluated.',
      resolve: ({ spec }) => spec.onFailure,
    }),
    when: t.field({ type: Condition, nullable: true, resolve: ({ spec }) => spec.when }),
    overridable: t.boolean({
      description: 'May a policy of the same kind on a lower scope weaken this one?',
      resolve: ({ spec }) => spec.overridable,
    }),
    spec: t.field({ type: PolicySpec, resolve: specOf }),
  }),
})
