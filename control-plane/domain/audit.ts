import { createHash, randomBytes } from 'node:crypto'
import canonicalize from 'canonicalize'
import { and, desc, eq, gte, inArray, lt, or, type SQL, sql } from 'drizzle-orm'
import { mintId } from '../../schema/ids.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import { auditEntry } from '../db/tables.ts'
import type { Actor, ActorKind } from './actor.ts'
import type { Context } from './context.ts'
import { advanceTenant, lockTenant } from './tenant-lock.ts'

export interface FieldChange {
  path: string[]
  before: string | null
  after: string | null
  /** Speaks of a person: kept beside the hashed entry, where it can be erased. */
  personal?: boolean
}

export interface AuditTarget {
  /** Id of the resource. */
  id: string
  name: string
  changes: FieldChange[]
}

export interface AuditActor {
  kind: ActorKind
  id: string
  name: string
  onBehalfOf: AuditActor | null
}

export interface AuditRow {
  id: string
  tenant: string
  sequence: number
  at: Date
  revision: number | null
  actor: AuditActor
  action: string
  targets: AuditTarget[]
  reason: string | null
  correlation: string
  source: string | null
  allowed: boolean
  previousHash: string
  hash: string
  /** Number in the tenant's log; null until it is there. */
  logIndex: number | null
}

export interface AuditAct {
  action: string
  targets: AuditTarget[]
  reason?: string | null
  revision?: number | null
  allowed?: boolean
  correlation?: string
}

/** What is hashed and chained: ids, codes and fields of configuration; names, reasons and personal fields are not in it. */
interface Leaf {
  action: string
  actor: LeafActor
  allowed: boolean
  at: string
  correlation: string
  id: string
  previousHash: string
  reasonCommitment: string | null
  revision: number | null
  schemaVersion: 1
  sequence: number
  source: null
  targets: {
    id: string
    changes: { path: string[]; before: string | null; after: string | null; erasable: boolean }[]
  }[]
  tenant: string
}
interface LeafActor {
  id: string
  kind: ActorKind
  onBehalfOf: LeafActor | null
}

interface Beside {
  names: Record<string, string>
  reason: string | null
  /** Without it the reason's commitment could be guessed once the reason is erased. */
  reasonSalt: string | null
  personal: Record<string, FieldChange[]>
}

/** Appends an entry to the tenant's chain, in the transaction of the change it tells of. Locks the tenant row. */
export async function record(tx: Tx, ctx: Pick<Context, 'clock'>, actor: Actor, act: AuditAct): Promise<AuditRow> {
  const { auditNext, auditHash } = await lockTenant(tx, actor.tenant)
  const nowMs = ctx.clock.now()
  const beside = besideOf(actor, act)
  const leaf = leafOf(actor, act, beside, { nowMs, sequence: auditNext, previousHash: auditHash })
  const body = canonicalize(leaf)!
  const hash = createHash('sha256').update(body).digest('hex')
  const row = {
    tenant: actor.tenant,
    sequence: auditNext,
    id: leaf.id,
    at: new Date(nowMs),
    revision: leaf.revision,
    actorId: actor.id,
    action: act.action,
    targetIds: act.targets.map((target) => target.id),
    correlation: leaf.correlation,
    allowed: leaf.allowed,
    body,
    beside,
    previousHash: auditHash,
    hash,
    number: null,
  }
  await tx.insert(auditEntry).values(row)
  await advanceTenant(tx, actor.tenant, { auditNext: auditNext + 1, auditHash: hash })
  return rowOf(row)
}

/** Notes a privileged attempt that was refused, in a transaction of its own, since the attempt's was rolled back. */
export async function recordRefused(
  ctx: Context,
  actor: Actor,
  action: string,
  permission: Permission,
  targets: AuditTarget[] = [],
): Promise<AuditRow> {
  const reason = `needs ${permission}`
  const row = await ctx.db.withTenant(actor.tenant, async (tx) => {
    const written = await record(tx, ctx, actor, { action, targets, reason, allowed: false })
    await ctx.db.notify(tx, 'records', actor.tenant)
    return written
  })
  return row
}

function leafOf(
  actor: Actor,
  act: AuditAct,
  beside: Beside,
  place: { nowMs: number; sequence: number; previousHash: string },
): Leaf {
  return {
    action: act.action,
    actor: leafActor(actor),
    allowed: act.allowed ?? true,
    at: new Date(place.nowMs).toISOString(),
    correlation: act.correlation ?? mintId('correlation', place.nowMs),
    id: mintId('audit', place.nowMs),
    previousHash: place.previousHash,
    reasonCommitment: beside.reason === null ? null : commitment(beside.reasonSalt!, beside.reason),
    revision: act.revision ?? null,
    schemaVersion: 1,
    sequence: place.sequence,
    source: null,
    targets: act.targets.map(({ id, changes }) => ({
      id,
      changes: changes.map(({ path, before, after, personal }) =>
        personal ? { path, before: null, after: null, erasable: true } : { path, before, after, erasable: false },
      ),
    })),
    tenant: actor.tenant,
  }
}

const commitment = (salt: string, text: string) => createHash('sha256').update(`${salt}\n${text}`).digest('hex')

const leafActor = (actor: Actor): LeafActor => ({
  id: actor.id,
  kind: actor.kind,
  onBehalfOf: actor.onBehalfOf ? leafActor(actor.onBehalfOf) : null,
})

function besideOf(actor: Actor, act: AuditAct): Beside {
  const names = act.targets.map(({ id, name }): [string, string] => [id, name])
  for (let who: Actor | undefined = actor; who; who = who.onBehalfOf) names.push([who.id, who.name])
  const personal = act.targets.map(({ id, changes }): [string, FieldChange[]] => [
    id,
    changes.filter((change) => change.personal),
  ])
  return {
    names: Object.fromEntries(names),
    reason: act.reason ?? null,
    reasonSalt: act.reason ? randomBytes(16).toString('hex') : null,
    personal: Object.fromEntries(personal.filter(([, changes]) => changes.length > 0)),
  }
}

export function auditActor(actor: Actor): AuditActor {
  const { kind, id, name, onBehalfOf } = actor
  return { kind, id, name, onBehalfOf: onBehalfOf ? auditActor(onBehalfOf) : null }
}

/** Puts an entry and what stands beside it together; what was erased shows as its id or as null. */
function rowOf(row: typeof auditEntry.$inferSelect): AuditRow {
  const leaf = JSON.parse(row.body) as Leaf
  const beside = row.beside as Beside
  const named = (actor: LeafActor): AuditActor => ({
    ...actor,
    name: beside.names[actor.id] ?? actor.id,
    onBehalfOf: actor.onBehalfOf && named(actor.onBehalfOf),
  })
  return {
    id: row.id,
    tenant: row.tenant,
    sequence: row.sequence,
    at: row.at,
    revision: row.revision,
    actor: named(leaf.actor),
    action: row.action,
    targets: leaf.targets.map((target) => ({
      id: target.id,
      name: beside.names[target.id] ?? target.id,
      changes: target.changes.map(({ path, before, after, erasable }) =>
        erasable
          ? (beside.personal[target.id]?.find((change) => change.path.join('\n') === path.join('\n')) ?? {
              path,
              before: null,
              after: null,
              personal: true,
            })
          : { path, before, after },
      ),
    })),
    reason: beside.reason,
    correlation: row.correlation,
    source: leaf.source,
    allowed: row.allowed,
    previousHash: row.previousHash,
    hash: row.hash,
    logIndex: row.number,
  }
}

export interface AuditFilter {
  actor?: string[] | null
  action?: string[] | null
  /** Ids of resources. */
  target?: string[] | null
  at?: { from?: Date | null; to?: Date | null } | null
  correlation?: string | null
}

/** Newest first; `after` is the `sequence` of the last row of the page before. */
export async function listAudit(
  tx: Tx,
  tenant: string,
  query: { filter?: AuditFilter | null; first: number; after?: number | null },
): Promise<{ rows: AuditRow[]; hasNext: boolean }> {
  const { filter, first, after } = query
  const conditions: (SQL | undefined)[] = [
    eq(auditEntry.tenant, tenant),
    filter?.actor ? inArray(auditEntry.actorId, filter.actor) : undefined,
    filter?.action ? inArray(auditEntry.action, filter.action) : undefined,
    filter?.correlation ? eq(auditEntry.correlation, filter.correlation) : undefined,
    filter?.at?.from ? gte(auditEntry.at, filter.at.from) : undefined,
    filter?.at?.to ? lt(auditEntry.at, filter.at.to) : undefined,
    filter?.target ? (or(...filter.target.map(hasTarget)) ?? sql`false`) : undefined,
    after === null || after === undefined ? undefined : lt(auditEntry.sequence, after),
  ]
  const rows = await tx
    .select()
    .from(auditEntry)
    .where(and(...conditions))
    .orderBy(desc(auditEntry.sequence))
    .limit(first + 1)
  return { rows: rows.slice(0, first).map(rowOf), hasNext: rows.length > first }
}

const hasTarget = (id: string) => sql`${auditEntry.targetIds} @> ${JSON.stringify([id])}::jsonb`

export async function findAudit(tx: Tx, tenant: string, id: string): Promise<AuditRow | undefined> {
  const [row] = await tx
    .select()
    .from(auditEntry)
    .where(and(eq(auditEntry.tenant, tenant), eq(auditEntry.id, id)))
  return row && rowOf(row)
}
