/**
 * The arithmetic of one rate limit: a bucket of `burst + 1` units, of which `limit` flow back evenly in each window, kept as what is
 * owed. In any half-open interval of the window's length, on the clock it is asked by, at most `limit + burst` are admitted: at its
 * beginning the bucket holds at most burst + 1, and less than `limit` flow back before its end.
 *
 * Everything is a whole number below 2⁵³, so that nothing drifts and Lua counts the same: a unit is `span` grains, and `limit`
 * grains flow back per tick. A window of more than an hour has ticks of more than a millisecond.
 */
export interface Rate {
  /** Units in a window; grains in a tick. */
  readonly limit: number
  /** Ticks in a window; grains in a unit. */
  readonly span: number
  readonly tickMs: number
  /** Grains that may be owed. */
  readonly capacity: number
}

/** What one counter owes. A counter that owes nothing may be forgotten. */
export interface Level {
  /** Grains, as of `tick`. */
  debt: number
  tick: number
  /** Units that were taken back since `born`. */
  removed: number
  /** Nothing that was admitted before is taken back. */
  born: number
}

/** Where in the queue of what flows back an admission stands. */
export interface Mark {
  tick: number
  debt: number
  removed: number
}

const spanMax = 3_600_000

/** `part` of several instances: each has its part of the limit and of the bucket, and all parts together are the whole. */
export function rateOf(limit: number, windowMs: number, burst: number, part: Part = wholePart): Rate {
  const tickMs = Math.max(1, Math.ceil(windowMs / spanMax))
  const span = Math.ceil(windowMs / tickMs)
  return { limit: partOf(limit, part), span, tickMs, capacity: partOf(burst + 1, part) * span }
}

/** The `at`-th of `of` equal parts. */
export interface Part {
  readonly at: number
  readonly of: number
}
export const wholePart: Part = Object.freeze({ at: 0, of: 1 })

/** Whole units, so that all parts add up to the total. */
export function partOf(total: number, { at, of }: Part): number {
  return Math.floor((total * (at + 1)) / of) - Math.floor((total * at) / of)
}

export const tickAt = ({ tickMs }: Rate, ms: number): number => Math.floor(ms / tickMs)

/** A counter that is not known: its bucket is full, unless it may have been emptied before `sinceMs`, by whoever was forgotten. */
export function unknownLevel(rate: Rate, sinceMs: number, tick: number): Level {
  const since = tickAt(rate, sinceMs)
  return { debt: Math.max(0, rate.capacity - rate.limit * Math.max(0, tick - since)), tick, removed: 0, born: tick }
}

/** Lets flow back what has since then. A clock that went back lets nothing. */
export function drain(level: Level, rate: Rate, tick: number): void {
  if (tick <= level.tick) return
  level.debt = Math.max(0, level.debt - rate.limit * (tick - level.tick))
  level.tick = tick
}

/** Ticks until so many units may be admitted, once drained: 0 = now, Infinity = never. */
export function ticksUntil(level: Level, rate: Rate, units: number): number {
  const over = level.debt + units * rate.span - rate.capacity
  if (over <= 0) return 0
  if (units * rate.span > rate.capacity || rate.limit === 0) return Number.POSITIVE_INFINITY
  return Math.ceil(over / rate.limit)
}

/** Admits so many units, whatever there is. */
export function owe(level: Level, rate: Rate, units: number): void {
  level.debt = Math.min(Number.MAX_SAFE_INTEGER, level.debt + units * rate.span)
}

export function markOf({ tick, debt, removed }: Level): Mark {
  return { tick, debt, removed }
}

/**
 * Corrects an admission to what it really came to, once drained. What was not used is taken back as far as it has not flowed back
 * yet, first admitted first: only then everything after stands as if it had never been admitted. What others took back meanwhile
 * moved it forward in the queue; all of that is counted as ahead of it, which errs on the side of taking back less.
 */
export function correct(level: Level, rate: Rate, mark: Mark, admitted: number, used: number): void {
  if (used > admitted) owe(level, rate, used - admitted)
  if (used >= admitted || level.born > mark.tick) return
  const flowed = rate.limit * Math.max(0, level.tick - mark.tick) + (level.removed - mark.removed) * rate.span
  const units = Math.min(admitted - used, Math.floor((mark.debt - flowed) / rate.span))
  if (units <= 0) return
  level.debt = Math.max(0, level.debt - units * rate.span)
  level.removed += units
}
