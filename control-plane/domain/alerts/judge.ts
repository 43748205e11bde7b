import { type AlertTrigger, alertTriggers, type Resource } from '../../../schema/config/index.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Dimensions } from '../measures.ts'
import { burnRate, hourSlices, judgeBurn, minuteSlices, type RecentSpend } from './burn-rate.ts'
import { countsFor, isSpentIn, isWithin, type Tree } from './coverage.ts'
import type { Forecast } from './forecast.ts'
import { allowanceOf, type BudgetStanding, leftMsOf, leftOf, windowName } from './standing.ts'

/** Spending of some dimensions in one slice of time; slice 0 is the newest. */
export interface SpentSlice {
  slice: number
  cost: bigint
  requests: number
  failed: number
  spent: Dimensions
}

/** All that judging needs to know, gathered in one moment. What no rule asks for is empty. */
export interface Facts {
  nowMs: number
  tree: Tree
  standings: readonly BudgetStanding[]
  forecasts: ReadonlyMap<BudgetStanding, { forecast: Forecast; knownHours: number }>
  /** Quarters of the last minute, and twelfths of the last hour. */
  minute: readonly SpentSlice[]
  hour: readonly SpentSlice[]
  /** Whose requests were refused in the last minute for want of money. */
  refused: readonly Dimensions[]
  planes: readonly { id: string; name: string; behindSinceMs: number | null }[]
  keys: readonly { id: string; name: string; expiresAtMs: number }[]
}

/** What holds of one condition. BETWEEN neither begins nor ends an alert, so that it does not flap. */
export interface Verdict {
  condition: string
  state: 'RAISED' | 'BETWEEN' | 'CLEAR'
  subject: string | null
  summary: string
  figures: Record<string, string>
}

type Rule = Resource<'alertRule'>
type Told = Omit<Verdict, 'condition'>

/** Every condition that a rule speaks of now. An open alert whose condition is not among them has lost what it was about. */
export function judge(rule: Rule, facts: Facts): Verdict[] {
  return judges[rule.spec.on](rule, facts)
}

const judges: Record<AlertTrigger, (rule: Rule, facts: Facts) => Verdict[]> = {
  BUDGET_THRESHOLD: (rule, facts) =>
    covered(rule, facts).flatMap((standing) =>
      levelsOf(rule, standing).map((level) =>
        named(rule, standing, judgeThreshold(standing, level), formatAmount(level)),
      ),
    ),
  BUDGET_EXHAUSTED: (rule, facts) =>
    covered(rule, facts).map((standing) => named(rule, standing, judgeExhausted(standing, facts))),
  BURN_RATE: (rule, facts) =>
    covered(rule, facts).flatMap((standing) => {
      const leftMs = leftMsOf(standing, facts.nowMs)
      return leftMs === null ? [] : [named(rule, standing, burning(rule, standing, leftMs, facts))]
    }),
  BUDGET_FORECAST: (rule, facts) =>
    covered(rule, facts).flatMap((standing) => {
      const known = facts.forecasts.get(standing)
      return known ? [named(rule, standing, foreseen(rule, standing, known.forecast, known.knownHours))] : []
    }),
  ERROR_RATE: (rule, facts) => [{ condition: `${rule.id}|errors`, ...judgeErrors(rule, facts) }],
  DATA_PLANE_BEHIND: (rule, { planes, nowMs }) =>
    planes.map((plane) => ({ condition: `${rule.id}|${plane.id}`, ...judgePlane(rule, plane, nowMs) })),
  API_KEY_EXPIRING: (rule, { keys, tree, nowMs }) =>
    keys
      .filter(({ id, expiresAtMs }) => expiresAtMs > nowMs && isWithin(rule.spec.scope, id, tree))
      .map((key) => ({ condition: `${rule.id}|${key.id}`, ...judgeKey(rule, key, nowMs) })),
  // Told where they are found; a rule says who else hears of them.
  RECORDS_QUARANTINED: () => [],
  LEDGER_INCIDENT: () => [],
}

const one = parseAmount('1')!
const percentOf = (amount: bigint, level: bigint) => (amount * level) / (100n * one)
/** At 10⁻¹², in the trigger's unit; null where the trigger has no threshold and the rule gives none. */
export function thresholdOf({ spec }: Rule): bigint | null {
  const text = spec.threshold ?? alertTriggers[spec.on].threshold?.fallback ?? null
  return text === null ? null : parseAmount(text)!
}

const covered = (rule: Rule, { standings, tree }: Facts) =>
  standings.filter(({ budget }) => isWithin(rule.spec.scope, budget.spec.scope, tree))

function named(rule: Rule, standing: BudgetStanding, told: Told, level = ''): Verdict {
  const { budget, subject } = standing
  return { condition: [rule.id, budget.id, subject ?? '', windowName(standing), level].join('|'), ...told }
}

const levelsOf = (rule: Rule, { budget }: BudgetStanding): bigint[] => {
  const own = thresholdOf(rule)
  return own === null ? budget.spec.thresholds.map((percent) => BigInt(percent) * one) : [own]
}

/** Two percent of the allowance below its level an alert is over: an adjustment, not a rounding, brings it there. */
const clearBelow = 2n * one

function judgeThreshold(standing: BudgetStanding, level: bigint): Told {
  const allowance = allowanceOf(standing)
  const reached = standing.spent > 0n && standing.spent >= percentOf(allowance, level)
  const calm = standing.spent < percentOf(allowance, level - clearBelow)
  const state = reached ? 'RAISED' : calm || standing.spent === 0n ? 'CLEAR' : 'BETWEEN'
  return {
    state,
    ...tell(
      standing,
      `has spent ${percentText(standing.spent, allowance)} of its limit (${formatAmount(level)} % told)`,
    ),
  }
}

/** So little left that hardly a request fits: 0.5 % of the allowance, as the ledger promises no wrong refusal within. */
const scarce = (amount: bigint, allowance: bigint) => amount * 200n <= allowance

function judgeExhausted(standing: BudgetStanding, { refused }: Facts): Told {
  const allowance = allowanceOf(standing)
  const { budget, subject, available } = standing
  const refusing = scarce(available, allowance) && refused.some((spent) => countsFor(budget, subject, spent))
  const left = leftOf(standing)
  const state =
    left <= 0n || refusing ? 'RAISED' : left * 100n > allowance && !scarce(available, allowance) ? 'CLEAR' : 'BETWEEN'
  return {
    state,
    ...tell(standing, left <= 0n ? 'is exhausted' : 'is exhausted: what is left is less than requests may cost'),
  }
}

function burning(rule: Rule, standing: BudgetStanding, leftMs: number, facts: Facts): Told {
  const counts = (spent: Dimensions) => countsFor(standing.budget, standing.subject, spent)
  const spend: RecentSpend = {
    minute: slicesOf(facts.minute, minuteSlices, counts),
    hour: slicesOf(facts.hour, hourSlices, counts),
  }
  const runway = { left: leftOf(standing), leftMs }
  const rate = burnRate(spend, runway)
  const told = tell(standing, `burns ${rounded(rate)} times faster than what is left lasts`)
  return {
    state: judgeBurn(spend, runway, thresholdOf(rule)!),
    ...told,
    figures: { ...told.figures, burnRate: rounded(rate) },
  }
}

/** Oldest first. */
function slicesOf(rows: readonly SpentSlice[], count: number, counts: (spent: Dimensions) => boolean): bigint[] {
  const slices: bigint[] = new Array(count).fill(0n)
  for (const { slice, cost, spent } of rows)
    if (slice >= 0 && slice < count && counts(spent)) slices[count - 1 - slice]! += cost
  return slices
}

/** An hour of data at least: less would multiply a first minute to a month. */
const knownHoursMin = 1

function foreseen(rule: Rule, standing: BudgetStanding, foretold: Forecast, knownHours: number): Told {
  const level = percentOf(allowanceOf(standing), thresholdOf(rule)!)
  const raised = foretold.expected >= level && foretold.expected > 0n && knownHours >= knownHoursMin
  const state = raised ? 'RAISED' : foretold.expected * 20n < level * 19n ? 'CLEAR' : 'BETWEEN'
  const { low, expected, high, exhaustedAt } = foretold
  const when = exhaustedAt === null ? '' : `, and is used up at ${new Date(exhaustedAt).toISOString()}`
  const told = tell(
    standing,
    `will have spent ${percentText(expected, allowanceOf(standing))} of its limit at the window's end${when}`,
  )
  const range = { low: formatAmount(low), expected: formatAmount(expected), high: formatAmount(high) }
  const figures = { ...told.figures, ...range, ...(when && { exhaustedAt: new Date(exhaustedAt!).toISOString() }) }
  return { state, ...told, figures }
}

/** Of fewer requests one failure says too much. */
const requestsMin = 20

function judgeErrors(rule: Rule, { hour }: Facts): Told {
  const { scope } = rule.spec
  const newest = hour.filter(({ slice, spent }) => slice === 0 && isSpentIn(scope, spent))
  const requests = newest.reduce((sum, row) => sum + row.requests, 0)
  const failed = newest.reduce((sum, row) => sum + row.failed, 0)
  const level = thresholdOf(rule)!
  const share = requests === 0 ? 0n : (BigInt(failed) * 100n * one) / BigInt(requests)
  const calm = share * 10n < level * 8n && (requests >= requestsMin || failed === 0)
  const state = requests >= requestsMin && share >= level ? 'RAISED' : calm ? 'CLEAR' : 'BETWEEN'
  const summary = `${failed} of ${requests} requests failed in the last five minutes`
  const figures = { requests: String(requests), failed: String(failed), percent: rounded(share) }
  return { state, subject: scope.startsWith('label/') ? null : scope, summary, figures }
}

const minuteMs = 60_000
const dayMs = 86_400_000

function judgePlane(rule: Rule, { id, name, behindSinceMs }: Facts['planes'][number], nowMs: number): Told {
  const allowedMs = Number((thresholdOf(rule)! * BigInt(minuteMs)) / one)
  const behindMs = behindSinceMs === null ? null : nowMs - behindSinceMs
  const state = behindMs === null ? 'CLEAR' : behindMs >= allowedMs ? 'RAISED' : 'BETWEEN'
  const minutes = Math.floor((behindMs ?? 0) / minuteMs)
  const summary = `data-plane/${name} has not run the newest configuration for ${minutes} minutes`
  return { state, subject: id, summary, figures: { minutes: String(minutes) } }
}

function judgeKey(rule: Rule, { id, name, expiresAtMs }: Facts['keys'][number], nowMs: number): Told {
  const aheadMs = Number((thresholdOf(rule)! * BigInt(dayMs)) / one)
  const expiresAt = new Date(expiresAtMs).toISOString()
  const state = expiresAtMs - nowMs <= aheadMs ? 'RAISED' : 'CLEAR'
  return { state, subject: id, summary: `api-key/${name} expires at ${expiresAt}`, figures: { expiresAt } }
}

function tell(standing: BudgetStanding, what: string): Omit<Told, 'state'> {
  const { budget, subject, spent, limit, adjustments, window } = standing
  const of = subject === null ? '' : ` for ${subject}`
  const figures = {
    ...{ spent: formatAmount(spent), limit: formatAmount(limit), adjustments: formatAmount(adjustments) },
    ...{ currency: budget.spec.limit.currency, windowFrom: new Date(window.from).toISOString() },
    ...{ windowTo: new Date(window.to).toISOString(), ...(subject !== null && { subject }) },
  }
  return { subject: budget.id, summary: `budget/${budget.name}${of} ${what}`, figures }
}

/** With one decimal, for people. */
const rounded = (amount: bigint) => formatAmount((amount / (one / 10n)) * (one / 10n))

const percentText = (amount: bigint, of: bigint) =>
  of <= 0n ? 'more than all' : `${rounded((amount * 100n * one) / of)} %`
