import type { Forecast } from '../domain/alerts/forecast.ts'
import { forecastOfCounter } from '../domain/alerts/forecast-facts.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { idsOf } from './filters.ts'
import { read, visibleResource } from './loaders.ts'
import { Money, money } from './money.ts'
import { ofKind } from './organisation.ts'
import { Scope } from './policy.ts'
import { Budget, Node, ResourceType, Tier } from './refs.ts'

const BudgetForecast = builder.objectRef<Forecast & { currency: string }>('BudgetForecast').implement({
  description:
    'From now to the end of the window at the pace of the last hours, of whole weeks where they are known. The less is known, and ' +
    'the more the hours vary, the further `low` and `high` are apart.',
  fields: (t) => ({
    low: t.field({ type: Money, resolve: ({ low, currency }) => money(low, currency) }),
    expected: t.field({ type: Money, resolve: ({ expected, currency }) => money(expected, currency) }),
    high: t.field({ type: Money, resolve: ({ high, currency }) => money(high, currency) }),
    exhaustedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When limit and adjustments are used up; null = not within this window.',
      resolve: ({ exhaustedAt }) => exhaustedAt,
    }),
  }),
})

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
    forecast: t.field({
      type: BudgetForecast,
      nullable: true,
      description:
        'Of the end of the present window. `subject` is needed when `per` is set. Null for LIFETIME and ROLLING, which do not end.',
      args: { subject: t.arg.string() },
      authScopes: { may: 'spend:read' },
      complexity: { field: 20 },
      resolve: async (budget, { subject }, ctx) => {
        const given =
          subject && budget.spec.per !== 'LABEL_VALUE' ? ((await idsOf(ctx, [subject]))?.[0] ?? null) : subject
        const foretold = await read(ctx, (tx, tenant) =>
          forecastOfCounter(tx, tenant, budget, given ?? null, ctx.domain.clock.now()),
        )
        return foretold && { ...foretold, currency: budget.spec.limit.currency }
      },
    }),
    thresholds: t.intList({
      description: 'Percent of limit + adjustments.',
      resolve: ({ spec }) => spec.thresholds,
    }),
  }),
})
