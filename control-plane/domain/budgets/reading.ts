import { and, asc, desc, eq, gt, isNotNull, lt, or, sql } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import { encodeCursor } from '../../../schema/cursor.ts'
import type { Tx } from '../../db/database.ts'
import { budgetAdjustment, budgetCounter, lease, ledgerRecovery } from '../../db/tables.ts'
import { periodRule } from '../compile-budgets.ts'
import { type Balance, balancesOf } from '../ledger/balance.ts'
import { presentCounter } from '../ledger/counter.ts'
import { logEnd } from '../tenant-reader.ts'
import { lockTelling } from './telling.ts'

/** A balance, and the place in the log from which `events` tells what changes of it. */
export interface BalanceAsOf extends Balance {
  asOf: string
}

export interface Page<Row> {
  rows: Row[]
  hasNext: boolean
}

type Budget = Resource<'budget'>

/** One balance for each of `asked`, in their order. Those of one call share one `asOf`. */
export async function readBalances(
  tx: Tx,
  tenant: string,
  asked: readonly { budget: string; subject: string | null }[],
  nowMs: number,
): Promise<(BalanceAsOf | undefined)[]> {
  const asOf = await startReading(tx, tenant)
  const found = new Map<string, BalanceAsOf>()
  for (const [budget, some] of Map.groupBy(asked, (one) => one.budget)) {
    const subjects = [...new Set(some.map(({ subject }) => subject ?? ''))]
    for (const balance of await balancesOf(tx, tenant, { budgets: [budget], subjects, nowMs }))
      found.set(JSON.stringify([budget, balance.subject]), { ...balance, asOf })
  }
  return asked.map(({ budget, subject }) => found.get(JSON.stringify([budget, subject])))
}

export interface BalancesQuery {
  budget: Budget
  first: number
  /** The subject that the page before ended with. */
  after: string | null
  /** Only these; null = every one. */
  subjects: readonly string[] | null
}

/** Pages of counters of the present window that something was leased or posted under, by subject. They share one `asOf`. */
export async function listBalances(
  tx: Tx,
  tenant: string,
  asked: readonly BalancesQuery[],
  nowMs: number,
): Promise<Page<BalanceAsOf>[]> {
  const asOf = await startReading(tx, tenant)
  const pages: Page<BalanceAsOf>[] = []
  for (const query of asked) {
    const { rows, hasNext } = await pageOfBalances(tx, tenant, query, nowMs)
    pages.push({ rows: rows.map((row) => ({ ...row, asOf })), hasNext })
  }
  return pages
}

async function pageOfBalances(
  tx: Tx,
  tenant: string,
  { budget, first, after, subjects: only }: BalancesQuery,
  nowMs: number,
): Promise<Page<Balance>> {
  if (budget.spec.per === null) {
    const rows = after === null ? await balancesOf(tx, tenant, { budgets: [budget.id], nowMs }) : []
    return { rows, hasNext: false }
  }
  const { from, to } = presentCounter(periodRule(budget), nowMs)
  const isWanted =
    only && sql`${budgetCounter.subject} in (select jsonb_array_elements_text(${JSON.stringify(only)}::jsonb))`
  const there = await tx
    .select({ subject: budgetCounter.subject })
    .from(budgetCounter)
    .where(
      and(
        ...[eq(budgetCounter.tenant, tenant), eq(budgetCounter.budget, budget.id)],
        ...[eq(budgetCounter.windowFrom, from), eq(budgetCounter.windowTo, to)],
        after === null ? undefined : gt(budgetCounter.subject, after),
        isWanted ?? undefined,
      ),
    )
    .orderBy(asc(budgetCounter.subject))
    .limit(first + 1)
  const subjects = there.slice(0, first).map(({ subject }) => subject)
  const balances = subjects.length > 0 ? await balancesOf(tx, tenant, { budgets: [budget.id], subjects, nowMs }) : []
  // The database's order and not JavaScript's: pages go on by it.
  const order = new Map(subjects.map((subject, at) => [subject, at]))
  const rows = balances.filter(({ subject }) => order.has(subject ?? ''))
  rows.sort((a, b) => order.get(a.subject ?? '')! - order.get(b.subject ?? '')!)
  return { rows, hasNext: there.length > first }
}

async function startReading(tx: Tx, tenant: string): Promise<string> {
  await lockTelling(tx, tenant, 'READING')
  return encodeCursor(await logEnd(tx, tenant))
}

export type AdjustmentRow = typeof budgetAdjustment.$inferSelect

/** Newest first. */
export async function listAdjustments(
  tx: Tx,
  tenant: string,
  query: { budget: string; first: number; after: string | null },
): Promise<Page<AdjustmentRow>> {
  const { budget, first, after } = query
  const rows = await tx
    .select()
    .from(budgetAdjustment)
    .where(
      and(
        ...[eq(budgetAdjustment.tenant, tenant), eq(budgetAdjustment.budget, budget)],
        after === null ? undefined : lt(budgetAdjustment.id, after),
      ),
    )
    .orderBy(desc(budgetAdjustment.id))
    .limit(first + 1)
  return { rows: rows.slice(0, first), hasNext: rows.length > first }
}

export async function findAdjustment(tx: Tx, tenant: string, id: string): Promise<AdjustmentRow | undefined> {
  const [row] = await tx
    .select()
    .from(budgetAdjustment)
    .where(and(eq(budgetAdjustment.tenant, tenant), eq(budgetAdjustment.id, id)))
  return row
}

export type LeaseRow = typeof lease.$inferSelect

/** What names a lease. */
export type LeaseKey = readonly [string, string, number, number, string, number]
export const leaseKeyOf = (row: LeaseRow): LeaseKey => [
  ...([row.budget, row.subject, row.windowFrom, row.windowTo, row.instance, row.epoch] as const),
]

/** Of a budget or an instance; latest window first. What spent from no lease (epoch 0) is none. */
export async function listLeases(
  tx: Tx,
  tenant: string,
  query: { budget?: string; instance?: string; first: number; after: LeaseKey | null },
): Promise<Page<LeaseRow>> {
  const { first, after } = query
  const rows = await tx
    .select()
    .from(lease)
    .where(
      and(
        ...[eq(lease.tenant, tenant), gt(lease.epoch, 0)],
        query.budget === undefined ? undefined : eq(lease.budget, query.budget),
        query.instance === undefined ? undefined : eq(lease.instance, query.instance),
        after ? behind(after) : undefined,
      ),
    )
    .orderBy(
      desc(lease.windowFrom),
      asc(lease.budget),
      asc(lease.subject),
      asc(lease.windowTo),
      asc(lease.instance),
      asc(lease.epoch),
    )
    .limit(first + 1)
  return { rows: rows.slice(0, first), hasNext: rows.length > first }
}

const behind = ([budget, subject, from, to, instance, epoch]: LeaseKey) =>
  or(
    lt(lease.windowFrom, from),
    and(
      eq(lease.windowFrom, from),
      sql`(${lease.budget}, ${lease.subject}, ${lease.windowTo}, ${lease.instance}, ${lease.epoch}) > (${budget}, ${subject}, ${to}, ${instance}, ${epoch})`,
    ),
  )

export async function findLease(tx: Tx, tenant: string, key: LeaseKey): Promise<LeaseRow | undefined> {
  const [budget, subject, from, to, instance, epoch] = key
  const [row] = await tx
    .select()
    .from(lease)
    .where(
      and(
        ...[eq(lease.tenant, tenant), eq(lease.budget, budget), eq(lease.subject, subject)],
        ...[eq(lease.windowFrom, from), eq(lease.windowTo, to), eq(lease.instance, instance), eq(lease.epoch, epoch)],
        gt(lease.epoch, 0),
      ),
    )
  return row
}

const writtenOffMax = 1_000

/** What an instance holds and was given up, under one budget or all. */
export async function listWrittenOff(
  tx: Tx,
  tenant: string,
  query: { instance: string; budget?: string },
): Promise<LeaseRow[]> {
  return tx
    .select()
    .from(lease)
    .where(
      and(
        ...[eq(lease.tenant, tenant), eq(lease.instance, query.instance), isNotNull(lease.writtenOffAt)],
        query.budget === undefined ? undefined : eq(lease.budget, query.budget),
      ),
    )
    .orderBy(desc(lease.windowFrom), asc(lease.budget), asc(lease.subject))
    .limit(writtenOffMax)
}

/** Since when these books are known to be from a backup, with somebody who has not reported since; null = they are not. */
export async function recoveringSince(tx: Tx, tenant: string): Promise<Date | null> {
  const [row] = await tx.select().from(ledgerRecovery).where(eq(ledgerRecovery.tenant, tenant))
  return row?.since ?? null
}
