import { parseAmount } from '../../../schema/money.ts'
import { usageOf } from './instant-upstream.ts'
import type { Checks } from './proof.ts'
import { type Books, checkChains, checkNumbers, isPresumed, type Row } from './record-audit.ts'
import type { Asked } from './steady-load.ts'

/** Per million tokens; odd on purpose, so that rounding anywhere would show. */
export const inputPrice = '0.123457'
export const outputPrice = '7.654321'

const perToken = (price: string) => parseAmount(price)! / 1_000_000n

function costOf(at: number): bigint {
  const { input, output } = usageOf(at)
  return perToken(inputPrice) * BigInt(input) + perToken(outputPrice) * BigInt(output)
}

export interface Judged {
  records: number
  chains: number
  answered: number
  /** Requests that a kill left without an answer. */
  cutOff: number
  /** Of them, records charged at the ceiling. */
  ceiling: number
  /** At 10⁻¹². */
  cost: bigint
}

/** Holds what clients saw and what the provider was asked against what the control plane has in its books. */
export function judgeBooks(asked: Asked[], calls: number, books: Books, checks: Checks): Judged {
  const byId = Map.groupBy(books.rows, ({ id }) => id)
  const answered = asked.filter(({ outcome }) => outcome === 'answered')
  const cutOff = asked.filter(({ outcome }) => outcome === 'unheard')
  const presumed = books.rows.filter(isPresumed)
  const few = (what: string, ids: unknown[]) =>
    checks.that(ids.length === 0, `${ids.length} ${what}, such as ${ids.slice(0, 3).join(', ')}`)

  few(
    'records stand twice',
    [...byId].filter(([, rows]) => rows.length > 1).map(([id]) => id),
  )
  const known = asked.filter(({ id }) => id !== null)
  few(
    'requests with an id have no record',
    known.filter(({ id }) => !byId.has(id!)).map(({ id }) => id),
  )
  const wrong = answered.filter(({ id, at }) => !isWhole(byId.get(id!)?.[0], at))
  few(
    'answered requests are not recorded as completed at their exact cost',
    wrong.map(({ id }) => id),
  )

  const answeredIds = new Set(answered.map(({ id }) => id))
  const unanswered = books.rows.filter(({ id }) => !answeredIds.has(id))
  few(
    'records of cut requests are neither completed nor charged at the ceiling',
    unanswered.filter(isOdd).map(({ id }) => id),
  )
  const bounds = `${calls} calls reached the provider, ${books.rows.length} are recorded, ${asked.length} were made`
  checks.that(
    calls <= books.rows.length && books.rows.length <= asked.length,
    `calls are missing or invented: ${bounds}`,
  )
  checkNumbers(books, checks)
  return {
    records: books.rows.length,
    chains: checkChains(books, checks),
    answered: answered.length,
    cutOff: cutOff.length,
    ceiling: presumed.length,
    cost: books.rows.reduce((sum, { cost }) => sum + cost, 0n),
  }
}

function isWhole(row: Row | undefined, at: number): boolean {
  return row?.record.outcome === 'COMPLETED' && row.cost === costOf(at) && row.cost === parseAmount(row.record.cost)
}

/** A crash either came after the record was kept, or leaves an intent, which is charged at what was reserved. */
function isOdd(row: Row): boolean {
  const { outcome, cost, reserved } = row.record
  return isPresumed(row) ? outcome !== 'FAILED' || cost !== reserved : outcome !== 'COMPLETED'
}
