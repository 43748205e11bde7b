import { type SQL, sql } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import type { FlightRecord } from '../../../schema/flight-record.ts'
import { formatAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { budgetCounter, budgetTold, resource } from '../../db/tables.ts'
import { periodRule } from '../compile-budgets.ts'
import type { Context } from '../context.ts'
import { type Balance, balancesOf } from '../ledger/balance.ts'
import { presentCounter } from '../ledger/counter.ts'
import { lockSpaces } from '../lock-spaces.ts'
import { emit } from '../outbox.ts'
import { chunks, liveResources } from '../resources.ts'

/** A balance as an event keeps it: amounts as exact decimals. */
export interface ToldBalance {
  subject: string | null
  /** Unix milliseconds. */
  window: { from: number; to: number }
  currency: string
  limit: string
  adjustments: string
  overruns: string
  released: string
  leased: string
  spent: string
  available: string
}

const countersPerRun = 500
const pace = sql.raw(`now() - interval '1 second'`)

/**
 * Who reads a balance with the log's end holds this for reading, who tells balances for writing: an event that is placed after
 * the end that was read then never holds an older balance than the one that was read. Held to the end of the transaction.
 */
export async function lockTelling(tx: Tx, tenant: string, of: 'READING' | 'TELLING'): Promise<void> {
  const lock = sql.raw(of === 'READING' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock')
  await tx.execute(sql`select ${lock}(${lockSpaces.balances}, hashtext(${tenant}))`)
}

/** Notes the counters that newly numbered records were posted to. */
export async function markPosted(tx: Tx, tenant: string, records: readonly FlightRecord[]): Promise<void> {
  const counters = new Map<string, { tenant: string; budget: string; subject: string }>()
  for (const { postings } of records)
    for (const { budget, subject } of postings ?? [])
      counters.set(JSON.stringify([budget, subject]), { tenant, budget, subject: subject ?? '' })
  const nothing = {
    windowFrom: 0,
    windowTo: 0,
    limit: '0',
    adjustments: '0',
    committed: '0',
    overruns: '0',
    released: '0',
  }
  for (const some of chunks([...counters.values()]))
    await tx
      .insert(budgetTold)
      .values(some.map((counter) => ({ ...counter, ...nothing, moved: true, toldAt: null })))
      .onConflictDoUpdate({ target: [budgetTold.tenant, budgetTold.budget, budgetTold.subject], set: { moved: true } })
}

/**
 * Emits the balance of each counter that changed since it was last told, at most once a second each. Called under the log's lock,
 * by whom places events: so several control planes tell a change once.
 */
export async function tellBudgets(tx: Tx, tenant: string, nowMs: number): Promise<void> {
  const budgets = await liveResources(tx, tenant, ['budget'])
  if (budgets.length === 0) return
  const changed = await changedCounters(tx, tenant, budgets, nowMs)
  if (changed.length === 0) return
  await lockTelling(tx, tenant, 'TELLING')
  for (const [id, counters] of Map.groupBy(changed, ({ budget }) => budget)) {
    const budget = budgets.find((one) => one.id === id)!
    const subjects = new Set(counters.map(({ subject }) => subject))
    const balances = await balancesOf(tx, tenant, { budgets: [id], subjects: [...subjects], nowMs })
    for (const balance of balances)
      if (subjects.has(balance.subject ?? ''))
        await emit(tx, tenant, nowMs, {
          kind: 'BUDGET_CHANGED',
          budget: id,
          balance: toldOf(balance, budget.spec.limit.currency),
        })
  }
  for (const some of chunks(changed)) await noteTold(tx, tenant, some)
}

/** A balance in the words of an event. */
export function toldOf({ subject, window, budget: _, ...amounts }: Balance, currency: string): ToldBalance {
  const texts = Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, formatAmount(amount)]))
  return { subject, window, currency, ...(texts as Omit<ToldBalance, 'subject' | 'window' | 'currency'>) }
}

interface ChangedCounter {
  budget: string
  subject: string
  window_from: string
  window_to: string
  limit_amount: string
  adjustments: string
  committed: string
  overruns: string
  released: string
}

/** Whether what was told (`t`) of a counter (`c`) is no longer so, and is old enough. */
const isDue = (
  limit: SQL,
) => sql`(t.told_at is null or (t.told_at < ${pace} and (t.moved or t.window_from <> c.window_from
  or t.window_to <> c.window_to or t.limit_amount <> ${limit} or t.adjustments <> c.adjustments or t.committed <> c.committed
  or t.overruns <> c.overruns or t.released <> c.released)))`

async function changedCounters(
  tx: Tx,
  tenant: string,
  budgets: readonly Resource<'budget'>[],
  nowMs: number,
): Promise<ChangedCounter[]> {
  const present = budgets.map((budget) => {
    return { budget: budget.id, limit: budget.spec.limit.amount, ...presentCounter(periodRule(budget), nowMs) }
  })
  const rows = await tx.execute(sql`
    select c.budget, c.subject, c.window_from, c.window_to, w."limit" as limit_amount,
      c.adjustments, c.committed, c.overruns, c.released
    from jsonb_to_recordset(${JSON.stringify(present)}::jsonb) as w(budget text, "limit" numeric, "from" bigint, "to" bigint)
    join ${budgetCounter} c on c.tenant = ${tenant} and c.budget = w.budget and c.window_from = w."from" and c.window_to = w."to"
    left join ${budgetTold} t on t.tenant = c.tenant and t.budget = c.budget and t.subject = c.subject
    where ${isDue(sql`w."limit"`)}
    order by t.told_at nulls first
    limit ${countersPerRun}`)
  return rows as unknown as ChangedCounter[]
}

/** What the events were made for. A change that came while they were made differs from it, and is told next time. */
async function noteTold(tx: Tx, tenant: string, counters: readonly ChangedCounter[]): Promise<void> {
  await tx.execute(sql`
    insert into ${budgetTold} (tenant, budget, subject, window_from, window_to, limit_amount, adjustments, committed, overruns, released, moved, told_at)
    select ${tenant}, budget, subject, window_from, window_to, limit_amount, adjustments, committed, overruns, released, false, now()
    from jsonb_to_recordset(${JSON.stringify(counters)}::jsonb) as c(budget text, subject text, window_from bigint, window_to bigint,
      limit_amount numeric, adjustments numeric, committed numeric, overruns numeric, released numeric)
    on conflict (tenant, budget, subject) do update set window_from = excluded.window_from, window_to = excluded.window_to,
      limit_amount = excluded.limit_amount, adjustments = excluded.adjustments, committed = excluded.committed,
      overruns = excluded.overruns, released = excluded.released, moved = false, told_at = excluded.told_at`)
}

/** Tenants with a counter that may have something to tell: grants, returns and adjustments wake nobody by themselves. */
export async function tenantsToTell(ctx: Pick<Context, 'db' | 'clock'>): Promise<string[]> {
  const nowMs = ctx.clock.now()
  const rows = await ctx.db.withInstallation((tx) =>
    tx.execute(sql`
      select distinct c.tenant
      from ${budgetCounter} c
      join ${resource} r on r.tenant = c.tenant and r.id = c.budget and r.archived_at is null
      left join ${budgetTold} t on t.tenant = c.tenant and t.budget = c.budget and t.subject = c.subject
      where c.carried_at is null and c.window_to > ${nowMs} and c.window_from <= ${nowMs}
        and ${isDue(sql`(r.spec -> 'limit' ->> 'amount')::numeric`)}`),
  )
  return (rows as unknown as { tenant: string }[]).map(({ tenant }) => tenant)
}
