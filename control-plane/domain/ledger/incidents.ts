import { formatAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { systemActor } from '../actor.ts'
import { raiseIncident } from '../alerts/incidents.ts'
import { record } from '../audit.ts'
import type { Context } from '../context.ts'
import { resourcesByIds } from '../resources.ts'
import type { Incident } from './book.ts'

const actions = { OVERRUN: 'budget.overrun', RESTORED: 'budget.restored', FORK: 'budget.fork' } as const
const reasons = {
  OVERRUN: 'More was charged than the limit and its adjustments allowed.',
  RESTORED: 'An instance proved a grant that is not in these books: they were set back, as by a restore from a backup.',
  FORK: 'Two histories came under one instance: its data directory was copied, and its lease spent twice.',
}
/** Of one transaction; the ledger's entries hold all of them. */
const auditedMax = 20

/** Puts incidents into the audit log. The tenant's row is locked by the transaction before any counter. */
export async function auditIncidents(
  tx: Tx,
  ctx: Context,
  tenant: string,
  incidents: readonly Incident[],
): Promise<void> {
  if (incidents.length === 0) return
  const told = incidents.slice(0, auditedMax)
  const budgets = await resourcesByIds(
    tx,
    tenant,
    told.map(({ lease }) => lease.budget),
  )
  for (const [index, { kind, lease, amount }] of told.entries()) {
    const changes = [
      { path: ['amount'], before: null, after: formatAmount(amount) },
      { path: ['instance'], before: null, after: lease.instance },
      { path: ['epoch'], before: null, after: String(lease.epoch) },
    ]
    const targets = [{ id: lease.budget, name: budgets[index]?.name ?? lease.budget, changes }]
    await record(tx, ctx, systemActor(tenant), { action: actions[kind], targets, reason: reasons[kind] })
    await raiseIncident(tx, ctx, tenant, {
      ...{
        trigger: 'LEDGER_INCIDENT',
        about: `${kind} ${lease.budget}`,
        summary: reasons[kind],
        subject: lease.budget,
      },
      figures: { amount: formatAmount(amount), instance: lease.instance, epoch: String(lease.epoch) },
    })
  }
  await ctx.db.notify(tx, 'records', tenant)
}
