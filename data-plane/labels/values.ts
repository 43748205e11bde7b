import { hash } from 'node:crypto'

/** What a label is recorded with once it has had `maxValues` different values: spend groups stay few, and still add up. */
export const overflowValue = '(overflow)'

const dayMs = 86_400_000

/**
 * Which values each label had, so that their number stays within what is declared. Counted by each instance and anew each day (UTC),
 * in memory: at most `maxValues` numbers for each declared label of each tenant served.
 */
export class LabelValues {
  readonly #seen = new Map<string, Set<number>>()
  #day = 0

  /** The value, or `overflowValue` where it is one too many. */
  bounded(tenant: string, key: string, value: string, valuesMax: number, nowMs: number): string {
    const day = Math.floor(nowMs / dayMs)
    if (day !== this.#day) this.#startDay(day)
    const name = `${tenant} ${key}`
    let seen = this.#seen.get(name)
    if (!seen) {
      seen = new Set()
      this.#seen.set(name, seen)
    }
    // 48 bits of a hash that nobody can aim: a million long values take what a million numbers do.
    const place = hash('sha256', value, 'buffer').readUIntBE(0, 6)
    if (seen.has(place)) return value
    if (seen.size >= valuesMax) return overflowValue
    seen.add(place)
    return value
  }

  #startDay(day: number): void {
    this.#day = day
    this.#seen.clear()
  }
}
