import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
import { lockTenant } from '../tenant-lock.ts'
import type { Incident } from './book.ts'
import { auditIncidents } from './incidents.ts'

/**
 * A transaction over a tenant's books. Every order of locks begins with the tenant's row and goes on to counters, then leases.
 * Most transactions have nothing to audit and leave the tenant's row alone; one that finds an incident is rolled back and run
 * again with it locked first.
 */
export async function withBooks<T extends { incidents: readonly Incident[] }>(
  ctx: Context,
  tenant: string,
  work: (tx: Tx) => Promise<T>,
  keep: (result: T) => boolean = () => true,
): Promise<T> {
  const first = await ctx.db.withTenant(tenant, work, {
    keep: (result) => result.incidents.length === 0 && keep(result),
  })
  if (first.incidents.length === 0) return first
  return ctx.db.withTenant(
    tenant,
    async (tx) => {
      await lockTenant(tx, tenant)
      const result = await work(tx)
      await auditIncidents(tx, ctx, tenant, result.incidents)
      return result
    },
    { keep },
  )
}
