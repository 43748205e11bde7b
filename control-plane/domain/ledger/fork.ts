import type { FlightRecord } from '../../../schema/flight-record.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
import { readRecord } from '../record-shape.ts'
import { changesOf } from './book.ts'
import { auditIncidents } from './incidents.ts'
import { leaseOf } from './postings.ts'
import { counterKey, counterOf } from './rows.ts'
import { declaredOf, openBooks, writeChanges } from './store.ts'

/**
 * Enters what the records of a second history under one name spent: an overrun of each budget that they post to. Part of the
 * transaction that quarantines the chain, which holds the tenant's row and no lease.
 */
export async function takeFork(
  tx: Tx,
  ctx: Context,
  { tenant, instance }: { tenant: string; instance: string },
  texts: readonly string[],
): Promise<void> {
  const postings = texts.map(readRecord).flatMap((given) => ('malformed' in given ? [] : ownPostings(given, instance)))
  if (postings.length === 0) return
  const declared = await declaredOf(
    tx,
    tenant,
    postings.map(({ budget }) => budget),
  )
  const leases = postings
    .filter(({ budget }) => declared.has(budget))
    .map((posting) => ({ lease: leaseOf(instance, posting), amount: parseAmount(posting.amount)! }))
  const counterNames = leases.map(({ lease }) => counterOf(lease, declared.get(lease.budget)))
  const counters = new Map(counterNames.map((name) => [counterKey(name), name]))
  const names = leases.map(({ lease }) => ({ ...lease, epoch: 0 }))
  const books = await openBooks(tx, tenant, [...counters.values()], { declared, names, nowMs: ctx.clock.now() })
  for (const [index, { lease, amount }] of leases.entries())
    books.get(counterKey(counterNames[index]!))?.takeFork(lease, amount)
  await writeChanges(tx, tenant, changesOf(books.values()))
  await auditIncidents(
    tx,
    ctx,
    tenant,
    [...books.values()].flatMap(({ incidents }) => incidents),
  )
}

const ownPostings = (given: FlightRecord, instance: string) => (given.instance === instance ? given.postings : [])
