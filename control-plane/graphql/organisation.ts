import { eq } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import { tenant as tenantRow } from '../db/tables.ts'
import { recoveringSince } from '../domain/budgets/reading.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import {
  ApiKeyFilter,
  DataPlaneFilter,
  ModelFilter,
  PolicyFilter,
  PrincipalFilter,
  ProjectFilter,
  ResourceFilter,
  resourceQuery,
  ScopedFilter,
} from './filters.ts'
import { listOf, pageOfResources, ResourceConnection } from './lists.ts'
import { loaders, read, referenced, resourceOf } from './loaders.ts'
import { ResourceKind } from './node.ts'
import { Node, Principal, Project, ResourceType, Team, Tenant } from './refs.ts'
import { isVisible, maySeeServing } from './visible.ts'

interface MembershipShape {
  principal: string
  role: string
  scope: Resource
  since: Date
}

export const Membership = builder.objectRef<MembershipShape>('Membership').implement({
  fields: (t) => ({
    principal: t.field({ type: Principal, resolve: (held, _, ctx) => referenced(ctx, 'principal', held.principal) }),
    scope: t.expose('scope', { type: ResourceType }),
    role: t.field({ type: configEnum('Role'), resolve: (held) => held.role }),
    since: t.expose('since', { type: 'DateTime' }),
  }),
})

const MembershipConnection = connectionOf(Membership)

type Scope = Resource<'tenant'> | Resource<'team'> | Resource<'project'>

/** Members of a scope, in the order they are declared in. */
async function membersOf(scope: Scope, args: { first?: number | null; after?: string | null }, ctx: GraphContext) {
  const from = Number(keysetAfter(args.after, 1)?.[0] ?? -1) + 1
  const size = pageSize(args)
  const rows = await Promise.all(
    scope.spec.members.slice(from, from + size).map(async ({ principal, role }, index) => {
      const held = await loaders(ctx).memberships.load(principal)
      const since = held.find((membership) => membership.scope.id === scope.id)?.since ?? scope.updatedAt
      return { principal, role, scope, since, index: from + index }
    }),
  )
  return page(rows, from + size < scope.spec.members.length, (row) => [row.index], args.after)
}

const RequestLabel = builder.objectRef<Resource<'tenant'>['spec']['requestLabels'][number]>('RequestLabel').implement({
  description:
    'A key that requests may carry, in x-sluice-labels or in the members of the body that `from` names. Labels set on the ApiKey ' +
    'win over what the request says.',
  fields: (t) => ({
    key: t.exposeString('key'),
    from: t.exposeStringList('from', { description: '`user`, `safety_identifier`, or `metadata.` and a name.' }),
    required: t.exposeBoolean('required', { description: 'A request without a value is refused.' }),
    values: t.exposeStringList('values', { nullable: true, description: 'Null = any, up to `maxValues`.' }),
    maxValues: t.exposeInt('maxValues'),
    subject: t.exposeBoolean('subject', {
      description: 'The value names a person; it is stored as a pseudonym.',
    }),
  }),
})

Tenant.implement({
  description: 'A company or installation-wide customer; everything else belongs to one.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('tenant'),
  fields: (t) => ({
    currency: t.field({ type: 'Currency', resolve: ({ spec }) => spec.currency }),
    maxStaleness: t.field({
      type: 'Duration',
      description: 'How long a data plane that hears nothing may go on serving.',
      resolve: ({ spec }) => spec.maxStaleness,
    }),
    members: t.field({
      type: MembershipConnection,
      args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
      authScopes: { may: 'config:read' },
      complexity: pageCost,
      resolve: membersOf,
    }),
    requestLabels: t.field({
      authScopes: (_tenant, _args, { actor }) => maySeeServing(actor),
      type: [RequestLabel],
      resolve: ({ spec }) => spec.requestLabels,
    }),
    configRevision: t.field({
      type: 'SafeInt',
      description: "The one number that orders this tenant's configuration.",
      resolve: (_tenant, _args, ctx) => configRevision(ctx),
    }),
    resources: t.field({
      type: ResourceConnection,
      description: 'Every declared resource, for dumps and search.',
      args: {
        kinds: t.arg({ type: [ResourceKind] }),
        labels: t.arg({ type: 'Labels' }),
        search: t.arg.string(),
        archived: t.arg.boolean({ defaultValue: false }),
        first: t.arg.int({ defaultValue: 50 }),
        after: t.arg({ type: 'Cursor' }),
      },
      authScopes: { may: 'config:read' },
      complexity: pageCost,
      resolve: async (_, args, ctx) => {
        const { labels, archived, search } = args
        const query = await resourceQuery(ctx, { labels, archived, search })
        return pageOfResources(ctx, query, (args.kinds as Kind[] | null | undefined) ?? null, args)
      },
    }),
    teams: listOf(t, 'team', { filter: ResourceFilter }),
    projects: listOf(t, 'project', { filter: ProjectFilter }),
    principals: listOf(t, 'principal', { filter: PrincipalFilter }),
    apiKeys: listOf(t, 'apiKey', { filter: ApiKeyFilter }),
    providers: listOf(t, 'provider', { filter: ResourceFilter }),
    models: listOf(t, 'model', { filter: ModelFilter }),
    tiers: listOf(t, 'tier', { filter: ResourceFilter, may: (_, { actor }) => maySeeServing(actor) }),
    aliases: listOf(t, 'alias', { filter: ResourceFilter, may: (_, { actor }) => maySeeServing(actor) }),
    routes: listOf(t, 'route', { filter: ResourceFilter }),
    priceSheets: listOf(t, 'priceSheet'),
    budgets: listOf(t, 'budget', { filter: ScopedFilter }),
    budgetsRecoveringSince: t.field({
      type: 'DateTime',
      nullable: true,
      authScopes: { may: 'config:read' },
      description:
        'The books of budgets came from a backup then: nothing is leased until every gateway has said what it holds. Null: they did not.',
      resolve: (_, _args, ctx) => read(ctx, recoveringSince),
    }),
    rateLimits: listOf(t, 'rateLimit', { filter: ScopedFilter }),
    policies: listOf(t, 'policy', { filter: PolicyFilter, oneOf: { kind: 'spec' } }),
    webhooks: listOf(t, 'webhook'),
    alertRules: listOf(t, 'alertRule'),
    dataPlanes: listOf(t, 'dataPlane', { filter: DataPlaneFilter }),
  }),
})

/** A project names its team to those who may see the project alone. */
const seesTeam = (team: Resource<'team'>, _args: unknown, { actor }: GraphContext) => isVisible(actor, team)

Team.implement({
  description: 'People who share projects and a cost centre.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('team'),
  fields: (t) => ({
    members: t.field({
      type: MembershipConnection,
      args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
      authScopes: seesTeam,
      complexity: pageCost,
      resolve: membersOf,
    }),
    projects: listOf(t, 'project', { where: ({ id }) => ({ team: [id] }) }),
    costCenter: t.string({ nullable: true, authScopes: seesTeam, resolve: ({ spec }) => spec.costCenter }),
  }),
})

const Retention = builder.objectRef<Resource<'project'>['spec']['retention']>('Retention').implement({
  description: 'How long records and payloads are kept. Null = as long as the preset says.',
  fields: (t) => ({
    preset: t.field({ type: configEnum('RetentionPreset'), resolve: ({ preset }) => preset }),
    records: t.expose('records', { type: 'Duration', nullable: true }),
    payloads: t.expose('payloads', { type: 'Duration', nullable: true }),
  }),
})

Project.implement({
  description: 'A use case: the unit that is approved, budgeted and audited.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('project'),
  fields: (t) => ({
    team: t.field({ type: Team, resolve: ({ spec }, _, ctx) => referenced(ctx, 'team', spec.team) }),
    members: t.field({
      type: MembershipConnection,
      args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
      complexity: pageCost,
      resolve: membersOf,
    }),
    owner: t.field({
      type: Principal,
      nullable: true,
      resolve: ({ spec }, _, ctx) => resourceOf(ctx, 'principal', spec.owner),
    }),
    purpose: t.string({ nullable: true, resolve: ({ spec }) => spec.purpose }),
    riskClass: t.field({
      type: configEnum('RiskClass'),
      nullable: true,
      description: 'EU AI Act class of the use case; null = not yet assessed.',
      resolve: ({ spec }) => spec.riskClass,
    }),
    dataClass: t.field({ type: configEnum('DataClass'), resolve: ({ spec }) => spec.dataClass }),
    retention: t.field({ type: Retention, resolve: ({ spec }) => spec.retention }),
    apiKeys: listOf(t, 'apiKey', { filter: ApiKeyFilter, where: ({ id }) => ({ project: [id] }) }),
  }),
})

const Identity = builder.objectRef<{ issuer: string; subject: string }>('Identity').implement({
  description: 'How a principal signs in. A subject means nothing without its issuer.',
  fields: (t) => ({ issuer: t.exposeString('issuer'), subject: t.exposeString('subject') }),
})

Principal.implement({
  description: 'Whoever or whatever acts: a person or a service.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('principal'),
  fields: (t) => ({
    kind: t.field({ type: configEnum('PrincipalKind'), resolve: ({ spec }) => spec.kind }),
    identities: t.field({
      type: [Identity],
      authScopes: { may: 'config:read' },
      resolve: ({ spec }) => spec.identities,
    }),
    memberships: t.field({
      type: [Membership],
      description: 'Those on scopes that the caller may see.',
      resolve: async ({ id }, _, ctx) => {
        const held = await loaders(ctx).memberships.load(id)
        return held.filter(({ scope }) => isVisible(ctx.actor, scope))
      },
    }),
    apiKeys: listOf(t, 'apiKey', {
      where: ({ id }) => ({ principal: [id] }),
      may: ({ id }, { actor }) => actor.principal === id,
    }),
  }),
})

builder.queryField('tenant', (t) =>
  t.field({ type: Tenant, resolve: (_, _args, ctx) => referenced(ctx, 'tenant', ctx.actor.tenant) }),
)

/** Tells a kind's objects apart where a type is asked of a value. */
export function ofKind(kind: Kind) {
  return (value: unknown) => (value as Resource).kind === kind
}

async function configRevision(ctx: GraphContext): Promise<number> {
  const rows = await read(ctx, (tx, tenant) =>
    tx.select({ revision: tenantRow.configRevision }).from(tenantRow).where(eq(tenantRow.id, tenant)),
  )
  return rows[0]?.revision ?? 0
}
