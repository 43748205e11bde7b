import type { Tx } from '../db/database.ts'
import { outboxEvent } from '../db/tables.ts'
import type { AuditActor } from './audit.ts'
import type { Change } from './plan.ts'

/** What happened, as it is kept for the streams. */
export type OutboxBody =
  | { kind: 'CONFIG_CHANGED'; revision: number; actor: AuditActor; changes: Change[] }
  | { kind: 'DATA_PLANE_CHANGED'; dataPlane: string }

/**
 * Appends an event in the transaction of what it tells of. It is pending until the sequencer gives it a place: right after its
 * audit entry, or at the end of the log.
 */
export async function emit(
  tx: Tx,
  tenant: string,
  nowMs: number,
  body: OutboxBody,
  auditSequence: number | null = null,
): Promise<void> {
  await tx.insert(outboxEvent).values({ tenant, kind: body.kind, at: new Date(nowMs), body, auditSequence })
}
