import type { Tx } from '../db/database.ts'
import type { Context } from './context.ts'
import type { Draft } from './plan.ts'

/** What goes with a key or a data plane that is archived: its secrets, its instances, its enrolment tokens. */
export async function retireIssued(tx: Tx, ctx: Context, tenant: string, drafts: Draft[]): Promise<void> {
  void [tx, ctx, tenant, drafts]
}
