import type { InputRef, ObjectRef } from '@pothos/core'
import type { Resource } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import { listResources } from '../domain/resources.ts'
import type { Types } from './builder.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import { resourceQuery } from './filters.ts'
import { read } from './loaders.ts'
import {
  AlertRule,
  Alias,
  ApiKey,
  Budget,
  DataPlane,
  Model,
  Policy,
  PriceSheet,
  Principal,
  Project,
  Provider,
  RateLimit,
  ResourceType,
  Route,
  Team,
  Tier,
  Webhook,
} from './refs.ts'

type Fields<Parent extends object> = PothosSchemaTypes.ObjectFieldBuilder<Types, Parent>
type Where = Record<string, readonly string[]>

export const ResourceConnection = connectionOf(ResourceType)
const connections = {
  team: connectionOf(Team),
  project: connectionOf(Project),
  principal: connectionOf(Principal),
  apiKey: connectionOf(ApiKey),
  provider: connectionOf(Provider),
  model: connectionOf(Model),
  tier: connectionOf(Tier),
  alias: connectionOf(Alias),
  route: connectionOf(Route),
  priceSheet: connectionOf(PriceSheet),
  budget: connectionOf(Budget),
  rateLimit: connectionOf(RateLimit),
  policy: connectionOf(Policy),
  webhook: connectionOf(Webhook),
  alertRule: connectionOf(AlertRule),
  dataPlane: connectionOf(DataPlane),
}

interface ListOptions<Parent> {
  filter?: InputRef<object>
  /** What holds for every row beside the filter, such as the parent it belongs to. */
  where?: (parent: Parent) => Where
  /** Fields of the filter that ask which member a field of the spec holds. */
  oneOf?: Record<string, string>
  /** Whose lists even those may read who may not read everything, such as a principal's own keys. */
  may?: (parent: Parent, ctx: GraphContext) => boolean
}

/** A field that lists resources of a kind, page by page in the order of creation. */
export function listOf<Parent extends object, K extends keyof typeof connections>(
  t: Fields<Parent>,
  kind: K,
  options: ListOptions<Parent> = {},
) {
  const args = { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) }
  return t.field({
    type: connections[kind] as ObjectRef<Types, ReturnType<typeof page<Resource<K>>>>,
    args: options.filter ? { filter: t.arg({ type: options.filter }), ...args } : args,
    authScopes: (parent: unknown, _args: unknown, ctx: GraphContext) =>
      ctx.actor.permissions.has('config:read') || (options.may?.(parent as Parent, ctx) ?? false),
    complexity: pageCost,
    resolve: (async (
      parent: Parent,
      given: { first?: number | null; after?: string | null; filter?: object },
      ctx: GraphContext,
    ) => {
      const query = await resourceQuery(ctx, given.filter as Record<string, unknown>, options.oneOf)
      return pageOfResources(ctx, { ...query, where: { ...query.where, ...options.where?.(parent) } }, [kind], given)
    }) as never,
  })
}

/** One page of resources of some kinds; all kinds where none is named. */
export async function pageOfResources(
  ctx: GraphContext,
  query: Awaited<ReturnType<typeof resourceQuery>>,
  kinds: readonly Kind[] | null,
  args: { first?: number | null; after?: string | null },
) {
  const after = keysetAfter(args.after, 1)?.[0]
  const { rows, hasNext } = await read(ctx, (tx, tenant) =>
    listResources(tx, tenant, {
      ...query,
      kinds,
      first: pageSize(args),
      after: after === undefined ? null : String(after),
    }),
  )
  return page(rows, hasNext, (row) => [row.id], args.after)
}
