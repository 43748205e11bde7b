const firstMs = 5_000
const factor = 4
const mostMs = 6 * 3_600_000

/** The last of them comes about a day after the first. */
export const attemptsMax = 11

/**
 * How long to wait after the attempt of this number (from 1): four times as long each time, at most six hours, up to a quarter
 * less by `chance` (0 to 1) so that receivers that were away are not met by everything at once. Null: it was the last.
 */
export function backoffMs(attempt: number, chance: number): number | null {
  if (attempt >= attemptsMax) return null
  const fullMs = Math.min(mostMs, firstMs * factor ** (attempt - 1))
  return Math.round(fullMs * (1 - chance / 4))
}
