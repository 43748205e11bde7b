import { and, asc, desc, eq, gt, inArray, lte } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { auditEntry, resource, resourceHistory } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type Applied, resourcesMax, retired, write } from './apply.ts'
import type { Context } from './context.ts'
import { invalidInput, limitReached, type UserError } from './errors.ts'
import { actionOf, type Draft, type PlanWarning } from './plan.ts'
import { chunks, issuedKinds, resourceOf, resourcesByIds } from './resources.ts'
import { layOver } from './restore.ts'
import { lockTenant } from './tenant-lock.ts'

export interface RevertInput {
  toRevision: number
  ifRevision: number
  dryRun: boolean
  planDigest?: string | null
  reason?: string | null
}

type Past = typeof resourceHistory.$inferSelect

const path = ['toRevision']

/**
 * Declares again what an earlier revision declared, as a new revision: what came since is archived, what went comes back, what
 * changed changes back. Keys and data planes that were issued since stay, as do all secrets; the plan says so.
 */
export async function revert(ctx: Context, actor: Actor, input: RevertInput): Promise<Applied> {
  const { toRevision } = input
  return write(ctx, actor, { ...input, action: 'config.revert' }, async (tx, lookup, errors, warnings) => {
    const { configRevision } = await lockTenant(tx, actor.tenant)
    if (toRevision < 1 || toRevision > configRevision) {
      errors.push(invalidInput(path, `must be a revision from 1 to ${configRevision}`))
      return []
    }
    const touched = await touchedSince(tx, actor.tenant, toRevision)
    if (touched.length > resourcesMax) {
      errors.push(limitReached(path, 'resources that changed since', resourcesMax))
      return []
    }
    const then = await statesAt(tx, actor.tenant, toRevision, touched)
    const drafts = touched.flatMap((now): Draft[] => {
      const past = then.get(now.id)
      if (past && !past.archived) return broughtBack(now, past, errors)
      if (now.archivedAt) return []
      if (!issuedKinds.has(now.kind)) return [retired(now, path, lookup, ctx.clock.now())]
      warnings.push({ path, message: `${handleOf(now.kind, now.name)} was issued since and stays` })
      return []
    })
    await layOver(tx, actor.tenant, lookup, drafts, errors, warnings)
    warnings.push(...(await secretsSetSince(tx, actor.tenant, toRevision, drafts)))
    return drafts
  })
}

/** Everything that changed after a revision, as it is now: one more than a write may hold is enough. */
async function touchedSince(tx: Tx, tenant: string, revision: number): Promise<Resource[]> {
  const rows = await tx
    .select()
    .from(resource)
    .where(and(eq(resource.tenant, tenant), gt(resource.revision, revision)))
    .orderBy(asc(resource.id))
    .limit(resourcesMax + 1)
  return rows.map(resourceOf)
}

/** How resources stood at a revision; those that were not yet are not in it. */
async function statesAt(tx: Tx, tenant: string, revision: number, of: Resource[]): Promise<Map<string, Past>> {
  const found = new Map<string, Past>()
  for (const some of chunks(of.map(({ id }) => id))) {
    const rows = await tx
      .selectDistinctOn([resourceHistory.id])
      .from(resourceHistory)
      .where(
        and(
          eq(resourceHistory.tenant, tenant),
          inArray(resourceHistory.id, some),
          lte(resourceHistory.revision, revision),
        ),
      )
      .orderBy(asc(resourceHistory.id), desc(resourceHistory.revision))
    for (const row of rows) found.set(row.id, row)
  }
  return found
}

/** A resource as it was. Fields that did not exist then have their defaults; what would no longer be taken is refused. */
function broughtBack(now: Resource, past: Past, errors: UserError[]): Draft[] {
  const parsed = declarations[now.kind].spec.safeParse(past.spec)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const message = `${handleOf(now.kind, past.name)} as it was then is no longer valid: ${issue!.path.join('.')} ${issue!.message}`
    errors.push(invalidInput(path, message))
    return []
  }
  const after = { ...now, name: past.name, labels: past.labels, spec: parsed.data, archivedAt: null } as Resource
  const draft = { before: now, after, path }
  return actionOf(draft) === 'UNCHANGED' ? [] : [draft]
}

const secretActions = ['credential.set', 'apiKey.rotate', 'apiKey.revoke']
const toldMax = 20

/** Secrets do not go back: which ones are other than they were at that revision. */
async function secretsSetSince(tx: Tx, tenant: string, revision: number, drafts: Draft[]): Promise<PlanWarning[]> {
  const entries = await tx
    .select({ ids: auditEntry.targetIds })
    .from(auditEntry)
    .where(
      and(
        eq(auditEntry.tenant, tenant),
        gt(auditEntry.revision, revision),
        inArray(auditEntry.action, secretActions),
        eq(auditEntry.allowed, true),
      ),
    )
    .limit(resourcesMax)
  const drafted = new Map(drafts.map(({ after }) => [after.id, after]))
  const ids = [...new Set(entries.flatMap((entry) => entry.ids))].sort()
  const changed = (await resourcesByIds(tx, tenant, ids)).flatMap((one) => {
    const after = one && (drafted.get(one.id) ?? one)
    return after && !after.archivedAt ? [handleOf(after.kind, after.name)] : []
  })
  const more = changed.length > toldMax ? [`the secrets of ${changed.length - toldMax} more stay as well`] : []
  const told = changed.slice(0, toldMax).map((handle) => `the secret of ${handle} was changed since and stays as it is`)
  return [...told, ...more].map((message) => ({ path, message }))
}
