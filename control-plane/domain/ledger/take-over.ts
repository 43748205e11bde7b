import { mintId } from '../../../schema/ids.ts'
import type { Book } from './book.ts'
import { type LeaseRow, outstandingOf } from './rows.ts'

/**
 * Takes into a new counter what windows of another period of its budget have spent of its time: all that was leased since it
 * began, and of older leases what is still out. Without it a change of period would give the limit a second time.
 */
export function takeOver(book: Book, overlapping: readonly LeaseRow[], nowMs: number): void {
  const { rule } = book.declared ?? {}
  if (!rule || overlapping.length === 0) return
  const { budget, subject, from, to } = book.counter
  const isRing = rule.period === 'ROLLING'
  const sinceMs = isRing ? nowMs - rule.windowMs! : from
  const amount = overlapping
    .filter(({ to: end }) => end > sinceMs)
    .reduce((sum, row) => sum + (row.createdAtMs >= sinceMs ? row.granted - row.returned : outstandingOf(row)), 0n)
  if (amount <= 0n) return
  book.adjust({
    ...{ budget, subject, from, to, id: mintId('budgetAdjustment', nowMs), kind: 'TAKEN_OVER', amount: -amount },
    ...{ atMs: nowMs, actor: null, reason: 'spent in the windows of the period before', endedAtMs: null },
    // From a ring it leaves as what was spent would have left.
    expiresAtMs: isRing ? nowMs + rule.windowMs! : null,
  })
}
