import { formatAmount } from '../../schema/money.ts'
import { type Refusal, refuse } from '../../schema/refusals.ts'
import type { Prepared } from '../attempt.ts'
import type { BudgetCounter, CounterShortage, Shortage } from '../ports.ts'
import { affordableOutput } from '../pricing.ts'
import { projectDepth, type RunningBudget } from './book.ts'

const strictness: Record<RunningBudget['action'], number> = { BLOCK: 3, DOWNGRADE: 2, CAP: 1, WARN: 0 }

/** Whose action holds: the strictest of the budgets that lack money, of equals the narrowest. */
export function strictestOf({ short }: Shortage): RunningBudget {
  const budgets = short.map(({ counter }) => counter.of)
  const strictest = budgets.reduce((a, b) => (stricter(b, a) > 0 ? b : a))
  if (!strictest.isHard) throw new Error('A budget that only warns is never short.')
  return strictest
}

const stricter = (a: RunningBudget, b: RunningBudget) =>
  strictness[a.action] - strictness[b.action] || a.depth - b.depth

/** False where it is known already that another attempt would be short too, and no shorter answer would help. */
export function mayAfford({ short }: Shortage, { cost, counters }: Prepared): boolean {
  return short.every(
    ({ counter, affordable }) =>
      cost <= affordable || counter.of.action === 'CAP' || !counters.some((other) => isSame(other, counter)),
  )
}

const isSame = (a: BudgetCounter, b: BudgetCounter) => a.of.id === b.of.id && a.subject === b.subject

/** An answer shorter than this helps nobody. */
export const cappedTokensMin = 64

/** Output tokens, per answer, that there is money for; undefined where that is too little to answer at all. */
export function cappedOutput({ short }: Shortage, { prices, ceiling }: Prepared): number | undefined {
  if ('unpriced' in prices || !ceiling.outputTokens) return undefined
  const [{ affordable: amount }] = [...short].sort((a, b) => Number(a.affordable > b.affordable)) as [CounterShortage]
  const tokens = Math.floor(affordableOutput(prices, ceiling, amount) / (ceiling.answers ?? 1))
  return tokens >= cappedTokensMin ? tokens : undefined
}

/**
 * Why there is no money, as far as the caller may know: the narrowest exhausted budget of its project, or below it, by name; of
 * wider ones only that there is one. `currency` is the tenant's.
 */
export function exhausted(shortage: Shortage, currency: string): Refusal {
  if (shortage.reason) return refuse('ledger_unavailable')
  const { counter, missing, resetsAtMs } = narrowest(shortage)
  const { depth, name } = counter.of
  const whose = depth >= projectDepth ? `The budget '${name}'` : 'A budget above this project'
  const reset =
    resetsAtMs === null ? 'It does not reset by itself.' : `It resets at ${new Date(resetsAtMs).toISOString()}.`
  return refuse(
    'budget_exhausted',
    `${whose} lacks ${formatAmount(missing)} ${currency}. ${reset} An admin of the tenant can raise it.`,
  )
}

const narrowest = ({ short }: Shortage): CounterShortage =>
  short.reduce((a, b) => (b.counter.of.depth > a.counter.of.depth ? b : a))
