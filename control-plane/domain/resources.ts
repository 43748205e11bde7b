import { and, asc, eq, gt, gte, inArray, isNull, lt, or, type SQL, sql } from 'drizzle-orm'
import { declarations, type Resource, type z } from '../../schema/config/index.ts'
import { type Kind, kindList, parseRef } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { resource, resourceReference } from '../db/tables.ts'

export type ResourceRow = typeof resource.$inferSelect

/**
 * A row as the domain sees it. Rows are written by `apply` alone, from what zod gave, so the spec is the kind's; a field that was
 * declared after the row was written has its default.
 */
export function resourceOf(row: ResourceRow): Resource {
  const { tenant: _, ...rest } = row
  fillSpec(rest.kind as Kind, rest.spec)
  return rest as unknown as Resource
}

/** Gives a spec as it was written the defaults of what was declared since. */
export function fillSpec(kind: Kind, spec: Record<string, unknown>): Record<string, unknown> {
  for (const [field, type] of fieldsOf(kind)) if (!(field in spec)) spec[field] = type.safeParse(undefined).data
  return spec
}

const fieldsByKind = new Map(kindList.map((kind) => [kind, Object.entries(declarations[kind].spec.shape)]))
const fieldsOf = (kind: Kind) => fieldsByKind.get(kind) as [string, z.ZodType][]

/** The live resource that an id or a handle names. An archived one is found by its id alone. */
export async function findResource(tx: Tx, tenant: string, ref: string): Promise<Resource | undefined> {
  const parsed = parseRef(ref)
  if (!parsed) return undefined
  const named =
    parsed.by === 'id'
      ? eq(resource.id, parsed.id)
      : and(eq(resource.kind, parsed.kind), eq(resource.name, parsed.name), isNull(resource.archivedAt))
  const [row] = await tx
    .select()
    .from(resource)
    .where(and(eq(resource.tenant, tenant), named))
  return row && resourceOf(row)
}

/** In the order of `ids`; archived ones too, since records name them for ever. */
export async function resourcesByIds(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<(Resource | undefined)[]> {
  const found = new Map<string, Resource>()
  for (const some of chunks([...new Set(ids)])) {
    const rows = await tx
      .select()
      .from(resource)
      .where(and(eq(resource.tenant, tenant), inArray(resource.id, some)))
    for (const row of rows) found.set(row.id, resourceOf(row))
  }
  return ids.map((id) => found.get(id))
}

const chunkSize = 5_000

/** Lists for `in (…)`, each short enough for one statement. */
export function chunks<T>(items: readonly T[], size = chunkSize): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}

export interface ResourceQuery {
  kinds?: readonly Kind[] | null
  /** All must be there. */
  labels?: Record<string, string> | null
  /** Part of the name, in either case. */
  search?: string | null
  /** false or absent = live ones only; true = archived ones too. */
  archived?: boolean | null
  /** Fields of the spec, each with the values it may have (ids for references). */
  where?: Record<string, readonly string[] | null | undefined> | null
  /** Fields of the spec that hold one of some members, each with those it may be. */
  holding?: Record<string, readonly string[]> | null
  updatedAt?: { from?: Date | null; to?: Date | null } | null
  first: number
  /** Id of the last row of the page before. */
  after?: string | null
}

/** A page, in the order of ids: kind by kind, and within one kind the order of creation. */
export async function listResources(
  tx: Tx,
  tenant: string,
  query: ResourceQuery,
): Promise<{ rows: Resource[]; hasNext: boolean }> {
  const { kinds, labels, search, archived, where, holding, updatedAt, first, after } = query
  const conditions: (SQL | undefined)[] = [
    eq(resource.tenant, tenant),
    kinds ? inArray(resource.kind, [...kinds]) : undefined,
    archived ? undefined : isNull(resource.archivedAt),
    labels ? hasLabels(labels) : undefined,
    search ? sql`position(lower(${search}) in lower(${resource.name})) > 0` : undefined,
    updatedAt?.from ? gte(resource.updatedAt, updatedAt.from) : undefined,
    updatedAt?.to ? lt(resource.updatedAt, updatedAt.to) : undefined,
    after ? gt(resource.id, after) : undefined,
    ...Object.entries(where ?? {}).map(([field, values]) => (values ? hasValue(field, values) : undefined)),
    ...Object.entries(holding ?? {}).map(([field, members]) => hasMember(field, members)),
  ]
  const rows = await tx
    .select()
    .from(resource)
    .where(and(...conditions))
    .orderBy(asc(resource.id))
    .limit(first + 1)
  return { rows: rows.slice(0, first).map(resourceOf), hasNext: rows.length > first }
}

export const hasLabels = (labels: Record<string, string>) => sql`${resource.labels} @> ${JSON.stringify(labels)}::jsonb`

const hasValue = (field: string, values: readonly string[]) =>
  values.length === 0 ? sql`false` : inArray(sql`${resource.spec} ->> ${field}`, [...values])

const hasMember = (field: string, members: readonly string[]) =>
  or(...members.map((member) => sql`${resource.spec} -> ${field} -> ${member} is not null`)) ?? sql`false`

/** Every live resource of some kinds: what compiling and pruning look at. */
export async function liveResources<K extends Kind>(
  tx: Tx,
  tenant: string,
  kinds: readonly K[],
): Promise<Resource<K>[]> {
  const rows = await tx
    .select()
    .from(resource)
    .where(and(eq(resource.tenant, tenant), inArray(resource.kind, [...kinds]), isNull(resource.archivedAt)))
    .orderBy(asc(resource.id))
  return rows.map(resourceOf) as Resource<K>[]
}

/** Ids of every live resource of some kinds. */
export async function everyIdOf(tx: Tx, tenant: string, kinds: readonly Kind[]): Promise<string[]> {
  const rows = await tx
    .select({ id: resource.id })
    .from(resource)
    .where(and(eq(resource.tenant, tenant), inArray(resource.kind, [...kinds]), isNull(resource.archivedAt)))
  return rows.map(({ id }) => id)
}

/** Live resources that name any of these. */
export async function referrers(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<{ from: string; to: string; path: string }[]> {
  const found: { from: string; to: string; path: string }[] = []
  for (const some of chunks(ids)) {
    const rows = await tx
      .select()
      .from(resourceReference)
      .where(and(eq(resourceReference.tenant, tenant), inArray(resourceReference.toId, some)))
    found.push(...rows.map(({ fromId, toId, path }) => ({ from: fromId, to: toId, path })))
  }
  return found
}

export interface Membership {
  principal: string
  /** Tenant, team or project. */
  scope: Resource
  role: string
  since: Date
}

/** Every role that a principal holds, on any scope. */
export async function membershipsOf(tx: Tx, tenant: string, principal: string): Promise<Membership[]> {
  const naming = await referrers(tx, tenant, [principal])
  const scopes = new Set(naming.filter(({ path }) => path.startsWith('members.')).map(({ from }) => from))
  const found = await resourcesByIds(tx, tenant, [...scopes])
  return found.flatMap((scope) =>
    scope && hasMembers(scope)
      ? scope.spec.members
          .filter((member) => member.principal === principal)
          .map(({ role }) => ({ principal, scope, role, since: scope.updatedAt }))
      : [],
  )
}

export const scopeKinds = ['tenant', 'team', 'project'] as const satisfies readonly Kind[]
type ScopeKind = (typeof scopeKinds)[number]

export function hasMembers(candidate: Resource): candidate is Resource<ScopeKind> {
  return (scopeKinds as readonly string[]).includes(candidate.kind)
}

/** Kinds whose resources exist only once something was issued: `apply` changes them, and never makes or prunes them. */
export const issuedKinds: ReadonlySet<Kind> = new Set(['apiKey', 'dataPlane'])
export const everyKind: readonly Kind[] = kindList
