import { and, eq, gt, lte, type SQL, sql } from 'drizzle-orm'
import { endOfTime } from '../../../schema/budget-window.ts'
import type { Resource } from '../../../schema/config/index.ts'
import { isLabelScope, parseLabelScope } from '../../../schema/handles.ts'
import { idKind } from '../../../schema/ids.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { spendRollup } from '../../db/tables.ts'
import { standingsOf } from './balances.ts'
import { type Forecast, forecast } from './forecast.ts'
import { allowanceOf, type BudgetStanding } from './standing.ts'

const hourMs = 3_600_000
const hoursMax = 4 * 168

/**
 * The forecast of one counter, from what the hours of the last four weeks cost in its scope. Null where the window has no end to
 * look to: LIFETIME, and ROLLING, which ends at every moment. `knownHours` is since spending began.
 */
export async function forecastOf(
  tx: Tx,
  tenant: string,
  standing: BudgetStanding,
  nowMs: number,
): Promise<{ forecast: Forecast | null; knownHours: number }> {
  const { budget, window, spent } = standing
  if (budget.spec.period === 'ROLLING' || window.to >= endOfTime) return { forecast: null, knownHours: 0 }
  const hours = await hoursOf(tx, tenant, standing, nowMs)
  const allowance = allowanceOf(standing)
  return { forecast: forecast({ window, nowMs, spent, allowance, hours }), knownHours: Math.max(0, hours.length - 1) }
}

/** The forecast of the counter that counts this subject (null = the budget's one); null where there is no such counter. */
export async function forecastOfCounter(
  tx: Tx,
  tenant: string,
  budget: Resource<'budget'>,
  subject: string | null,
  nowMs: number,
): Promise<Forecast | null> {
  if ((budget.spec.per === null) !== (subject === null)) return null
  const standings = await standingsOf(tx, tenant, [budget], nowMs, subject === null ? [] : [subject])
  const standing = standings.find((one) => one.subject === subject)
  return standing ? (await forecastOf(tx, tenant, standing, nowMs)).forecast : null
}

/** Since the first hour that cost something; the newest is the one under way. */
async function hoursOf(tx: Tx, tenant: string, standing: BudgetStanding, nowMs: number): Promise<bigint[]> {
  const now = Math.floor(nowMs / hourMs)
  const rows = await tx
    .select({ at: spendRollup.at, cost: sql<string>`sum(${spendRollup.cost})` })
    .from(spendRollup)
    .where(
      and(
        eq(spendRollup.tenant, tenant),
        eq(spendRollup.interval, 'HOUR'),
        gt(spendRollup.at, new Date((now - hoursMax) * hourMs)),
        lte(spendRollup.at, new Date(nowMs)),
        ...conditionsOf(standing),
      ),
    )
    .groupBy(spendRollup.at)
  const spent = rows
    .map(({ at, cost }) => ({ hour: at.getTime() / hourMs, cost: parseAmount(cost)! }))
    .filter(({ cost }) => cost > 0n)
  if (spent.length === 0) return []
  const first = Math.min(...spent.map(({ hour }) => hour))
  const hours: bigint[] = new Array(now - first + 1).fill(0n)
  for (const { hour, cost } of spent) hours[hour - first] = cost
  return hours
}

const columns = {
  ...{ team: spendRollup.team, project: spendRollup.project, principal: spendRollup.principal },
  ...{ apiKey: spendRollup.apiKey, provider: spendRollup.provider, model: spendRollup.model, tier: spendRollup.tier },
}

const subjectColumns = {
  TEAM: spendRollup.team,
  PROJECT: spendRollup.project,
  PRINCIPAL: spendRollup.principal,
  API_KEY: spendRollup.apiKey,
  MODEL: spendRollup.model,
} as const

/** What `countsFor` says, as SQL. */
function conditionsOf({ budget, subject }: BudgetStanding): SQL[] {
  const { scope, per } = budget.spec
  const label = (key: string, value: string | null) =>
    value === null
      ? sql`${spendRollup.requestLabels} -> ${key} is not null`
      : sql`${spendRollup.requestLabels} ->> ${key} = ${value}`
  const within: SQL[] = []
  if (isLabelScope(scope)) {
    const { key, value } = parseLabelScope(scope)
    within.push(label(key, per === 'LABEL_VALUE' && subject !== null ? subject : value))
  } else if (idKind(scope) !== 'tenant') within.push(eq(columns[idKind(scope) as keyof typeof columns], scope))
  if (per !== null && per !== 'LABEL_VALUE' && subject !== null) within.push(eq(subjectColumns[per], subject))
  return within
}
