import { describe, expect, it } from 'vitest'
import { attemptsMax, backoffMs } from './backoff.ts'

describe('the wait between attempts', () => {
  it('grows to six hours and ends after about a day', () => {
    const waits = Array.from({ length: attemptsMax }, (_, index) => backoffMs(index + 1, 0))
    expect(waits.slice(0, 4)).toEqual([5_000, 20_000, 80_000, 320_000])
    expect(waits.at(-1)).toBeNull()
    const total = waits.reduce<number>((sum, wait) => sum + (wait ?? 0), 0) / 3_600_000
    expect(total).toBeGreaterThan(20)
    expect(total).toBeLessThan(26)
  })
  it('is up to a quarter shorter by chance', () => {
    expect(backoffMs(1, 1)).toBe(3_750)
    expect(backoffMs(1, 0.5)).toBe(4_375)
  })
})
