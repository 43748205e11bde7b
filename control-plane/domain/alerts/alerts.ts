import { and, desc, eq, inArray, isNotNull, isNull, lt, sql } from 'drizzle-orm'
import type { AlertTrigger, Resource, Severity } from '../../../schema/config/index.ts'
import { mintId } from '../../../schema/ids.ts'
import type { Tx } from '../../db/database.ts'
import { alert } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { type AuditActor, auditActor, record, recordRefused } from '../audit.ts'
import type { Context } from '../context.ts'
import { notFound, notPermitted, type Written } from '../errors.ts'
import { emit } from '../outbox.ts'
import { resourcesByIds } from '../resources.ts'
import { cursorOf } from '../written.ts'

export type AlertRow = typeof alert.$inferSelect

/** What happened that somebody is to know. */
export interface Alert {
  id: string
  /** Null: told without a rule. */
  rule: string | null
  trigger: AlertTrigger
  severity: Severity
  at: Date
  summary: string
  /** Id of a resource; null where it is about none. */
  subject: string | null
  figures: Record<string, string>
  resolvedAt: Date | null
  acknowledgedAt: Date | null
  acknowledgedBy: AuditActor | null
}

/** A condition that holds. `condition` names rule, subject and level: while one row of that name is open, there is no second. */
export interface Raising {
  condition: string
  rule: string | null
  trigger: AlertTrigger
  severity: Severity
  subject: string | null
  summary: string
  figures: Record<string, string>
  /** Ids of the webhooks that hear of it beside those that ask for every alert. */
  webhooks: readonly string[]
}

export const alertOf = (row: AlertRow): Alert => ({
  ...{ id: row.id, rule: row.rule, trigger: row.trigger as AlertTrigger, severity: row.severity as Severity },
  ...{ at: row.raisedAt, summary: row.summary, subject: row.subject, figures: row.figures },
  ...{ resolvedAt: row.resolvedAt, acknowledgedAt: row.acknowledgedAt },
  acknowledgedBy: row.acknowledgedBy as AuditActor | null,
})

type Noting = Pick<Context, 'db' | 'clock'>

/** Opens an alert and tells of it, in this transaction; null where it is open already, whoever opened it. */
export async function raise(tx: Tx, ctx: Noting, tenant: string, raising: Raising): Promise<string | null> {
  const { webhooks, ...columns } = raising
  const nowMs = ctx.clock.now()
  const row = { ...columns, tenant, id: mintId('alert', nowMs), raisedAt: new Date(nowMs) }
  const made = await tx
    .insert(alert)
    .values(row)
    .onConflictDoNothing({ target: [alert.tenant, alert.condition], where: sql`resolved_at is null` })
    .returning({ id: alert.id })
  if (made.length === 0) return null
  await emit(tx, tenant, nowMs, { kind: 'ALERT_RAISED', alert: row.id }, { alsoTo: webhooks })
  await ctx.db.notify(tx, 'records', tenant)
  return row.id
}

/** Ends an alert that is open, and tells of it. */
export async function resolve(
  tx: Tx,
  ctx: Noting,
  tenant: string,
  id: string,
  webhooks: readonly string[],
): Promise<boolean> {
  const nowMs = ctx.clock.now()
  const ended = await tx
    .update(alert)
    .set({ resolvedAt: new Date(nowMs) })
    .where(and(eq(alert.tenant, tenant), eq(alert.id, id), isNull(alert.resolvedAt)))
    .returning({ id: alert.id })
  if (ended.length === 0) return false
  await emit(tx, tenant, nowMs, { kind: 'ALERT_RESOLVED', alert: id }, { alsoTo: webhooks })
  await ctx.db.notify(tx, 'records', tenant)
  return true
}

/** Every open alert that a rule made. */
export async function openAlerts(tx: Tx, tenant: string): Promise<AlertRow[]> {
  const open = and(eq(alert.tenant, tenant), isNull(alert.resolvedAt), isNotNull(alert.rule))
  return tx.select().from(alert).where(open)
}

/** Newest first; `open` true = those that are not over, false = those that are. `after` is the id of the last row before. */
export async function listAlerts(
  tx: Tx,
  tenant: string,
  query: { open?: boolean | null; first: number; after?: string | null },
): Promise<{ rows: Alert[]; hasNext: boolean }> {
  const open = query.open == null ? undefined : query.open ? isNull(alert.resolvedAt) : isNotNull(alert.resolvedAt)
  const rows = await tx
    .select()
    .from(alert)
    .where(and(eq(alert.tenant, tenant), open, query.after ? lt(alert.id, query.after) : undefined))
    .orderBy(desc(alert.id))
    .limit(query.first + 1)
  return { rows: rows.slice(0, query.first).map(alertOf), hasNext: rows.length > query.first }
}

export async function findAlert(tx: Tx, tenant: string, id: string): Promise<Alert | undefined> {
  return (await alertsByIds(tx, tenant, [id]))[0]
}

/** In the order of `ids`. */
export async function alertsByIds(tx: Tx, tenant: string, ids: readonly string[]): Promise<(Alert | undefined)[]> {
  if (ids.length === 0) return []
  const rows = await tx
    .select()
    .from(alert)
    .where(and(eq(alert.tenant, tenant), inArray(alert.id, [...ids])))
  const found = new Map(rows.map((row) => [row.id, alertOf(row)]))
  return ids.map((id) => found.get(id))
}

/** Webhooks that the rule of an alert names now. */
export async function webhooksOf(tx: Tx, tenant: string, rule: string | null): Promise<string[]> {
  const [found] = rule ? await resourcesByIds(tx, tenant, [rule]) : []
  return found?.kind === 'alertRule' ? (found as Resource<'alertRule'>).spec.webhooks : []
}

export interface AlertWritten extends Written {
  alert: Alert | null
}

const operation = 'alert.acknowledge'

/** Says that somebody has seen it and takes care. Who was first stays; it says nothing of whether it is over. */
export async function alertAcknowledge(
  ctx: Context,
  actor: Actor,
  input: { alert: string; note?: string | null },
): Promise<AlertWritten> {
  const nothing = { errors: [], audit: null, cursor: null, alert: null }
  if (!actor.permissions.has('config:write')) {
    const audit = await recordRefused(ctx, actor, operation, 'config:write')
    return {
      ...nothing,
      errors: [notPermitted('config:write')],
      audit,
      cursor: await cursorOf(ctx, actor.tenant, audit),
    }
  }
  const { found, audit } = await ctx.db.withTenant(actor.tenant, (tx) => acknowledge(tx, ctx, actor, input))
  if (!found) return { ...nothing, errors: [notFound(['alert'], input.alert)] }
  return { ...nothing, alert: found, audit, cursor: await cursorOf(ctx, actor.tenant, audit) }
}

async function acknowledge(tx: Tx, ctx: Context, actor: Actor, input: { alert: string; note?: string | null }) {
  const { tenant } = actor
  const at = new Date(ctx.clock.now())
  const noted = await tx
    .update(alert)
    .set({ acknowledgedAt: at, acknowledgedBy: auditActor(actor) })
    .where(and(eq(alert.tenant, tenant), eq(alert.id, input.alert), isNull(alert.acknowledgedAt)))
    .returning({ id: alert.id })
  const found = await findAlert(tx, tenant, input.alert)
  if (noted.length === 0) return { found, audit: null }
  const targets = [{ id: input.alert, name: input.alert, changes: [] }]
  const audit = await record(tx, ctx, actor, { action: operation, targets, reason: input.note })
  await ctx.db.notify(tx, 'records', tenant)
  return { found, audit }
}
