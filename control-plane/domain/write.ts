import { and, eq, inArray, sql } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { findReferences } from '../../schema/config/walk.ts'
import type { Tx } from '../db/database.ts'
import { resource, resourceHistory, resourceReference } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, type AuditTarget, auditActor, record } from './audit.ts'
import type { Context } from './context.ts'
import { diffResources } from './diff.ts'
import { emit } from './outbox.ts'
import { actionOf, type Change, type Draft } from './plan.ts'
import { chunks } from './resources.ts'
import { advanceTenant, lockTenant } from './tenant-lock.ts'

const rowsPerStatement = 500

export interface Act {
  action: string
  reason?: string | null
  /** As people read them, for the event. */
  changes: Change[]
  /** Targets beside the drafts: a secret that changed has no field to show. */
  targets?: AuditTarget[]
}

/**
 * Writes changed resources as one new revision: rows, history, references, audit entry and event, all in this transaction.
 * `drafts` hold no unchanged ones; they may be empty where a secret alone changed.
 */
export async function writeRevision(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  drafts: Draft[],
  act: Act,
): Promise<{ revision: number; audit: AuditRow; resources: Resource[] }> {
  const { configRevision } = await lockTenant(tx, actor.tenant)
  const revision = configRevision + 1
  const at = new Date(ctx.clock.now())
  const stamped = drafts.map(
    ({ before, after }): Resource => ({
      ...after,
      revision,
      createdAt: before?.createdAt ?? at,
      updatedAt: at,
      archivedAt: after.archivedAt ? at : null,
    }),
  )
  await freeNames(tx, actor.tenant, drafts)
  for (const some of chunks(stamped, rowsPerStatement)) await writeRows(tx, actor.tenant, some)
  await writeReferences(tx, actor.tenant, stamped)
  await advanceTenant(tx, actor.tenant, { configRevision: revision })
  const targets = [...drafts.map(targetOf), ...(act.targets ?? [])]
  const audit = await record(tx, ctx, actor, { action: act.action, targets, reason: act.reason, revision })
  const body = { kind: 'CONFIG_CHANGED' as const, revision, actor: auditActor(actor), changes: act.changes }
  await emit(tx, actor.tenant, at.getTime(), body, { auditSequence: audit.sequence })
  await ctx.db.notify(tx, 'config', actor.tenant)
  await ctx.db.notify(tx, 'records', actor.tenant)
  return { revision, audit, resources: stamped }
}

/** In the log a resource is its id: names of people must not be in a leaf. */
function targetOf(draft: Draft): AuditTarget {
  const { id, name } = draft.after
  const action = actionOf(draft)
  if (action === 'ARCHIVE') return { id, name, changes: [archived(true)] }
  const changes = diffResources(draft.before, draft.after, (one) => one)
  return { id, name, changes: action === 'RESTORE' ? [archived(false), ...changes] : changes }
}

const archived = (after: boolean) => ({ path: ['archived'], before: String(!after), after: String(after) })

/** Names that are on the move are let go of first, so that two resources can swap theirs in one apply. */
async function freeNames(tx: Tx, tenant: string, drafts: Draft[]) {
  const moving = drafts.filter(({ before, after }) => before && !after.archivedAt && before.name !== after.name)
  for (const some of chunks(moving.map(({ after }) => after.id))) {
    await tx
      .update(resource)
      .set({ name: sql`${resource.id}` })
      .where(and(eq(resource.tenant, tenant), inArray(resource.id, some)))
  }
  const retiring = drafts.filter(({ after }) => after.archivedAt).map(({ after }) => after.id)
  for (const some of chunks(retiring)) {
    await tx
      .update(resource)
      .set({ archivedAt: new Date(0) })
      .where(and(eq(resource.tenant, tenant), inArray(resource.id, some)))
  }
}

async function writeRows(tx: Tx, tenant: string, resources: Resource[]) {
  const rows = resources.map((row) => ({ ...row, tenant }))
  const replaced = Object.fromEntries(
    (['name', 'labels', 'spec', 'revision', 'updatedAt', 'archivedAt'] as const).map((key) => [
      key,
      sql.raw(`excluded."${resource[key].name}"`),
    ]),
  )
  await tx
    .insert(resource)
    .values(rows)
    .onConflictDoUpdate({ target: [resource.tenant, resource.id], set: replaced as never })
  await tx.insert(resourceHistory).values(
    rows.map(({ id, revision, kind, name, labels, spec, archivedAt }) => ({
      ...{ tenant, id, revision, kind, name, labels, spec },
      archived: archivedAt !== null,
    })),
  )
}

async function writeReferences(tx: Tx, tenant: string, resources: Resource[]) {
  const ids = resources.map(({ id }) => id)
  for (const some of chunks(ids)) {
    const from = inArray(resourceReference.fromId, some)
    await tx.delete(resourceReference).where(and(eq(resourceReference.tenant, tenant), from))
  }
  const rows = resources
    .filter(({ archivedAt }) => !archivedAt)
    .flatMap(({ id, kind, spec }) =>
      findReferences(declarations[kind].spec.shape, spec).map(({ path, value }) => ({
        ...{ tenant, fromId: id, path: path.join('.'), toId: value },
      })),
    )
  for (const some of chunks(rows, 5_000)) await tx.insert(resourceReference).values(some)
}
