import { configEnum } from './config-inputs.ts'
import { visibleResource } from './loaders.ts'
import { Money } from './money.ts'
import { ofKind } from './organisation.ts'
import { Scope } from './policy.ts'
import { Budget, Node, ResourceType, Tier } from './refs.ts'

Budget.implement({
  description: 'What may be spent within a scope, in each period.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('budget'),
  fields: (t) => ({
    scope: t.field({ type: Scope, resolve: ({ spec }) => ({ stored: spec.scope }) }),
    per: t.field({
      type: configEnum('CounterPer'),
      nullable: true,
      description: 'One counter for each … inside the scope. Null: one for the whole scope.',
      resolve: ({ spec }) => spec.per,
    }),
    limit: t.field({ type: Money, resolve: ({ spec }) => spec.limit }),
    period: t.field({ type: configEnum('BudgetPeriod'), resolve: ({ spec }) => spec.period }),
    window: t.field({
      type: 'Duration',
      nullable: true,
      description: 'Length of a ROLLING period, in steps of a 24th of it.',
      resolve: ({ spec }) => spec.window,
    }),
    timeZone: t.string({
      description: 'IANA name; periods begin at midnight there, or at `anchor`.',
      resolve: ({ spec }) => spec.timeZone,
    }),
    anchor: t.field({
      type: 'DateTime',
      nullable: true,
      resolve: ({ spec }) => (spec.anchor === null ? null : new Date(spec.anchor)),
    }),
    carryOver: t.boolean({
      description: 'What one period leaves over is added to the next.',
      resolve: ({ spec }) => spec.carryOver,
    }),
    onExhausted: t.field({
      type: configEnum('BudgetAction'),
      description:
        'BLOCK refuses, DOWNGRADE serves from a cheaper tier, CAP shortens the output to what is affordable, WARN only tells.',
      resolve: ({ spec }) => spec.onExhausted,
    }),
    downgradeTo: t.field({
      type: Tier,
      nullable: true,
      description: 'Where DOWNGRADE goes.',
      resolve: async ({ spec }, _, ctx) =>
        spec.downgradeTo === null ? null : ((await visibleResource(ctx, spec.downgradeTo)) as never),
    }),
    waitForFunds: t.field({
      type: 'Duration',
      description: 'How long a request may wait for money to come free before `onExhausted`.',
      resolve: ({ spec }) => spec.waitForFunds,
    }),
    thresholds: t.intList({
      description: 'Percent of limit + adjustments.',
      resolve: ({ spec }) => spec.thresholds,
    }),
  }),
})
