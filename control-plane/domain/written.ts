import type { AuditRow } from './audit.ts'
import type { Context } from './context.ts'

/** How long a write waits for the sequencer: long enough for an idle one, short enough for a form. */
const cursorWaitMs = 1_000

/** Where in the log a write's audit entry came to stand, once its transaction is committed; null where that takes too long. */
export async function cursorOf(ctx: Context, tenant: string, audit: AuditRow | null): Promise<string | null> {
  return audit && ctx.streams.auditPosition(tenant, audit.sequence, cursorWaitMs)
}
