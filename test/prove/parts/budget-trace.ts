import type { FlightRecord } from '../../../schema/flight-record.ts'
import { parseAmount } from '../../../schema/money.ts'
import { counterName, type DeclaredBudget } from './budget-declaration.ts'
import { askers, cases } from './budget-questions.ts'

/** What one record says of money: what was kept for it while it ran, and what it came to. */
export interface Held {
  fromMs: number
  toMs: number
  reserved: bigint
  /** By counter; what a counter does not have, the request did not fall under. */
  postings: ReadonlyMap<string, bigint>
}

/** Money that a killed gateway held: reserved until it is back and has reported. */
export interface Stranded {
  fromMs: number
  toMs: number
  /** By counter. */
  amounts: ReadonlyMap<string, bigint>
}

/** A limit as it was from this moment on. */
export interface LimitChange {
  fromMs: number
  limits: ReadonlyMap<string, bigint>
}

/** `nameOf` gives a budget's name by its id. */
export function heldOf(record: FlightRecord, nameOf: (budget: string) => string): Held | undefined {
  if (record.postings.length === 0) return undefined
  const postings = new Map<string, bigint>()
  for (const { budget, subject, amount } of record.postings) {
    const name = counterName(nameOf(budget), subject)
    postings.set(name, (postings.get(name) ?? 0n) + parseAmount(amount)!)
  }
  const fromMs = Math.min(record.at, ...record.attempts.map(({ at }) => at))
  return { fromMs, toMs: record.at + record.timing.totalMs, reserved: parseAmount(record.reserved)!, postings }
}

/** What was free under each counter at every moment, put together from records, limits, and what was out of reach. */
export class FreeMoney {
  readonly #changes = new Map<string, { atMs: number; by: bigint }[]>()

  constructor(held: readonly Held[], stranded: readonly Stranded[], limits: readonly LimitChange[]) {
    for (const { fromMs, toMs, reserved, postings } of held)
      for (const [counter, cost] of postings) {
        this.#change(counter, fromMs, -reserved)
        this.#change(counter, toMs, reserved - cost)
      }
    for (const { fromMs, toMs, amounts } of stranded)
      for (const [counter, amount] of amounts) {
        this.#change(counter, fromMs, -amount)
        this.#change(counter, toMs, amount)
      }
    const before = new Map<string, bigint>()
    for (const { fromMs, limits: now } of limits)
      for (const [counter, limit] of now) {
        this.#change(counter, fromMs, limit - (before.get(counter) ?? 0n))
        before.set(counter, limit)
      }
    for (const changes of this.#changes.values()) changes.sort((a, b) => a.atMs - b.atMs)
  }

  /** The least that was free between two moments. */
  least(counter: string, fromMs: number, toMs: number): bigint {
    let free = 0n
    let least: bigint | undefined
    for (const { atMs, by } of this.#changes.get(counter) ?? []) {
      if (atMs > toMs) break
      if (atMs >= fromMs) least = least === undefined || free < least ? free : least
      free += by
    }
    return least === undefined || free < least ? free : least
  }

  #change(counter: string, atMs: number, by: bigint): void {
    const changes = this.#changes.get(counter)
    if (changes) changes.push({ atMs, by })
    else this.#changes.set(counter, [{ atMs, by }])
  }
}

/** Every counter that there is, with its limit. */
export function limitsOf(budgets: readonly DeclaredBudget[], keys: ReadonlyMap<string, string>): Map<string, bigint> {
  const subjectsOf = ({ per, name }: DeclaredBudget): (string | null)[] => {
    if (per === 'LABEL_VALUE') return cases
    if (per === 'API_KEY')
      return askers.filter(({ project }) => name.startsWith(project)).map(({ key }) => keys.get(key)!)
    return [null]
  }
  return new Map(
    budgets.flatMap((budget) =>
      subjectsOf(budget).map((subject) => [counterName(budget.name, subject), budget.limit] as const),
    ),
  )
}
