import { eq } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { tenant as tenantTable } from '../db/tables.ts'

export type TenantRow = typeof tenantTable.$inferSelect

/**
 * Locks the tenant's row for the rest of the transaction. Every write begins with it: it hands out the revision, the audit
 * sequence and the delta numbers, none of which may have a gap or be seen out of order.
 */
export async function lockTenant(tx: Tx, tenant: string): Promise<TenantRow> {
  const [row] = await tx.select().from(tenantTable).where(eq(tenantTable.id, tenant)).for('update')
  if (!row) throw new Error(`there is no tenant ${tenant}`)
  return row
}

/** Whether this is the installation's first tenant, whose owners operate the installation. */
export async function operatesInstallation(tx: Tx, tenant: string): Promise<boolean> {
  const rows = await tx.select({ operates: tenantTable.operates }).from(tenantTable).where(eq(tenantTable.id, tenant))
  return rows[0]?.operates ?? false
}

/** Writes back numbers that were handed out under the lock. */
export async function advanceTenant(tx: Tx, tenant: string, row: Partial<TenantRow>): Promise<void> {
  await tx.update(tenantTable).set(row).where(eq(tenantTable.id, tenant))
}
