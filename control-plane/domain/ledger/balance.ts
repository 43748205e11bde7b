import { sql } from 'drizzle-orm'
import type { BudgetWindow } from '../../../schema/budget-window.ts'
import type { Resource } from '../../../schema/config/index.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { budgetCounter } from '../../db/tables.ts'
import { periodRule } from '../compile-budgets.ts'
import { liveResources, resourcesByIds } from '../resources.ts'
import { allTime, presentCounter, shownWindow } from './counter.ts'

/**
 * One counter of the present window. limit + adjustments + overruns + released = available + leased + spent, always. What
 * counts against limit + adjustments is spent − overruns − released; the two are 0 as long as nothing unusual happens.
 */
export interface Balance {
  budget: string
  /** Null: the budget's one counter. */
  subject: string | null
  /** Of a ROLLING period the ring that ends with the present sub-window. */
  window: BudgetWindow
  limit: bigint
  adjustments: bigint
  overruns: bigint
  /** Of a ROLLING period: what left the ring and is not settled yet. */
  released: bigint
  leased: bigint
  /** Posted, or presumed spent by instances that were written off. */
  spent: bigint
  /** Negative where the limit was set below what is out, or where a WARN budget is exceeded. */
  available: bigint
}

/**
 * The balances of a tenant's live budgets, in the order of budget id and subject. A budget without `per` always has one; one
 * with `per` has those of subjects that something was leased or posted for, and of each of `subjects`.
 */
export async function balancesOf(
  tx: Tx,
  tenant: string,
  options: { budgets?: readonly string[]; subjects?: readonly string[]; nowMs: number },
): Promise<Balance[]> {
  const budgets = await declared(tx, tenant, options.budgets)
  const sums = await countersOf(tx, tenant, budgets, options)
  const bySubject = Map.groupBy(sums, ({ budget }) => budget)
  return budgets.flatMap((budget) => {
    const found = bySubject.get(budget.id) ?? []
    const there = new Set(found.map(({ subject }) => subject))
    const wanted = budget.spec.per === null ? [''] : (options.subjects ?? [])
    const untouched = wanted.filter((subject) => !there.has(subject)).map((subject) => ({ ...nothing, subject }))
    return [...found, ...untouched]
      .sort((a, b) => (a.subject < b.subject ? -1 : 1))
      .map((sum) => balanceOf(budget, sum, options.nowMs))
  })
}

type Budget = Resource<'budget'>

async function declared(tx: Tx, tenant: string, ids: readonly string[] | undefined): Promise<Budget[]> {
  if (!ids) return liveResources(tx, tenant, ['budget'])
  const found = await resourcesByIds(tx, tenant, [...new Set(ids)].sort())
  return found.filter((one): one is Budget => one?.kind === 'budget' && one.archivedAt === null)
}

interface CounterSums {
  subject: string
  adjustments: bigint
  committed: bigint
  overruns: bigint
  released: bigint
  /** Σ max(granted, returned + posted) − returned. */
  held: bigint
  spent: bigint
  /** Posted, but not yet granted after the fact. */
  excess: bigint
}

const nothing = { adjustments: 0n, committed: 0n, overruns: 0n, released: 0n, held: 0n, spent: 0n, excess: 0n }

function balanceOf({ id, spec }: Budget, sums: CounterSums, nowMs: number): Balance {
  const limit = parseAmount(spec.limit.amount)!
  const { adjustments, overruns, released, held, spent } = sums
  return {
    budget: id,
    subject: sums.subject === '' ? null : sums.subject,
    window: shownWindow(periodRule({ spec }), nowMs),
    ...{ limit, adjustments, overruns, released, spent },
    leased: held - spent,
    available: limit + adjustments - sums.committed - sums.excess,
  }
}

/**
 * Adds up the leases of each present counter in one statement. Left out are those that left their ring and are settled: what
 * they hold is what they released, so the sum is the same without them.
 */
async function countersOf(
  tx: Tx,
  tenant: string,
  budgets: Budget[],
  { subjects, nowMs }: { subjects?: readonly string[]; nowMs: number },
): Promise<(CounterSums & { budget: string })[]> {
  if (budgets.length === 0) return []
  const windows = budgets.map((budget) => ({ budget: budget.id, ...presentCounter(periodRule(budget), nowMs) }))
  const only = subjects
    ? sql`and (c.subject = '' or c.subject in (select jsonb_array_elements_text(${JSON.stringify(subjects)}::jsonb)))`
    : sql``
  const rows = await tx.execute(sql`
    select c.budget, c.subject, c.adjustments, c.committed, l.overruns, l.released, l.held, l.spent, l.excess
    from jsonb_to_recordset(${JSON.stringify(windows)}::jsonb) as w(budget text, "from" bigint, "to" bigint)
    join ${budgetCounter} c on c.tenant = ${tenant} and c.budget = w.budget and c.window_from = w."from" and c.window_to = w."to"
    cross join lateral (
      select coalesce(sum(overrun), 0) as overruns, coalesce(sum(aged), 0) as released,
        coalesce(sum(greatest(granted - returned, posted)), 0) as held,
        coalesce(sum(case when written_off_at is null then posted else greatest(granted - returned, posted) end), 0) as spent,
        coalesce(sum(greatest(posted + returned - granted, 0)), 0) as excess
      from (
        select * from lease where not rolling and tenant = ${tenant} and budget = c.budget and subject = c.subject
          and window_from = c.window_from and window_to = c.window_to
        union all
        -- In the words of the partial index, so that those that are left out are not read.
        select * from lease where c.window_from = ${allTime.from} and tenant = ${tenant} and budget = c.budget and subject = c.subject
          and (granted <> returned + posted or overrun <> 0 or (rolling and aged_at is null))
          and rolling and (aged_at is null or granted <> returned + posted)
      ) as shown
    ) l
    where true ${only}`)
  return (rows as unknown as Record<keyof CounterSums | 'budget', string>[]).map(({ budget, subject, ...amounts }) => ({
    ...{ budget, subject },
    ...(Object.fromEntries(
      Object.entries(amounts).map(([name, text]) => [name, parseAmount(text)!]),
    ) as typeof nothing),
  }))
}
