import { eq, sql } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { logState, outboxEvent } from '../db/tables.ts'
import type { AuditActor } from './audit.ts'
import type { ToldBalance } from './budgets/telling.ts'
import type { Context } from './context.ts'
import type { Change } from './plan.ts'
import { enqueueDeliveries } from './webhooks/deliveries.ts'

/** What happened, as it is kept for the streams. */
export type OutboxBody =
  | { kind: 'CONFIG_CHANGED'; revision: number; actor: AuditActor; changes: Change[] }
  | { kind: 'DATA_PLANE_CHANGED'; dataPlane: string }
  | { kind: 'ALERT_RAISED' | 'ALERT_RESOLVED'; alert: string }
  | { kind: 'BUDGET_CHANGED'; budget: string; balance: ToldBalance }

/**
 * Appends an event in the transaction of what it tells of. It is pending until the sequencer gives it a place: right after its
 * audit entry, or at the end of the log. It goes to the webhooks that ask for its kind, and to those `alsoTo` names.
 */
export async function emit(
  tx: Tx,
  tenant: string,
  nowMs: number,
  body: OutboxBody,
  { auditSequence = null, alsoTo = [] }: { auditSequence?: number | null; alsoTo?: readonly string[] } = {},
): Promise<void> {
  const [event] = await tx
    .insert(outboxEvent)
    .values({ tenant, kind: body.kind, at: new Date(nowMs), body, auditSequence })
    .returning({ id: outboxEvent.id })
  await enqueueDeliveries(tx, tenant, nowMs, { kind: body.kind, id: event!.id }, alsoTo)
}

export const eventsKeptMs = 30 * 86_400_000

const eventsPerRun = 10_000
const runsMax = 100

/** Forgets events that are too old; who resumes from before them is told to fetch state again. */
export async function pruneEvents(ctx: Pick<Context, 'db' | 'clock'>): Promise<void> {
  for (let run = 0; run < runsMax; run++) if ((await pruneSome(ctx)) < eventsPerRun) return
}

async function pruneSome(ctx: Pick<Context, 'db' | 'clock'>): Promise<number> {
  const oldest = new Date(ctx.clock.now() - eventsKeptMs).toISOString()
  return ctx.db.withInstallation(async (tx) => {
    const pruned = (await tx.execute(sql`
      delete from outbox_event where (tenant, id) in (
        select tenant, id from outbox_event where number is not null and at < ${oldest}::timestamptz limit ${eventsPerRun})
      returning tenant, number`)) as unknown as { tenant: string; number: string }[]
    for (const [tenant, events] of Map.groupBy(pruned, (event) => event.tenant)) {
      const last = events.reduce((most, event) => Math.max(most, Number(event.number)), -1)
      await tx
        .update(logState)
        .set({ eventsPruned: sql`greatest(${logState.eventsPruned}, ${last}::bigint)` })
        .where(eq(logState.tenant, tenant))
    }
    return pruned.length
  })
}
