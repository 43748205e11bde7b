import type {
  Event,
  EventKind as EventKindName,
  FlightTick as FlightTickShape,
  SpendTick as SpendTickShape,
} from '../domain/streams.ts'
import { Change } from './apply.ts'
import { Actor } from './audit.ts'
import { BudgetBalance } from './budget-balance.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { FlightFilter, flightFilter } from './flight-record.ts'
import { loaders, referenced } from './loaders.ts'
import { AlertType, Budget, DataPlane, FlightRecordType } from './refs.ts'
import { dimensionsOf, Interval, SpendDimension, SpendFilter, SpendGroup, spendFilter } from './spend.ts'
import { stream } from './stream.ts'

const EventKind = configEnum('EventKind')

const eventTypes = {
  CONFIG_CHANGED: 'ConfigChanged',
  BUDGET_CHANGED: 'BudgetChanged',
  DATA_PLANE_CHANGED: 'DataPlaneChanged',
  ALERT_RAISED: 'AlertChanged',
  ALERT_RESOLVED: 'AlertChanged',
  STREAM_RESET: 'StreamReset',
  HEARTBEAT: 'Heartbeat',
} as const

const EventType = builder.interfaceRef<Event>('Event').implement({
  resolveType: (event) => eventTypes[event.kind],
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor' }),
    at: t.expose('at', { type: 'DateTime' }),
    kind: t.expose('kind', { type: EventKind }),
  }),
})

const eventOf = <K extends Exclude<Event['kind'], 'ALERT_RAISED' | 'ALERT_RESOLVED'>>(kind: K) =>
  builder.objectRef<Extract<Event, { kind: K }>>(eventTypes[kind])
const interfaces = [EventType]

eventOf('CONFIG_CHANGED').implement({
  interfaces,
  fields: (t) => ({
    revision: t.expose('revision', { type: 'SafeInt' }),
    actor: t.expose('actor', { type: Actor }),
    changes: t.expose('changes', { type: [Change] }),
  }),
})
eventOf('BUDGET_CHANGED').implement({
  description: 'The balance of a counter as it was then. Each counter is told at most once a second.',
  interfaces,
  fields: (t) => ({
    budget: t.field({ type: Budget, resolve: (event, _, ctx) => referenced(ctx, 'budget', event.budget) }),
    balance: t.field({ type: BudgetBalance, resolve: ({ balance, cursor }) => ({ ...balance, asOf: cursor }) }),
  }),
})
eventOf('DATA_PLANE_CHANGED').implement({
  interfaces,
  fields: (t) => ({
    dataPlane: t.field({ type: DataPlane, resolve: (event, _, ctx) => referenced(ctx, 'dataPlane', event.dataPlane) }),
  }),
})
builder.objectRef<Extract<Event, { alert: string }>>('AlertChanged').implement({
  interfaces,
  fields: (t) => ({
    alert: t.field({
      type: AlertType,
      nullable: true,
      description: 'As it is now. Null where it is no longer kept.',
      resolve: async (event, _, ctx) => (await loaders(ctx).alert.load(event.alert)) ?? null,
    }),
  }),
})
eventOf('STREAM_RESET').implement({
  description: '`after` is older than what is kept: fetch state again, then resume from `cursor`.',
  interfaces,
  fields: (t) => ({ oldest: t.expose('oldest', { type: 'Cursor' }) }),
})
eventOf('HEARTBEAT').implement({
  description: 'Comes at least every 15 seconds, so that a quiet filter still advances.',
  interfaces,
})

const SpendTick = builder.objectRef<SpendTickShape & { currency: string }>('SpendTick').implement({
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor' }),
    at: t.expose('at', { type: 'DateTime' }),
    groups: t.field({
      type: [SpendGroup as never],
      resolve: (({ groups, currency }: { groups: object[]; currency: string }) =>
        groups.map((group) => ({ ...group, currency }))) as never,
    }),
  }),
})

const told = new WeakMap<SpendTickShape, SpendTickShape & { currency: string }>()

/** One object for everybody who is sent the same tick, so that hosts can tell that it is the same. */
function inCurrency(tick: SpendTickShape, currency: string): SpendTickShape & { currency: string } {
  const known = told.get(tick) ?? { ...tick, currency }
  told.set(tick, known)
  return known
}

const FlightTick = builder.objectRef<FlightTickShape>('FlightTick').implement({
  fields: (t) => ({
    cursor: t.expose('cursor', { type: 'Cursor' }),
    records: t.expose('records', { type: [FlightRecordType] }),
    skipped: t.expose('skipped', { type: 'SafeInt' }),
  }),
})

const mayFollowSpend = (held: ReadonlySet<string>) => held.has('spend:read') || held.has('spend:read-own')
const mayFollowRecords = (held: ReadonlySet<string>) => held.has('record:read') || held.has('record:read-own')

builder.subscriptionFields((t) => ({
  events: t.field({
    type: EventType,
    description: 'Everything that changed, in order. `after` replays what was missed, then goes live.',
    args: { kinds: t.arg({ type: [EventKind] }), after: t.arg({ type: 'Cursor' }) },
    authScopes: { may: 'event:read' },
    subscribe: (_, args, ctx) =>
      stream(
        ctx,
        (held) => held.has('event:read'),
        (signal) =>
          ctx.domain.streams.events(ctx.actor, { ...args, kinds: args.kinds as EventKindName[] | null }, signal),
      ),
    resolve: (event) => event,
  }),
  spendTicks: t.field({
    type: SpendTick,
    description:
      'Increments to a spend series; add them to the series that `after` came from. Every group, no `top`: fold on the client.',
    args: {
      interval: t.arg({ type: Interval, required: true }),
      groupBy: t.arg({ type: [SpendDimension] }),
      groupByLabels: t.arg.stringList(),
      filter: t.arg({ type: SpendFilter }),
      after: t.arg({ type: 'Cursor' }),
    },
    authScopes: (_, _args, { actor }) => mayFollowSpend(actor.permissions),
    subscribe: async (_, args, ctx) => {
      const { spec } = await referenced(ctx, 'tenant', ctx.actor.tenant)
      const asked = { ...args, groupBy: dimensionsOf(args.groupBy), filter: await spendFilter(ctx, args.filter) }
      return stream(ctx, mayFollowSpend, async function* (signal) {
        for await (const tick of ctx.domain.streams.spendTicks(ctx.actor, asked, signal))
          yield inCurrency(tick, spec.currency)
      })
    },
    resolve: (tick) => tick,
  }),
  flightTail: t.field({
    type: FlightTick,
    description: 'Requests as they finish. Sampled under load; `skipped` says by how much.',
    args: { filter: t.arg({ type: FlightFilter }), after: t.arg({ type: 'Cursor' }) },
    authScopes: (_, _args, { actor }) => mayFollowRecords(actor.permissions),
    subscribe: async (_, args, ctx) => {
      const asked = { ...args, filter: await flightFilter(ctx, args.filter) }
      return stream(ctx, mayFollowRecords, (signal) => ctx.domain.streams.flightTail(ctx.actor, asked, signal))
    },
    resolve: (tick) => tick,
  }),
}))
