import { type BudgetWindow, type PeriodRule, windowAt } from '../../../schema/budget-window.ts'
import type { ledgerEntryKinds } from '../../db/tables.ts'
import { allTime } from './counter.ts'

/** The ledger's rows as the pure core sees them: amounts at 10⁻¹², times in Unix milliseconds, `subject` '' for none. */
export interface CounterName extends BudgetWindow {
  budget: string
  subject: string
}

export interface CounterRow extends CounterName {
  limit: bigint
  adjustments: bigint
  /** Σ weightOf(its leases). */
  committed: bigint
  overruns: bigint
  released: bigint
  carriedAtMs: number | null
}

/** Of a ROLLING budget the window is a sub-window, and its counter's is all time. */
export interface LeaseName extends CounterName {
  instance: string
  epoch: number
}

export interface LeaseRow extends LeaseName {
  rolling: boolean
  createdAtMs: number
  granted: bigint
  returned: bigint
  posted: bigint
  overrun: bigint
  aged: bigint
  agedAtMs: number | null
  writtenOffAtMs: number | null
}

export interface AdjustmentRow extends CounterName {
  id: string
  kind: 'MANUAL' | 'CARRIED' | 'TAKEN_OVER'
  amount: bigint
  atMs: number
  reason: string
  /** As in the audit log; null = the control plane itself. */
  actor: unknown
  expiresAtMs: number | null
  endedAtMs: number | null
}

export interface Entry extends CounterName {
  kind: (typeof ledgerEntryKinds)[number]
  instance: string | null
  epoch: number | null
  amount: bigint
  atMs: number
}

/** What the core asks of a declared budget. */
export interface Declared {
  id: string
  limit: bigint
  rule: PeriodRule
  carryOver: boolean
  /** False for WARN: posted, never guarded. */
  guarded: boolean
  /** False once it was archived: nothing is granted any more. */
  live: boolean
}

/** What counts of a lease under its counter's limit. */
export const weightOf = ({ granted, returned, overrun, aged }: LeaseRow): bigint => granted - returned - overrun - aged

/** What an instance may still spend of a lease, as far as its records tell. */
export const outstandingOf = ({ granted, returned, posted }: LeaseRow): bigint => granted - returned - posted

export function least(a: bigint, b: bigint): bigint {
  if (b < a) return b
  return a
}

export const counterKey = ({ budget, subject, from, to }: CounterName): string =>
  JSON.stringify([budget, subject, from, to])

export const leaseKey = ({ budget, subject, from, to, instance, epoch }: LeaseName): string =>
  JSON.stringify([budget, subject, from, to, instance, epoch])

/** The order in which rows are locked. */
export function byCounter(a: CounterName, b: CounterName): number {
  if (a.budget !== b.budget) return a.budget < b.budget ? -1 : 1
  if (a.subject !== b.subject) return a.subject < b.subject ? -1 : 1
  return a.from - b.from || a.to - b.to
}

/** The counter that a lease counts under: what its row says, else (it has none yet) what the budget's period says. */
export function counterOf(lease: CounterName & { rolling?: boolean }, declared: Declared | undefined): CounterName {
  const { budget, subject, from, to } = lease
  const rolling = lease.rolling ?? (declared !== undefined && isStepOf(declared.rule, { from, to }))
  return rolling ? { budget, subject, ...allTime } : { budget, subject, from, to }
}

function isStepOf(rule: PeriodRule, { from, to }: BudgetWindow): boolean {
  if (rule.period !== 'ROLLING') return false
  const step = windowAt(rule, from)
  return step.from === from && step.to === to
}
