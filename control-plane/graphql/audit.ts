import type { ObjectRef } from '@pothos/core'
import { type AuditActor, type AuditFilter as Filter, listAudit, type AuditTarget as Target } from '../domain/audit.ts'
import { FieldChange } from './apply.ts'
import { builder, type Types } from './builder.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import { idsOf, rangeOf, TimeRange } from './filters.ts'
import { read } from './loaders.ts'
import { AuditEntry, Node } from './refs.ts'

const ActorKind = builder.enumType('ActorKind', {
  values: ['PERSON', 'SERVICE', 'API_KEY', 'DATA_PLANE', 'SYSTEM'] as const,
})

export interface ActorShape {
  kind: AuditActor['kind']
  id: string
  name: string
  onBehalfOf?: ActorShape | null
}

export const Actor: ObjectRef<Types, ActorShape> = builder.objectRef<ActorShape>('Actor')
builder.objectType(Actor, {
  fields: (t) => ({
    kind: t.expose('kind', { type: ActorKind }),
    id: t.exposeID('id'),
    name: t.exposeString('name'),
    onBehalfOf: t.field({ type: Actor, nullable: true, resolve: ({ onBehalfOf }) => onBehalfOf ?? null }),
  }),
})

const AuditTarget = builder.objectRef<Target>('AuditTarget').implement({
  fields: (t) => ({
    ref: t.field({ type: 'Ref', resolve: ({ id }) => id }),
    name: t.exposeString('name'),
    changes: t.expose('changes', { type: [FieldChange] }),
  }),
})

AuditEntry.implement({
  description: 'What is kept of an admin act. Written in the same transaction as the change it tells of.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'correlation' in value,
  fields: (t) => ({
    id: t.exposeID('id'),
    sequence: t.expose('sequence', { type: 'SafeInt' }),
    at: t.expose('at', { type: 'DateTime' }),
    revision: t.expose('revision', { type: 'SafeInt', nullable: true }),
    actor: t.expose('actor', { type: Actor }),
    action: t.exposeString('action'),
    targets: t.expose('targets', { type: [AuditTarget] }),
    reason: t.exposeString('reason', { nullable: true }),
    correlation: t.exposeID('correlation'),
    source: t.exposeString('source', { nullable: true }),
    allowed: t.exposeBoolean('allowed', { description: 'False: a privileged attempt that was refused.' }),
    previousHash: t.exposeString('previousHash'),
    hash: t.exposeString('hash'),
    logIndex: t.expose('logIndex', { type: 'SafeInt', nullable: true }),
  }),
})

const AuditFilter = builder.inputType('AuditFilter', {
  fields: (t) => ({
    actor: t.field({ type: ['Ref'] }),
    action: t.stringList(),
    target: t.field({ type: ['Ref'] }),
    at: t.field({ type: TimeRange }),
    correlation: t.id(),
  }),
})

builder.queryField('audit', (t) =>
  t.field({
    type: connectionOf(AuditEntry),
    description: 'Newest first.',
    args: {
      filter: t.arg({ type: AuditFilter }),
      first: t.arg.int({ defaultValue: 50 }),
      after: t.arg({ type: 'Cursor' }),
    },
    authScopes: { may: 'audit:read' },
    complexity: pageCost,
    resolve: async (_, args, ctx) => {
      const { filter } = args
      const asked: Filter = {
        ...filter,
        at: rangeOf(filter?.at),
        actor: await idsOf(ctx, filter?.actor),
        target: await idsOf(ctx, filter?.target),
      }
      const after = keysetAfter(args.after, 1)?.[0]
      const { rows, hasNext } = await read(ctx, (tx, tenant) =>
        listAudit(tx, tenant, {
          filter: asked,
          first: pageSize(args),
          after: after === undefined ? null : Number(after),
        }),
      )
      return page(rows, hasNext, (row) => [row.sequence], args.after)
    },
  }),
)
