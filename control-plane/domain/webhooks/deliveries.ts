import { and, desc, eq, inArray, isNotNull, lt, sql } from 'drizzle-orm'
import type { EventKind, Resource } from '../../../schema/config/index.ts'
import { mintId } from '../../../schema/ids.ts'
import type { Tx } from '../../db/database.ts'
import { webhookDelivery, webhookSecret } from '../../db/tables.ts'
import { liveResources, resourcesByIds } from '../resources.ts'

export type DeliveryRow = typeof webhookDelivery.$inferSelect

/** Why the last attempt brought no good answer. It tells nothing of what stands behind an address. */
export const deliveryFaults = [
  'NO_SECRET',
  'PLAIN_HTTP',
  'PRIVATE_ADDRESS',
  'NAME_NOT_FOUND',
  'NO_ANSWER',
  'BAD_STATUS',
  'GONE',
] as const
export type DeliveryFault = (typeof deliveryFaults)[number]

export interface Delivery {
  id: string
  webhook: string
  event: EventKind
  at: Date
  attempts: number
  /** HTTP status of the last answer; null where there was none. */
  status: number | null
  delivered: boolean
  fault: DeliveryFault | null
  /** When it is tried next; null once it is over. */
  nextAt: Date | null
}

export const deliveryOf = (row: DeliveryRow): Delivery => ({
  ...{ id: row.id, webhook: row.webhook, event: row.event as EventKind, at: row.at },
  ...{ attempts: row.attempts, status: row.status, delivered: row.deliveredAt !== null },
  ...{ nextAt: row.nextAt, fault: row.fault as DeliveryFault | null },
})

/** What is to be sent of one event, written in its transaction. Webhooks that are paused are told nothing. */
export async function enqueueDeliveries(
  tx: Tx,
  tenant: string,
  nowMs: number,
  event: { kind: EventKind; id: number },
  alsoTo: readonly string[],
): Promise<void> {
  const asking = (await liveResources(tx, tenant, ['webhook'])).filter(
    ({ id, spec }) => !spec.paused && (spec.events.includes(event.kind) || alsoTo.includes(id)),
  )
  if (asking.length === 0) return
  const at = new Date(nowMs)
  const rows = asking.map(({ id }) => ({
    ...{ tenant, id: mintId('webhookDelivery', nowMs), webhook: id },
    ...{ event: event.kind, eventId: event.id, at, nextAt: at },
  }))
  await tx.insert(webhookDelivery).values(rows)
}

/** Newest first; `after` is the id of the last row of the page before. */
export async function listDeliveries(
  tx: Tx,
  tenant: string,
  query: { webhook: string; first: number; after?: string | null },
): Promise<{ rows: Delivery[]; hasNext: boolean }> {
  const rows = await tx
    .select()
    .from(webhookDelivery)
    .where(
      and(
        eq(webhookDelivery.tenant, tenant),
        eq(webhookDelivery.webhook, query.webhook),
        query.after ? lt(webhookDelivery.id, query.after) : undefined,
      ),
    )
    .orderBy(desc(webhookDelivery.id))
    .limit(query.first + 1)
  return { rows: rows.slice(0, query.first).map(deliveryOf), hasNext: rows.length > query.first }
}

export async function findDelivery(tx: Tx, tenant: string, id: string): Promise<Delivery | undefined> {
  const [row] = await tx
    .select()
    .from(webhookDelivery)
    .where(and(eq(webhookDelivery.tenant, tenant), eq(webhookDelivery.id, id)))
  return row && deliveryOf(row)
}

/** PAUSED: declared so, or without a secret to sign with. FAILING: nothing arrived since an attempt went wrong for the third time. */
export type WebhookState = 'ACTIVE' | 'PAUSED' | 'FAILING'

const failuresOfFailing = 3

/** In the order of `ids`. */
export async function webhookStates(tx: Tx, tenant: string, ids: readonly string[]): Promise<WebhookState[]> {
  if (ids.length === 0) return []
  const hooks = await resourcesByIds(tx, tenant, ids)
  const own = and(eq(webhookDelivery.tenant, tenant), inArray(webhookDelivery.webhook, [...ids]))
  const troubled = sql`${webhookDelivery.deliveredAt} is null and ${webhookDelivery.attempts} >= ${failuresOfFailing}`
  const attempts = await tx
    .select({
      webhook: webhookDelivery.webhook,
      arrivedMs: sql<number>`coalesce(extract(epoch from max(${webhookDelivery.deliveredAt})) * 1000, 0)`.mapWith(
        Number,
      ),
      failedMs:
        sql<number>`coalesce(extract(epoch from max(${webhookDelivery.lastAttemptAt}) filter (where ${troubled})) * 1000, 0)`.mapWith(
          Number,
        ),
    })
    .from(webhookDelivery)
    .where(and(own, isNotNull(webhookDelivery.lastAttemptAt)))
    .groupBy(webhookDelivery.webhook)
  const secrets = await tx
    .select({ webhook: webhookSecret.webhook })
    .from(webhookSecret)
    .where(and(eq(webhookSecret.tenant, tenant), inArray(webhookSecret.webhook, [...ids])))
  const known = new Map(attempts.map((row) => [row.webhook, row]))
  const signed = new Set(secrets.map(({ webhook }) => webhook))
  return ids.map((id, index) => {
    if ((hooks[index] as Resource<'webhook'> | undefined)?.spec.paused || !signed.has(id)) return 'PAUSED'
    const { arrivedMs, failedMs } = known.get(id) ?? { arrivedMs: 0, failedMs: 0 }
    return failedMs > arrivedMs ? 'FAILING' : 'ACTIVE'
  })
}
