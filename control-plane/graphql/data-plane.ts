import {
  type DataPlaneEnrollInput,
  type DataPlaneState,
  dataPlaneEnroll,
  type Enrolled,
  limitSharings,
  listInstances,
} from '../domain/planes.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import { loaders, read, referenced } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { mutation, payload } from './payload.ts'
import { DataPlane, InstanceType, Node, ResourceType } from './refs.ts'

const DataPlaneStateEnum = builder.enumType('DataPlaneState', {
  values: ['ENROLLING', 'CURRENT', 'BEHIND', 'UNREACHABLE', 'OFFLINE', 'RETIRED'] as const,
})

const LimitSharingEnum = builder.enumType('LimitSharing', { values: limitSharings })

const InstanceConnection = connectionOf(InstanceType)

DataPlane.implement({
  description: 'A declared fleet of gateway processes.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('dataPlane'),
  fields: (t) => ({
    adapter: t.field({ type: configEnum('Adapter'), resolve: ({ spec }) => spec.adapter }),
    state: t.field({
      type: DataPlaneStateEnum,
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).dataPlaneFacts.load(id)).state,
    }),
    desiredRevision: t.field({
      type: 'SafeInt',
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).dataPlaneFacts.load(id)).desiredRevision,
    }),
    activeRevision: t.field({
      type: 'SafeInt',
      nullable: true,
      description: 'The oldest revision that any of its connected instances runs.',
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).dataPlaneFacts.load(id)).activeRevision,
    }),
    presumeLostAfter: t.field({
      type: 'Duration',
      nullable: true,
      description: 'Write off the leases of an instance that has been silent for so long; null = never.',
      resolve: ({ spec }) => spec.presumeLostAfter,
    }),
    limitSharing: t.field({
      type: LimitSharingEnum,
      description:
        'How its instances share what rate limits admit: one has it all, a store counts for all of them, or each has a share.',
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).dataPlaneFacts.load(id)).limitSharing,
    }),
    instances: t.field({
      type: InstanceConnection,
      args: {
        state: t.arg({ type: [DataPlaneStateEnum] }),
        first: t.arg.int({ defaultValue: 50 }),
        after: t.arg({ type: 'Cursor' }),
      },
      authScopes: { may: 'config:read' },
      complexity: pageCost,
      resolve: async ({ id }, args, ctx) => {
        const after = keysetAfter(args.after, 1)?.[0]
        const state = args.state as DataPlaneState[] | null | undefined
        const query = { dataPlane: id, state, first: pageSize(args), after: after === undefined ? null : String(after) }
        const { rows, hasNext } = await read(ctx, (tx, tenant) =>
          listInstances(tx, tenant, query, ctx.domain.clock.now()),
        )
        return page(rows, hasNext, (row) => [row.id], args.after)
      },
    }),
  }),
})

InstanceType.implement({
  description: 'One process of a data plane: its own journal, keys and link.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'signingKey' in value,
  fields: (t) => ({
    id: t.exposeID('id'),
    dataPlane: t.field({ type: DataPlane, resolve: (row, _, ctx) => referenced(ctx, 'dataPlane', row.dataPlane) }),
    state: t.expose('state', { type: DataPlaneStateEnum }),
    host: t.exposeString('host', { nullable: true }),
    version: t.exposeString('version', { nullable: true }),
    epoch: t.string({ resolve: ({ epoch }) => String(epoch) }),
    startedAt: t.expose('startedAt', { type: 'DateTime' }),
    lastSeenAt: t.expose('lastSeenAt', { type: 'DateTime', nullable: true }),
    activeRevision: t.expose('activeRevision', { type: 'SafeInt', nullable: true }),
    revocationNumber: t.expose('revocationNumber', { type: 'SafeInt', nullable: true }),
    snapshotAgeMs: t.expose('snapshotAgeMs', { type: 'SafeInt', nullable: true }),
    clockOffsetMs: t.exposeInt('clockOffsetMs', { nullable: true }),
    recordsThrough: t.expose('recordsThrough', {
      type: 'DateTime',
      nullable: true,
      description: 'Flight records up to here have reached the control plane.',
    }),
    signingKey: t.exposeString('signingKey'),
    encryptionKey: t.exposeString('encryptionKey'),
  }),
})

mutation('dataPlaneEnroll', {
  payload: payload<Enrolled>(
    'DataPlaneEnrollPayload',
    (t) => ({
      dataPlane: t.expose('dataPlane', { type: DataPlane, nullable: true }),
      enrollmentToken: t.exposeString('enrollmentToken', { nullable: true }),
      replayed: t.exposeBoolean('replayed'),
    }),
    '`enrollmentToken` is shown once: null on a replay. For a name that exists it lets one more process join that fleet.',
  ),
  input: builder.inputType('DataPlaneEnrollInput', {
    description: "Keys come from a site's enrolment file; online planes send theirs with the token.",
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      name: t.string({ required: true }),
      adapter: t.field({ type: configEnum('Adapter'), required: true }),
      signingKey: t.string(),
      encryptionKey: t.string(),
      labels: t.field({ type: 'Labels' }),
      tenants: t.stringList({
        description:
          "Tenants that its processes serve beside the caller's own, by id or name. Operators of the installation only.",
      }),
      reason: t.string(),
    }),
  }),
  run: (ctx, actor, input) => dataPlaneEnroll(ctx, actor, input as DataPlaneEnrollInput),
})
