import type { ObjectRef } from '@pothos/core'
import type {
  SpendDimension as Dimension,
  SpendFilter as Filter,
  SpendGroup as Group,
  Interval as IntervalName,
  SpendKey as Key,
  SpendPoint as Point,
  SpendSeries as Series,
} from '../domain/spend.ts'
import { builder } from './builder.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { idsOf, rangeOf, TimeRange } from './filters.ts'
import { loaders, resourcesOf, visibleResource } from './loaders.ts'
import { Money, money, TimeWindow } from './money.ts'
import { DataPlane, ResourceType } from './refs.ts'
import { readablePrincipals } from './visible.ts'

export const Interval = builder.enumType('Interval', {
  values: ['MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'TOTAL'] as const,
})

export const SpendDimension = builder.enumType('SpendDimension', {
  description: 'LABEL appears in answers only; ask for labels with `groupByLabels`.',
  values: [
    'TEAM',
    'PROJECT',
    'PRINCIPAL',
    'API_KEY',
    'PROVIDER',
    'MODEL',
    'ALIAS',
    'TIER',
    'DATA_PLANE',
    'LABEL',
  ] as const,
})

export const SpendFilter = builder.inputType('SpendFilter', {
  fields: (t) => ({
    team: t.field({ type: ['Ref'] }),
    project: t.field({ type: ['Ref'] }),
    principal: t.field({ type: ['Ref'] }),
    apiKey: t.field({ type: ['Ref'] }),
    provider: t.field({ type: ['Ref'] }),
    model: t.field({ type: ['Ref'] }),
    alias: t.stringList(),
    tier: t.field({ type: ['Ref'] }),
    dataPlane: t.field({ type: ['Ref'] }),
    requestLabels: t.field({ type: 'Labels' }),
  }),
})

/** Money within a series carries the series' currency, which groups and points do not repeat. */
export type PointShape = Point & { currency: string }
export type GroupShape = Group & { currency: string }

const SpendPoint = builder.objectRef<PointShape>('SpendPoint').implement({
  fields: (t) => ({
    at: t.expose('at', { type: 'DateTime' }),
    cost: t.field({ type: Money, resolve: ({ cost, currency }) => money(cost, currency) }),
    requests: t.expose('requests', { type: 'SafeInt' }),
    refused: t.expose('refused', { type: 'SafeInt' }),
    failed: t.expose('failed', { type: 'SafeInt' }),
    tokens: t.expose('tokens', { type: 'SafeInt' }),
    inputTokens: t.expose('inputTokens', { type: 'SafeInt' }),
    cachedInputTokens: t.expose('cachedInputTokens', { type: 'SafeInt' }),
    outputTokens: t.expose('outputTokens', { type: 'SafeInt' }),
  }),
})

const SpendKey = builder.objectRef<Key>('SpendKey').implement({
  description: '`value` is an id, an alias or a label value; empty = none, `other` = the folded rest.',
  fields: (t) => ({
    dimension: t.field({ type: SpendDimension, resolve: ({ dimension }) => dimension }),
    label: t.exposeString('label', { nullable: true }),
    value: t.exposeString('value'),
    resource: t.field({
      type: ResourceType,
      nullable: true,
      resolve: ({ resourceId }, _, ctx) => visibleResource(ctx, resourceId),
    }),
  }),
})

export const SpendGroup: ObjectRef<never, GroupShape> = builder.objectRef<GroupShape>('SpendGroup').implement({
  fields: (t) => ({
    key: t.expose('key', { type: [SpendKey] }),
    points: t.field({
      type: [SpendPoint],
      resolve: ({ points, currency }) => points.map((point) => ({ ...point, currency })),
    }),
    total: t.field({ type: Money, resolve: ({ total, currency }) => money(total, currency) }),
  }),
}) as never

const SpendSeries = builder.objectRef<Series>('SpendSeries').implement({
  description:
    'Sums made by the server. All `spend` fields of one operation are read at one moment and have one cursor, so the ticks ' +
    'after it fit them all.',
  fields: (t) => ({
    window: t.expose('window', { type: TimeWindow }),
    interval: t.expose('interval', { type: Interval }),
    currency: t.expose('currency', { type: 'Currency' }),
    groups: t.field({
      type: [SpendGroup as never],
      resolve: (({ groups, currency }: Series) => groups.map((group) => ({ ...group, currency }))) as never,
    }),
    total: t.field({
      type: Money,
      description: 'The same however it is grouped.',
      resolve: ({ total, currency }) => money(total, currency),
    }),
    settledThrough: t.expose('settledThrough', {
      type: 'DateTime',
      description:
        'Exact up to here; later points may still grow. Data planes in `pending` (air-gapped, unreachable) are not waited for.',
    }),
    pending: t.field({ type: [DataPlane], resolve: ({ pending }, _, ctx) => resourcesOf(ctx, 'dataPlane', pending) }),
    cursor: t.expose('cursor', { type: 'Cursor' }),
  }),
})

type GivenFilter = typeof SpendFilter.$inferInput

/** The filter with ids for Refs, narrowed to the caller's own spending where it may see no other. */
export async function spendFilter(ctx: GraphContext, given: GivenFilter | null | undefined): Promise<Filter> {
  const own = readablePrincipals(ctx.actor, 'spend')
  if (own === undefined) throw requestError('NOT_PERMITTED')
  const asked = await idsOf(ctx, given?.principal)
  return {
    ...given,
    team: await idsOf(ctx, given?.team),
    project: await idsOf(ctx, given?.project),
    principal: own && asked ? asked.filter((id) => own.includes(id)).concat('nothing') : (own ?? asked),
    apiKey: await idsOf(ctx, given?.apiKey),
    provider: await idsOf(ctx, given?.provider),
    model: await idsOf(ctx, given?.model),
    tier: await idsOf(ctx, given?.tier),
    dataPlane: await idsOf(ctx, given?.dataPlane),
  }
}

/** Dimensions to group by; labels have an argument of their own. */
export function dimensionsOf(groupBy: readonly string[] | null | undefined): Dimension[] | null {
  if (groupBy?.includes('LABEL')) throw requestError('BAD_DOCUMENT', 'Ask for labels with groupByLabels.')
  return groupBy ? ([...new Set(groupBy)] as Dimension[]) : null
}

const pointsMax = 20_000
const spanMs: Record<IntervalName, number> = {
  MINUTE: 60_000,
  HOUR: 3_600_000,
  DAY: 86_400_000,
  WEEK: 7 * 86_400_000,
  MONTH: 28 * 86_400_000,
  TOTAL: Number.POSITIVE_INFINITY,
}

builder.queryField('spend', (t) =>
  t.field({
    type: SpendSeries,
    args: {
      window: t.arg({ type: TimeRange, required: true }),
      interval: t.arg({ type: Interval, required: true }),
      groupBy: t.arg({ type: [SpendDimension] }),
      groupByLabels: t.arg.stringList(),
      filter: t.arg({ type: SpendFilter }),
      top: t.arg.int({
        defaultValue: 10,
        description: 'The largest groups, at most 1,000; the rest is one group `other`, so that totals add up.',
      }),
    },
    complexity: ({ top }) => ({ field: 10, multiplier: Math.max(1, Math.min(top ?? 10, 1_000) / 10) }),
    resolve: async (_, args, ctx) => {
      const window = rangeOf(args.window)!
      boundPoints(window, args.interval, ctx.domain.clock.now())
      if (args.top != null && (args.top < 1 || args.top > 1_000))
        throw requestError('BAD_DOCUMENT', 'top is from 1 to 1000.')
      return loaders(ctx).spend.load({
        window,
        interval: args.interval,
        groupBy: dimensionsOf(args.groupBy),
        groupByLabels: args.groupByLabels,
        filter: await spendFilter(ctx, args.filter),
        top: args.top ?? 10,
      })
    },
  }),
)

/** A year by the minute would be half a million points for each group. */
function boundPoints(window: { from: Date | null; to: Date | null }, interval: IntervalName, nowMs: number): void {
  const lengthMs = (window.to?.getTime() ?? nowMs) - (window.from?.getTime() ?? 0)
  if (lengthMs / spanMs[interval] > pointsMax)
    throw requestError('BAD_DOCUMENT', `This window holds more than ${pointsMax} intervals; take a longer interval.`)
}
