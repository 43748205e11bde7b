import type { FlightRecord } from '../../../schema/flight-record.ts'
import { fundsWaitMsMax } from '../../../schema/link-lease.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Context } from '../context.ts'
import { changesOf } from './book.ts'
import { withBooks } from './books.ts'
import { recallsOverdue } from './decide.ts'
import { breakBounds } from './model-bounds.ts'
import { askBack } from './recalls.ts'
import { type CounterName, counterKey, counterOf, type LeaseName } from './rows.ts'
import { declaredOf, openBooks, writeChanges } from './store.ts'

/** Grants after the fact what was posted beyond leases of these counters; what goes beyond the limit becomes an overrun. */
export async function settleCounters(ctx: Context, tenant: string, counters: readonly CounterName[]): Promise<void> {
  await withBooks(ctx, tenant, async (tx) => {
    const declared = await declaredOf(
      tx,
      tenant,
      counters.map(({ budget }) => budget),
    )
    const books = await openBooks(tx, tenant, counters, { declared, names: [], nowMs: ctx.clock.now(), ending: true })
    await writeChanges(tx, tenant, changesOf(books.values()))
    await askBack(tx, ctx, tenant, recallsOverdue(books.values()), fundsWaitMsMax)
    if ([...books.values()].some(({ freed }) => freed)) await ctx.db.notify(tx, 'funds', tenant)
    return { incidents: [...books.values()].flatMap(({ incidents }) => incidents) }
  })
}

/**
 * The transaction after that of records which posted more than their leases held. Models whose records cost more than was
 * reserved for them, and led to an overrun, are not believed any more until they are declared anew.
 */
export async function settleExceeded(
  ctx: Context,
  tenant: string,
  leases: readonly (LeaseName & { rolling: boolean })[],
  records: readonly FlightRecord[],
): Promise<void> {
  const counters = new Map(leases.map((lease) => counterOf(lease, undefined)).map((name) => [counterKey(name), name]))
  await settleCounters(ctx, tenant, [...counters.values()])
  const broken = records.filter(({ model, cost, reserved }) => model && parseAmount(cost)! > parseAmount(reserved)!)
  if (broken.length > 0) await breakBounds(ctx, tenant, leases, broken)
}
