import type { RunningLimit } from './book.ts'
import { drain, type Level, type Part, partOf, type Rate, rateOf, tickAt, wholePart } from './gcra.ts'

/**
 * What an instance has of every limit, and had. While shares are dealt anew it has the least of the old and the new part, so that all
 * instances together never have more than the whole; a part that grows begins empty, so that nothing is there twice.
 */
interface Dealt {
  readonly atMs: number
  /** None at all = nothing. */
  readonly parts: readonly Part[]
}

const historyMax = 16
/** Longer than any window. */
const everMs = 32 * 86_400_000

export class Parts {
  #history: Dealt[]
  #rates = new WeakMap<RunningLimit, Rate>()
  /** Nobody knows what was counted before the first of them. */
  #beginsEmpty: boolean

  constructor(nowMs: number, parts: readonly Part[], beginsEmpty: boolean) {
    this.#history = [{ atMs: nowMs, parts }]
    this.#beginsEmpty = beginsEmpty
  }

  get present(): readonly Part[] {
    return this.#history.at(-1)!.parts
  }

  /** From now on it has this much. */
  deal(nowMs: number, parts: readonly Part[]): void {
    this.#history.push({ atMs: nowMs, parts })
    this.#rates = new WeakMap()
    while (this.#history.length > 1 && this.#history[1]!.atMs < nowMs - everMs) this.#forget(false)
    if (this.#history.length > historyMax) this.#forget(true)
  }

  #forget(beginsEmpty: boolean): void {
    this.#history.shift()
    this.#beginsEmpty = beginsEmpty
  }

  /** The most that may be under way. */
  concurrency({ limit }: RunningLimit): number {
    return leastOf(limit, this.present)
  }

  rate(limit: RunningLimit): Rate {
    if (isWhole(this.present)) return limit.rate!
    const known = this.#rates.get(limit)
    if (known) return known
    const rate = rateWith(limit, this.present)
    this.#rates.set(limit, rate)
    return rate
  }

  /** Where a counter stands that nothing was counted in since the beginning. */
  idle(limit: RunningLimit, nowMs: number): Level {
    const [first, ...later] = this.#history as [Dealt, ...Dealt[]]
    let rate = rateWith(limit, first.parts)
    const tick = tickAt(rate, first.atMs)
    const level: Level = { debt: this.#beginsEmpty ? rate.capacity : 0, tick, removed: 0, born: tick }
    for (const { atMs, parts } of later) {
      const next = rateWith(limit, parts)
      refit(level, rate, next, atMs)
      rate = next
    }
    drain(level, rate, tickAt(rate, nowMs))
    level.born = level.tick
    return level
  }
}

const isWhole = (parts: readonly Part[]) => parts.length === 1 && parts[0]!.of === 1

function rateWith(limit: RunningLimit, parts: readonly Part[]): Rate {
  if (isWhole(parts)) return limit.rate!
  const whole = rateOf(limit.limit, limit.windowMs, limit.burst, wholePart)
  return {
    ...whole,
    limit: leastOf(limit.limit, parts),
    capacity: leastOf(limit.burst + 1, parts) * whole.span,
  }
}

function leastOf(total: number, parts: readonly Part[]): number {
  return parts.length === 0 ? 0 : Math.min(...parts.map((part) => partOf(total, part)))
}

/** A counter whose rate becomes another: what the bucket gained is not in it yet, and nothing from before is taken back. */
export function refit(level: Level, from: Rate, to: Rate, nowMs: number): void {
  drain(level, from, tickAt(from, nowMs))
  const owed = Math.ceil(level.debt / from.span) * to.span
  const isSame = from.span === to.span && from.tickMs === to.tickMs
  level.debt = (isSame ? level.debt : owed) + Math.max(0, to.capacity - (from.capacity / from.span) * to.span)
  level.tick = tickAt(to, nowMs)
  level.born = level.tick + 1
}
