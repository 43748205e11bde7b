import { handleOf, kindList, kinds } from '../../schema/handles.ts'
import { idKind } from '../../schema/ids.ts'
import type { Permission } from '../../schema/permissions.ts'
import { findAudit } from '../domain/audit.ts'
import { findAdjustment } from '../domain/budgets/reading.ts'
import { findRecord } from '../domain/records.ts'
import { findResource } from '../domain/resources.ts'
import { findDelivery } from '../domain/webhooks/deliveries.ts'
import { builder } from './builder.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { isLeaseId, leaseById } from './lease-id.ts'
import { loaders, meets, read, visibleResource } from './loaders.ts'
import { Node, ResourceType } from './refs.ts'
import { readablePrincipals } from './visible.ts'

export const ResourceKind = builder.enumType('ResourceKind', {
  values: Object.fromEntries(kindList.map((kind) => [kinds[kind].enum, { value: kind }])),
})

ResourceType.implement({
  description:
    'Everything an administrator declares. `handle` is `kind/name`, unique within the tenant, and is what config files use; ' +
    "`id` never changes. `revision` is the tenant's configuration revision at which this resource last changed.",
  interfaces: [Node],
  resolveType: (resource) => kinds[resource.kind].type,
  fields: (t) => ({
    id: t.exposeID('id'),
    handle: t.string({ resolve: ({ kind, name }) => handleOf(kind, name) }),
    name: t.exposeString('name'),
    labels: t.expose('labels', { type: 'Labels' }),
    revision: t.expose('revision', { type: 'SafeInt' }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime' }),
    archivedAt: t.expose('archivedAt', { type: 'DateTime', nullable: true }),
  }),
})

/** What an id names, if this actor may see it. */
async function nodeById(ctx: GraphContext, id: string): Promise<object | null> {
  const kind = idKind(id)
  const may = (permission: Permission) => ctx.actor.permissions.has(permission)
  if (kind === 'audit') {
    if (!ctx.actor.permissions.has('audit:read')) return null
    return (await read(ctx, (tx, tenant) => findAudit(tx, tenant, id))) ?? null
  }
  if (kind === 'request') return recordById(ctx, id)
  if (kind === 'instance') {
    if (!ctx.actor.permissions.has('config:read')) return null
    return (await loaders(ctx).instance.load(id)) ?? null
  }
  if (kind === 'alert') return may('event:read') ? ((await loaders(ctx).alert.load(id)) ?? null) : null
  if (kind === 'webhookDelivery')
    return may('config:read') ? ((await read(ctx, (tx, tenant) => findDelivery(tx, tenant, id))) ?? null) : null
  if (kind === 'budgetAdjustment') {
    if (!ctx.actor.permissions.has('config:read')) return null
    return (await read(ctx, (tx, tenant) => findAdjustment(tx, tenant, id))) ?? null
  }
  if (isLeaseId(id)) return leaseById(ctx, id)
  return kind && kind in kinds ? visibleResource(ctx, id) : null
}

async function recordById(ctx: GraphContext, id: string): Promise<object | null> {
  const principals = readablePrincipals(ctx.actor, 'record')
  if (principals === undefined) return null
  const found = await read(ctx, (tx, tenant) => findRecord(tx, tenant, id))
  const principal = found?.record.principal
  return found && (principals === null || (principal && principals.includes(principal))) ? found : null
}

const idsMax = 100

builder.queryFields((t) => ({
  node: t.field({
    type: Node,
    nullable: true,
    args: { id: t.arg.id({ required: true }) },
    resolve: (_, { id }, ctx) => nodeById(ctx, id),
  }),
  nodes: t.field({
    type: [Node],
    nullable: { list: false, items: true },
    args: { ids: t.arg.idList({ required: true }) },
    complexity: ({ ids }) => ({ field: 1, multiplier: ids.length }),
    resolve: (_, { ids }, ctx) => {
      if (ids.length > idsMax) throw requestError('BAD_DOCUMENT', `At most ${idsMax} ids at once.`)
      return Promise.all(ids.map((id) => nodeById(ctx, id)))
    },
  }),
  resource: t.field({
    type: ResourceType,
    nullable: true,
    args: { ref: t.arg({ type: 'Ref', required: true }) },
    resolve: async (_, { ref }, ctx) => {
      const found = await read(ctx, (tx, tenant) => findResource(tx, tenant, ref))
      return found && (await meets(ctx, found)) ? found : null
    },
  }),
}))
