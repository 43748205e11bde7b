import { Temporal } from 'temporal-polyfill'
import { declaredMax, parseAmount } from '../money.ts'
import { counterPer, perIssues } from './counters.ts'
import { declare, type RuleIssue } from './declaration.ts'
import { dateTime, duration, flag, int, list, money, oneOf, ref, scope, z } from './fields.ts'

const day = 86_400_000

export const budgetPeriods = ['DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR', 'LIFETIME', 'ROLLING'] as const
export type BudgetPeriod = (typeof budgetPeriods)[number]

export const budgetActions = ['BLOCK', 'DOWNGRADE', 'CAP', 'WARN'] as const
export type BudgetAction = (typeof budgetActions)[number]

const timeZone = () =>
  z
    .string()
    .max(100)
    .refine(isTimeZone, 'must be the IANA name of a time zone, such as Europe/Berlin or UTC')
    .meta({ graphql: 'String', description: 'IANA name; periods begin at midnight there, or at `anchor`.' })

function isTimeZone(name: string): boolean {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(name)
    return !/^[+-]/.test(name)
  } catch {
    return false
  }
}

const fields = z.strictObject({
  scope: scope(),
  per: counterPer(),
  limit: money(),
  period: oneOf('BudgetPeriod', budgetPeriods),
  window: duration(3_600_000, 366 * day)
    .nullable()
    .default(null)
    .meta({ description: 'Length of a ROLLING period, in steps of a 24th of it.' }),
  timeZone: timeZone().default('UTC'),
  anchor: dateTime().nullable().default(null),
  carryOver: flag().default(false),
  onExhausted: oneOf('BudgetAction', budgetActions).default('BLOCK'),
  downgradeTo: ref('tier').nullable().default(null),
  waitForFunds: duration(0, 30_000).default('PT1S').meta({
    description: 'How long a request may wait for money to come free before `onExhausted`.',
  }),
  thresholds: list(int(1, 1_000), 20).default([50, 80, 100]).meta({ description: 'Percent of limit + adjustments.' }),
})
type Fields = z.output<typeof fields>

export const budget = declare({
  kind: 'budget',
  description: 'What may be spent within a scope, in each period.',
  spec: fields,
  rules: (spec) => [...perIssues(spec), ...periodIssues(spec), ...actionIssues(spec), ...limitIssues(spec)],
})

function periodIssues({ period, window, anchor, carryOver }: Fields): RuleIssue[] {
  const issues: RuleIssue[] = []
  if (period === 'ROLLING' && window === null)
    issues.push({ path: ['window'], message: 'is needed: how long does the rolling period last, such as P1D' })
  if (period !== 'ROLLING' && window !== null)
    issues.push({ path: ['window'], message: `is the length of a ROLLING period; this one is a ${period}` })
  if (anchor && period === 'ROLLING')
    issues.push({ path: ['anchor'], message: 'says nothing of a rolling period, which ends now at every moment' })
  if (carryOver && (period === 'ROLLING' || period === 'LIFETIME'))
    issues.push({ path: ['carryOver'], message: `needs a period after this one; a ${period} one has none` })
  return issues
}

function actionIssues({ onExhausted, downgradeTo }: Fields): RuleIssue[] {
  if (onExhausted === 'DOWNGRADE' && downgradeTo === null)
    return [{ path: ['downgradeTo'], message: 'is needed: to which tier do requests go when this budget is exhausted' }]
  if (onExhausted !== 'DOWNGRADE' && downgradeTo !== null)
    return [{ path: ['downgradeTo'], message: `is only for onExhausted: DOWNGRADE; here it is ${onExhausted}` }]
  return []
}

function limitIssues({ limit, thresholds }: Fields): RuleIssue[] {
  const issues: RuleIssue[] = []
  if ((parseAmount(limit.amount) ?? -1n) < 0n)
    issues.push({ path: ['limit', 'amount'], message: 'must not be negative' })
  if (parseAmount(limit.amount)! > declaredMax)
    issues.push({
      path: ['limit', 'amount'],
      message: 'is more than 10¹⁵; leave the budget out where there is no limit',
    })
  if (new Set(thresholds).size !== thresholds.length)
    issues.push({ path: ['thresholds'], message: 'names one percentage twice' })
  return issues
}
