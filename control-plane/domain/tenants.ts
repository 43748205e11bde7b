import { and, asc, desc, eq, gt, ilike, isNull, or, type SQL, sql } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { chainStart } from '../../schema/flight-record.ts'
import { type IdKind, mintId } from '../../schema/ids.ts'
import { permissionsOf } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import { logState, resource, tenant as tenantTable } from '../db/tables.ts'
import { type Actor, systemActor } from './actor.ts'
import { type AuditRow, findAudit, record, recordRefused } from './audit.ts'
import type { Context } from './context.ts'
import { newContentKey } from './credentials.ts'
import { parseName, parseSpec } from './draft-spec.ts'
import { invalidInput, notPermitted, type UserError, type Written } from './errors.ts'
import { remember, replayOf } from './idempotency.ts'
import { claimIdentities } from './identities.ts'
import { addSecret } from './key-secrets.ts'
import { changeOf, type Draft } from './plan.ts'
import { writeRevision } from './write.ts'
import { cursorOf } from './written.ts'

/** One maker of tenants at a time: names are unique over the installation, and exactly one tenant is the first. */
const tenantsLock = 5_834_520_003
const permission = 'installation:tenants'

export interface TenantCreateInput {
  idempotencyKey: string
  name: string
  currency?: string | null
  /** Of the first principal, who becomes OWNER. */
  ownerName?: string | null
  owner?: { issuer: string; subject: string } | null
  reason?: string | null
}

export interface TenantCreated extends Written {
  tenant: string | null
  /** The first `sla_` token; shown once. */
  adminToken: string | null
  replayed: boolean
}

/** A tenant as operators of the installation see it from outside. */
export interface TenantSummary {
  id: string
  name: string
  createdAt: Date
}

export interface TenantCreatePayload extends Written {
  tenant: TenantSummary | null
  adminToken: string | null
  replayed: boolean
}

/** As an operator of the installation. Audited in the operator's tenant and, on the operator's behalf, in the new one. */
export async function tenantCreate(
  ctx: Context,
  operator: Actor,
  input: TenantCreateInput,
): Promise<TenantCreatePayload> {
  const nothing = { tenant: null, adminToken: null, replayed: false }
  if (!operator.permissions.has(permission)) {
    const audit = await recordRefused(ctx, operator, 'tenant.create', permission)
    const cursor = await cursorOf(ctx, operator.tenant, audit)
    return { ...nothing, errors: [notPermitted(permission)], audit, cursor }
  }
  const { tenant, ...written } = await createIn(ctx, input, operator)
  const summary = tenant ? await findTenant(ctx, tenant) : undefined
  return { ...written, tenant: summary ?? null, cursor: await cursorOf(ctx, operator.tenant, written.audit) }
}

/** A tenant with its first owner and that owner's admin token. For the system itself: it asks for no permission. */
export async function createTenant(ctx: Context, input: TenantCreateInput): Promise<TenantCreated> {
  const created = await createIn(ctx, input)
  return { ...created, cursor: created.tenant && (await cursorOf(ctx, created.tenant, created.audit)) }
}

const createIn = (ctx: Context, input: TenantCreateInput, operator?: Actor) =>
  ctx.db.withInstallation((tx) => create(tx, ctx, input, operator), { keep: ({ errors }) => errors.length === 0 })

async function create(tx: Tx, ctx: Context, input: TenantCreateInput, operator?: Actor): Promise<TenantCreated> {
  const { idempotencyKey, reason: _, ...body } = input
  const errors: UserError[] = []
  const nothing = { errors, audit: null, cursor: null, tenant: null, adminToken: null, replayed: false }
  await tx.execute(sql`select pg_advisory_xact_lock(${tenantsLock})`)
  // Keys of this verb are the installation's: they are kept under no tenant.
  const keeper = systemActor('')
  const mint = { operation: 'tenant.create', key: idempotencyKey, body }
  const before = await replayOf(tx, ctx, keeper, mint)
  if (before && 'error' in before) return { ...nothing, errors: [before.error] }
  if (before) {
    const { resource: tenant, audit } = before.remembered
    const entry = operator && (await findAudit(tx, operator.tenant, audit))
    return { ...nothing, tenant, audit: entry ?? null, replayed: true }
  }
  if (await isNamed(tx, input.name)) errors.push(invalidInput(['name'], 'is the name of a tenant already'))
  const drafts = firstDrafts(input, ctx.clock.now(), errors)
  if (errors.length === 0) {
    const refused: UserError[] = []
    await claimIdentities(tx, drafts[0]!.after.id, drafts, refused)
    errors.push(...refused.map(underOwner))
  }
  if (errors.length > 0) return nothing
  const made = await writeTenant(tx, ctx, drafts, input.reason, operator)
  const audit = operator ? await noteCreation(tx, ctx, operator, drafts[0]!.after, input.reason) : made.audit
  await remember(tx, ctx, keeper, mint, { resource: made.tenant, audit: audit.id })
  return { ...nothing, ...made, audit }
}

/** The operator's own tenant keeps the act too. */
async function noteCreation(tx: Tx, ctx: Context, operator: Actor, { id, name }: Resource, reason?: string | null) {
  const audit = await record(tx, ctx, operator, {
    action: 'tenant.create',
    targets: [{ id, name, changes: [] }],
    reason,
  })
  await ctx.db.notify(tx, 'records', operator.tenant)
  return audit
}

async function isNamed(tx: Tx, name: string): Promise<boolean> {
  const taken = and(eq(resource.kind, 'tenant'), eq(resource.name, name), isNull(resource.archivedAt))
  return (await tx.select({ id: resource.id }).from(resource).where(taken).limit(1)).length > 0
}

/** The tenant, its owner, and the owner's first key. */
function firstDrafts(input: TenantCreateInput, nowMs: number, errors: UserError[]): Draft[] {
  const name = parseName({ name: input.name }, [], errors) ?? ''
  const ownerName = input.ownerName ?? 'owner'
  const misnamed: UserError[] = []
  parseName({ name: ownerName }, [], misnamed)
  errors.push(...misnamed.map((error) => ({ ...error, path: ['ownerName'] })))
  const owner = mintId('principal', nowMs)
  const identities = input.owner ? [input.owner] : []
  const draft = (kind: Resource['kind'], id: string, of: string, fields: Record<string, unknown>): Draft => {
    const found: UserError[] = []
    const spec = parseSpec(kind, fields, undefined, [], found)
    const issues = spec ? (declarations[kind].rules?.(spec as never) ?? []) : []
    found.push(...issues.map(({ path, message }) => invalidInput(path, message)))
    errors.push(...found.map(underOwner))
    const stamps = { createdAt: new Date(nowMs), updatedAt: new Date(nowMs), revision: 0, archivedAt: null }
    return {
      before: undefined,
      after: { id, kind, name: of, labels: {}, spec: spec ?? {}, ...stamps } as unknown as Resource,
      path: [],
    }
  }
  const id = (kind: IdKind) => mintId(kind, nowMs)
  const members = [{ principal: owner, role: 'OWNER' }]
  return [
    draft('tenant', id('tenant'), name, { currency: input.currency ?? undefined, members }),
    draft('principal', owner, ownerName, { kind: 'PERSON', identities }),
    draft('apiKey', id('apiKey'), 'first-admin', { kind: 'ADMIN', principal: owner }),
  ]
}

/** The one identity of the first principal is `owner` in this input. */
const underOwner = (one: UserError): UserError =>
  one.path[0] === 'identities' ? { ...one, path: ['owner', ...one.path.slice(2)] } : one

async function writeTenant(
  tx: Tx,
  ctx: Context,
  drafts: Draft[],
  reason: string | null | undefined,
  operator: Actor | undefined,
): Promise<{ tenant: string; adminToken: string; audit: AuditRow }> {
  const tenant = drafts[0]!.after.id
  const isFirst = (await tx.select({ id: tenantTable.id }).from(tenantTable).limit(1)).length === 0
  await tx.insert(tenantTable).values({
    id: tenant,
    operates: isFirst,
    createdAt: new Date(ctx.clock.now()),
    auditHash: chainStart,
    sealedContentKey: newContentKey(ctx, tenant),
  })
  await tx.insert(logState).values({ tenant })
  const changes = drafts.map((draft) => changeOf(draft, (id) => id))
  const act = { action: 'tenant.create', reason, changes }
  const actor = operator ? onBehalfOf(operator, tenant, new Set()) : systemActor(tenant)
  const { audit } = await writeRevision(tx, ctx, actor, drafts, act)
  return { tenant, adminToken: await addSecret(tx, ctx, tenant, drafts[2]!.after as Resource<'apiKey'>), audit }
}

/** Who acts in a tenant that is not its own: the installation, on behalf of its operator. */
const onBehalfOf = (operator: Actor, tenant: string, permissions: Actor['permissions']): Actor => ({
  ...systemActor(tenant),
  id: 'installation',
  name: 'Operator of the installation',
  permissions,
  onBehalfOf: operator,
})

export type NoTenant = 'NO_SUCH_TENANT' | 'SEVERAL_SUCH_TENANTS'

/**
 * An actor in the tenant that it names by id or name: in its own as itself, and as an operator of the installation in any with
 * what an owner there may do, as far as the operator holds it itself, audited `onBehalfOf` it. Who is no operator is answered
 * as if there were no other tenant.
 */
export async function actAs(ctx: Context, actor: Actor, tenant: string): Promise<Actor | NoTenant> {
  if (tenant === actor.tenant) return actor
  const among = actor.permissions.has(permission) ? undefined : eq(resource.id, actor.tenant)
  const [found, other] = await findTenants(ctx, tenant, among)
  if (!found) return 'NO_SUCH_TENANT'
  // A tenant renames itself as it likes: a name that two have must not lead an operator into the wrong one.
  if (other && found.id !== tenant) return 'SEVERAL_SUCH_TENANTS'
  if (found.id === actor.tenant) return actor
  return onBehalfOf(actor, found.id, permissionsOf('OWNER').intersection(actor.permissions))
}

const summary = { id: resource.id, name: resource.name, createdAt: resource.createdAt }
const live = and(eq(resource.kind, 'tenant'), isNull(resource.archivedAt))

const findTenant = async (ctx: Context, id: string): Promise<TenantSummary | undefined> =>
  (await findTenants(ctx, id)).find((one) => one.id === id)

/** At most two: the tenant with this id first, though another may have taken it for its name. */
function findTenants(ctx: Context, ref: string, among?: SQL): Promise<TenantSummary[]> {
  const byId = eq(resource.id, ref)
  const named = and(live, or(byId, eq(resource.name, ref)), among)
  return ctx.db.withInstallation((tx) =>
    tx.select(summary).from(resource).where(named).orderBy(desc(byId), asc(resource.id)).limit(2),
  )
}

export interface TenantsQuery {
  search?: string | null
  first: number
  /** Id of the last row of the page before. */
  after?: string | null
}

/** Tenants of this installation, oldest first. Whoever calls has seen to the permission. */
export async function tenants(ctx: Context, query: TenantsQuery): Promise<{ rows: TenantSummary[]; hasNext: boolean }> {
  const { search, first, after } = query
  const like = search ? ilike(resource.name, `%${search.replace(/[\\%_]/g, '\\$&')}%`) : undefined
  const later = after ? gt(resource.id, after) : undefined
  const rows = await ctx.db.withInstallation((tx) =>
    tx
      .select(summary)
      .from(resource)
      .where(and(live, like, later))
      .orderBy(asc(resource.id))
      .limit(first + 1),
  )
  return { rows: rows.slice(0, first), hasNext: rows.length > first }
}

/** Tenants of this installation, oldest first. */
export async function listTenants(ctx: Context): Promise<{ id: string; name: string }[]> {
  return ctx.db.withInstallation((tx) =>
    tx
      .select({ id: resource.id, name: resource.name })
      .from(resource)
      .where(and(eq(resource.kind, 'tenant'), isNull(resource.archivedAt)))
      .orderBy(asc(resource.id)),
  )
}
