/** What a window will have cost when it ends, and when the money runs out at the expected pace (null = it does not). */
export interface Forecast {
  low: bigint
  expected: bigint
  high: bigint
  exhaustedAt: number | null
}

export interface ForecastInput {
  window: { from: number; to: number }
  nowMs: number
  /** Spent in the window so far, as the ledger has it. */
  spent: bigint
  allowance: bigint
  /**
   * Spending of each hour before `nowMs` (aligned to the hour, the newest last), only of those since spending began, at most four weeks. The
   * newest is the hour that is under way.
   */
  hours: readonly bigint[]
}

const hourMs = 3_600_000
/** A week repeats itself: nights and Sundays are known only after one. */
const week = 168
/** Half the width of a range that no data narrows, in hours of spending: with n hours known it is n^-½ of it. */
const ignorance = 2

/**
 * From now to the window's end at the mean of the hours that are known (the hour of the same weekday where a whole week is
 * known). The range is that of a mean of hours which vary as these did, two standard errors to both sides, and never narrower
 * than what so few hours allow to say: one hour tells next to nothing. Deterministic; floats are used for the spread alone, and
 * `low` is never below what is spent.
 */
export function forecast(input: ForecastInput): Forecast {
  const { window, nowMs, spent, allowance, hours } = input
  const underWayMs = nowMs % hourMs
  const leftMs = Math.max(0, window.to - nowMs)
  const pace = paceOf(hours, underWayMs)
  const more = pace === null ? 0n : expectedMore(hours, pace, nowMs, leftMs)
  const width = pace === null ? 0n : scaled(more, spreadOf(hours, underWayMs))
  const expected = spent + more
  return {
    low: expected - (width > more ? more : width),
    expected,
    high: expected + width,
    exhaustedAt: exhaustedAt(input, pace, allowance - spent),
  }
}

/** Money an hour, at 10⁻¹²; null where nothing was spent yet. */
function paceOf(hours: readonly bigint[], underWayMs: number): bigint | null {
  const sum = hours.reduce((total, hour) => total + hour, 0n)
  const knownMs = Math.max(1, (hours.length - 1) * hourMs + underWayMs)
  return hours.length === 0 || sum === 0n ? null : (sum * BigInt(hourMs)) / BigInt(Math.round(knownMs))
}

/** What comes, hour by hour where a week is known, so that a Friday's forecast knows of the weekend. */
function expectedMore(hours: readonly bigint[], pace: bigint, nowMs: number, leftMs: number): bigint {
  const flat = (pace * BigInt(Math.round(leftMs))) / BigInt(hourMs)
  const whole = hours.slice(0, -1)
  if (whole.length < week) return flat
  const inAWeek = weekOf(whole)
  const sum = inAWeek.reduce((total, hour) => total + hour, 0n)
  const weeks = BigInt(Math.floor(leftMs / (week * hourMs)))
  let rest = leftMs - Number(weeks) * week * hourMs
  let more = sum * weeks
  const first = hourMs - (nowMs % hourMs)
  for (let index = 0, partMs = Math.min(first, rest); rest > 0; index++) {
    more += (inAWeek[index % week]! * BigInt(Math.round(partMs))) / BigInt(hourMs)
    rest -= partMs
    partMs = Math.min(hourMs, rest)
  }
  return more
}

/** Mean of each hour of the week, beginning with the hour that is under way now. */
function weekOf(whole: readonly bigint[]): bigint[] {
  return Array.from({ length: week }, (_, index) => {
    let sum = 0n
    let count = 0n
    for (let at = whole.length - week + index; at >= 0; at -= week) {
      sum += whole[at]!
      count += 1n
    }
    return sum / count
  })
}

/** Half the range's width as a part of what is expected to come. */
function spreadOf(hours: readonly bigint[], underWayMs: number): number {
  const whole = hours.slice(0, -1).map(Number)
  const known = Math.max(whole.length + underWayMs / hourMs, 1 / 60)
  const least = ignorance / Math.sqrt(known)
  if (whole.length < 2) return Math.max(1, least)
  const mean = whole.reduce((sum, hour) => sum + hour, 0) / whole.length
  if (mean === 0) return Math.max(1, least)
  const variance = whole.reduce((sum, hour) => sum + (hour - mean) ** 2, 0) / (whole.length - 1)
  return Math.max(least / 4, (2 * Math.sqrt(variance / whole.length)) / mean)
}

const scaled = (amount: bigint, part: number) => (amount * BigInt(Math.round(Math.min(part, 1_000) * 1e6))) / 1_000_000n

function exhaustedAt({ nowMs, window }: ForecastInput, pace: bigint | null, left: bigint): number | null {
  if (left <= 0n) return nowMs
  if (pace === null || pace === 0n) return null
  const afterMs = Number((left * BigInt(hourMs)) / pace)
  return nowMs + afterMs < window.to ? nowMs + afterMs : null
}
