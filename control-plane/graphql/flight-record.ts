import { encodeCursor } from '../../schema/cursor.ts'
import type { RecordAttempt, RecordMeter, RecordPosting } from '../../schema/flight-record.ts'
import { type FlightFilter as Filter, listRecords } from '../domain/records.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { idsOf, rangeOf, TimeRange } from './filters.ts'
import { loaders, read, referenced, resourceOf } from './loaders.ts'
import { Money, TimeWindow } from './money.ts'
import { PolicyDecision } from './policy-decision.ts'
import {
  ApiKey,
  Budget,
  Credential,
  DataPlane,
  FlightRecordType,
  InstanceType,
  Model,
  Node,
  PriceSheet,
  Principal,
  Project,
  Provider,
  Team,
} from './refs.ts'
import { readablePrincipals } from './visible.ts'

const Outcome = builder.enumType('Outcome', { values: ['COMPLETED', 'REFUSED', 'FAILED', 'CANCELLED'] as const })
const RecordLevel = builder.enumType('RecordLevel', { values: ['STRICT', 'STANDARD', 'RELAXED'] as const })
const MeterSource = builder.enumType('MeterSource', {
  description: 'CEILING: nobody knows, so the reserved maximum was charged (a crash, a cut stream).',
  values: ['REPORTED', 'ESTIMATED', 'CEILING'] as const,
})

const Attempt = builder.objectRef<RecordAttempt>('Attempt').implement({
  fields: (t) => ({
    model: t.field({ type: Model, resolve: (attempt, _, ctx) => referenced(ctx, 'model', attempt.model) }),
    credential: t.field({
      type: Credential,
      nullable: true,
      resolve: (attempt, _, ctx) => resourceOf(ctx, 'credential', attempt.credential),
    }),
    status: t.exposeInt('status', { nullable: true }),
    cause: t.field({ type: configEnum('RetryCause'), nullable: true, resolve: ({ cause }) => cause }),
    upstreamRequestId: t.exposeString('upstreamRequestId', { nullable: true }),
    at: t.expose('at', { type: 'DateTime' }),
    totalMs: t.int({ resolve: ({ totalMs }) => Math.round(totalMs) }),
  }),
})

const MeterReading = builder.objectRef<RecordMeter & { currency: string }>('MeterReading').implement({
  fields: (t) => ({
    meter: t.field({ type: configEnum('Meter'), resolve: ({ meter }) => meter }),
    quantity: t.expose('quantity', { type: 'SafeInt' }),
    source: t.expose('source', { type: MeterSource }),
    cost: t.field({ type: Money, resolve: ({ cost, currency }) => ({ amount: cost, currency }) }),
  }),
})

const Posting = builder.objectRef<RecordPosting & { currency: string }>('Posting').implement({
  description: 'Money that a record spends under one budget.',
  fields: (t) => ({
    budget: t.field({
      type: Budget,
      nullable: true,
      description: 'Null where the reader may not see it.',
      resolve: (posting, _, ctx) => resourceOf(ctx, 'budget', posting.budget),
    }),
    subject: t.exposeString('subject', { nullable: true }),
    window: t.field({
      type: TimeWindow,
      resolve: ({ window }) => ({ from: new Date(window.from), to: new Date(window.to) }),
    }),
    epoch: t.string({
      description: "Of the lease; 0 = from none, since the budget's action is WARN.",
      resolve: ({ leaseEpoch }) => String(leaseEpoch),
    }),
    amount: t.field({ type: Money, resolve: ({ amount, currency }) => ({ amount, currency }) }),
  }),
})

const Timing = builder
  .objectRef<{ totalMs: number; gatewayMs: number; firstTokenMs: number | null }>('Timing')
  .implement({
    description: 'Milliseconds. `gatewayMs` is what the gateway itself took.',
    fields: (t) => ({
      totalMs: t.int({ resolve: ({ totalMs }) => Math.round(totalMs) }),
      gatewayMs: t.int({ resolve: ({ gatewayMs }) => Math.round(gatewayMs) }),
      firstTokenMs: t.int({
        nullable: true,
        resolve: ({ firstTokenMs }) => (firstTokenMs === null ? null : Math.round(firstTokenMs)),
      }),
    }),
  })

FlightRecordType.implement({
  description: 'One Exchange: a request, its answer, and what was decided. No content.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'record' in value,
  fields: (t) => ({
    id: t.id({
      description: 'Also the x-sluice-request-id that the caller saw.',
      resolve: ({ record }) => record.id,
    }),
    at: t.field({ type: 'DateTime', resolve: ({ record }) => record.at }),
    cursor: t.field({
      type: 'Cursor',
      nullable: true,
      description: 'Position in every stream; null until it has one.',
      resolve: ({ logIndex }) => (logIndex === null ? null : encodeCursor({ number: logIndex, sub: 0 })),
    }),
    schemaVersion: t.int({ resolve: ({ record }) => record.schemaVersion }),
    instance: t.field({
      type: InstanceType,
      description: 'Position in the chain of (instance, epoch, tenant).',
      nullable: true,
      resolve: async ({ record }, _, ctx) =>
        ctx.actor.permissions.has('config:read') ? ((await loaders(ctx).instance.load(record.instance)) ?? null) : null,
    }),
    sequence: t.field({ type: 'SafeInt', resolve: ({ record }) => record.sequence }),
    epoch: t.string({ resolve: ({ record }) => String(record.epoch) }),
    previousHash: t.string({ resolve: ({ record }) => record.previousHash }),
    hash: t.exposeString('hash'),
    logIndex: t.expose('logIndex', {
      type: 'SafeInt',
      nullable: true,
      description: "Position in the tenant's log; null until it is there.",
    }),
    traceId: t.string({ nullable: true, resolve: ({ record }) => record.traceId }),
    revision: t.field({ type: 'SafeInt', resolve: ({ record }) => record.revision }),
    snapshotAgeMs: t.field({ type: 'SafeInt', resolve: ({ record }) => Math.round(record.snapshotAgeMs) }),
    team: t.field({
      type: Team,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'team', record.team),
    }),
    project: t.field({
      type: Project,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'project', record.project),
    }),
    apiKey: t.field({
      type: ApiKey,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'apiKey', record.apiKey),
    }),
    principal: t.field({
      type: Principal,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'principal', record.principal),
    }),
    dataPlane: t.field({
      type: DataPlane,
      resolve: ({ record }, _, ctx) => referenced(ctx, 'dataPlane', record.dataPlane),
    }),
    requestLabels: t.field({ type: 'Labels', resolve: ({ record }) => record.requestLabels }),
    dialect: t.field({ type: configEnum('Codec'), resolve: ({ record }) => record.dialect }),
    streamed: t.boolean({ resolve: ({ record }) => record.streamed }),
    alias: t.string({ resolve: ({ record }) => record.alias }),
    model: t.field({
      type: Model,
      nullable: true,
      description: 'What served, if anything did.',
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'model', record.model),
    }),
    provider: t.field({
      type: Provider,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'provider', record.provider),
    }),
    region: t.string({ nullable: true, resolve: ({ record }) => record.region }),
    routeReason: t.string({
      nullable: true,
      description: 'Why this target.',
      resolve: ({ record }) => record.routeReason,
    }),
    attempts: t.field({ type: [Attempt], resolve: ({ record }) => record.attempts }),
    outcome: t.field({ type: Outcome, resolve: ({ record }) => record.outcome }),
    refusal: t.string({
      nullable: true,
      description: 'A code of the refusal table, as on the wire (price_unknown).',
      resolve: ({ record }) => record.refusal,
    }),
    finishReason: t.string({ nullable: true, resolve: ({ record }) => record.finishReason }),
    lossy: t.stringList({
      description: 'Fields of the request the target could not express.',
      resolve: ({ record }) => record.lossy,
    }),
    meters: t.field({
      type: [MeterReading],
      resolve: ({ record }) => record.meters.map((meter) => ({ ...meter, currency: record.currency })),
    }),
    reserved: t.field({
      type: Money,
      resolve: ({ record }) => ({ amount: record.reserved, currency: record.currency }),
    }),
    cost: t.field({ type: Money, resolve: ({ record }) => ({ amount: record.cost, currency: record.currency }) }),
    postings: t.field({
      type: [Posting],
      description: 'The money it spent, budget by budget; each equals the cost.',
      resolve: ({ record }) => record.postings.map((posting) => ({ ...posting, currency: record.currency })),
    }),
    priceSheet: t.field({
      type: PriceSheet,
      nullable: true,
      resolve: ({ record }, _, ctx) => resourceOf(ctx, 'priceSheet', record.priceSheet),
    }),
    timing: t.field({ type: Timing, resolve: ({ record }) => record.timing }),
    decisions: t.field({
      type: [PolicyDecision],
      description: 'Of each policy that applied, in their order.',
      resolve: ({ record }) => record.decisions,
    }),
    recordLevel: t.field({ type: RecordLevel, resolve: ({ record }) => record.level }),
  }),
})

export const FlightFilter = builder.inputType('FlightFilter', {
  description: 'All fields that are given must hold; values in one list are alternatives.',
  fields: (t) => ({
    at: t.field({ type: TimeRange }),
    team: t.field({ type: ['Ref'] }),
    project: t.field({ type: ['Ref'] }),
    principal: t.field({ type: ['Ref'] }),
    apiKey: t.field({ type: ['Ref'] }),
    provider: t.field({ type: ['Ref'] }),
    model: t.field({ type: ['Ref'] }),
    alias: t.stringList(),
    tier: t.field({ type: ['Ref'] }),
    dataPlane: t.field({ type: ['Ref'] }),
    outcome: t.field({ type: [Outcome] }),
    refusal: t.stringList(),
    requestId: t.idList(),
    traceId: t.stringList(),
    requestLabels: t.field({ type: 'Labels' }),
  }),
})

type GivenFilter = typeof FlightFilter.$inferInput

/** The filter with ids for Refs, narrowed to the caller's own records where it may see no others. */
export async function flightFilter(ctx: GraphContext, given: GivenFilter | null | undefined): Promise<Filter> {
  const own = readablePrincipals(ctx.actor, 'record')
  if (own === undefined) throw requestError('NOT_PERMITTED')
  const asked = await idsOf(ctx, given?.principal)
  return {
    ...given,
    at: rangeOf(given?.at),
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

builder.queryField('flightRecords', (t) =>
  t.field({
    type: connectionOf(FlightRecordType),
    description: 'Newest first.',
    args: {
      filter: t.arg({ type: FlightFilter }),
      first: t.arg.int({ defaultValue: 50 }),
      after: t.arg({ type: 'Cursor' }),
    },
    complexity: pageCost,
    resolve: async (_, args, ctx) => {
      const filter = await flightFilter(ctx, args.filter)
      const keyset = keysetAfter(args.after, 2)
      const after = keyset && { at: new Date(keyset[0]!), id: String(keyset[1]) }
      const { rows, hasNext } = await read(ctx, (tx, tenant) =>
        listRecords(tx, tenant, { filter, first: pageSize(args), after: after ?? null }),
      )
      return page(rows, hasNext, ({ record }) => [record.at, record.id], args.after)
    },
  }),
)
