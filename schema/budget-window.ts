import { Temporal } from 'temporal-polyfill'
import type { BudgetPeriod } from './config/budgets.ts'

/** When a budget's periods begin and end. */
export interface PeriodRule {
  period: BudgetPeriod
  /** Length of a ROLLING period. */
  windowMs: number | null
  /** IANA name. */
  timeZone: string
  /** Periods are counted from here; null = midnight, Monday, the first of a month. */
  anchorMs: number | null
}

/** Half-open, Unix milliseconds of the control plane's clock. Two windows with the same ends are the same. */
export interface BudgetWindow {
  from: number
  to: number
}

/** The end of a window without one: the last millisecond of the year 9999. */
export const endOfTime = Date.UTC(10_000, 0, 1) - 1
const rollingSteps = 24
const stepMsMin = 60_000

/**
 * The window that a moment lies in. Of a ROLLING period it is the sub-window, a 24th of the period and at least a minute: the
 * period itself is the ring of them that ends with this one. In a zone with summer time a day has 23 or 25 hours twice a year.
 */
export function windowAt(rule: PeriodRule, atMs: number): BudgetWindow {
  if (rule.period === 'LIFETIME') return { from: rule.anchorMs ?? 0, to: endOfTime }
  if (rule.period === 'ROLLING') return stepAt(stepMsOf(rule), atMs)
  // Clocks that are followed by a monotonic one have fractions.
  const wholeMs = Math.floor(atMs)
  const first = firstStart(rule, wholeMs)
  const at = Temporal.Instant.fromEpochMilliseconds(wholeMs).toZonedDateTimeISO(rule.timeZone)
  const { unit, size } = lengths[rule.period]
  // Counted from the first start and never from the window before: the 31st stays the 31st after a February.
  let nth = Math.floor(at.since(first, { largestUnit: unit })[unit] / size)
  const start = (n: number) => first.add({ [unit]: n * size }).epochMilliseconds
  while (start(nth) > atMs) nth--
  while (start(nth + 1) <= atMs) nth++
  return { from: start(nth), to: start(nth + 1) }
}

/** The window that follows; null where there is none. */
export function windowAfter(rule: PeriodRule, window: BudgetWindow): BudgetWindow | null {
  return rule.period === 'LIFETIME' ? null : windowAt(rule, window.to)
}

/** The ring that a sub-window of a ROLLING period ends: what was spent before its `from` counts no longer. */
export function ringOf(rule: PeriodRule, step: BudgetWindow): BudgetWindow {
  const stepMs = stepMsOf(rule)
  const steps = Math.max(1, Math.round(rule.windowMs! / stepMs))
  return { from: step.to - steps * stepMs, to: step.to }
}

function stepMsOf({ windowMs }: PeriodRule): number {
  return Math.max(stepMsMin, Math.ceil(windowMs! / rollingSteps))
}

function stepAt(stepMs: number, atMs: number): BudgetWindow {
  const from = Math.floor(atMs / stepMs) * stepMs
  return { from, to: from + stepMs }
}

const lengths = {
  DAY: { unit: 'days', size: 1 },
  WEEK: { unit: 'weeks', size: 1 },
  MONTH: { unit: 'months', size: 1 },
  QUARTER: { unit: 'months', size: 3 },
  YEAR: { unit: 'years', size: 1 },
} as const

/** A start from which all others are whole periods away. */
function firstStart({ period, timeZone, anchorMs }: PeriodRule, atMs: number): Temporal.ZonedDateTime {
  const zoned = (ms: number) => Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(timeZone)
  if (anchorMs !== null) return zoned(anchorMs)
  const today = zoned(atMs).toPlainDate()
  const date = {
    DAY: () => today,
    WEEK: () => today.subtract({ days: today.dayOfWeek - 1 }),
    MONTH: () => today.with({ day: 1 }),
    QUARTER: () => today.with({ month: today.month - ((today.month - 1) % 3), day: 1 }),
    YEAR: () => today.with({ month: 1, day: 1 }),
  }[period as keyof typeof lengths]()
  return date.toZonedDateTime(timeZone)
}
