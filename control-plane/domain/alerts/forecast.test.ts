import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forecast } from './forecast.ts'

const one = 1_000_000_000_000n
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const from = Date.UTC(2026, 10, 1)
const window = { from, to: from + 30 * dayMs }

/** Somebody who spends so much every hour since `since`, seen at `nowMs`. */
function steady(perHour: bigint, sinceMs: number, nowMs: number) {
  const count = Math.floor(nowMs / hourMs) - Math.floor(sinceMs / hourMs) + 1
  const hours = new Array<bigint>(count).fill(perHour)
  const partMs = nowMs - Math.floor(nowMs / hourMs) * hourMs
  hours[count - 1] = (perHour * BigInt(partMs)) / BigInt(hourMs)
  const spent = (perHour * BigInt(nowMs - sinceMs)) / BigInt(hourMs)
  return { hours, spent }
}

describe('a forecast', () => {
  it('has the end of a steady spender within its range, whenever it is asked', () => {
    fc.assert(
      fc.property(
        fc.bigInt(one / 1_000n, 1_000n * one),
        fc.integer({ min: 60_000, max: 30 * dayMs - 1 }),
        (perHour, afterMs) => {
          const nowMs = from + afterMs
          const end = perHour * 24n * 30n
          const { low, expected, high } = forecast({ window, nowMs, allowance: end, ...steady(perHour, from, nowMs) })
          expect(low <= end && end <= high).toBe(true)
          const off = expected > end ? expected - end : end - expected
          expect(off <= end / 1_000n + 1_000_000n).toBe(true)
        },
      ),
    )
  })
  it('is wider the less is known, and never below what is spent', () => {
    const widths = [2, 12, 48, 160, 400].map((hours) => {
      const nowMs = from + hours * hourMs
      const { low, expected, high } = forecast({ window, nowMs, allowance: one, ...steady(one, from, nowMs) })
      expect(low >= one * BigInt(hours)).toBe(true)
      const rest = expected - one * BigInt(hours)
      return Number(((high - low) * 1_000n) / rest)
    })
    expect(widths).toEqual([...widths].sort((a, b) => b - a))
  })
  it('widens with hours that vary', () => {
    const nowMs = from + 100 * hourMs
    const even = forecast({ window, nowMs, allowance: one, spent: 0n, hours: new Array(101).fill(one) })
    const odd = Array.from({ length: 101 }, (_, index) => (index % 10 === 0 ? one * 10n : 0n))
    const uneven = forecast({ window, nowMs, allowance: one, spent: 0n, hours: odd })
    expect(uneven.high - uneven.low > even.high - even.low).toBe(true)
  })
  it('knows of nights once it has seen a week', () => {
    const startMs = from
    const works = (hour: number) => hour % 24 >= 8 && hour % 24 < 18
    const nowMs = startMs + 14 * dayMs + 18 * hourMs
    const hours = Array.from({ length: 14 * 24 + 18 + 1 }, (_, hour) => (works(hour) ? one : 0n))
    const end = { from, to: nowMs + 14 * hourMs }
    expect(forecast({ window: end, nowMs, allowance: one, spent: 0n, hours }).expected).toBe(0n)
    const later = { from, to: nowMs + 16 * hourMs }
    expect(forecast({ window: later, nowMs, allowance: one, spent: 0n, hours }).expected).toBe(2n * one)
  })
  it('says when the money is used up, and null where it lasts', () => {
    const nowMs = from + 10 * hourMs
    const of = steady(one, from, nowMs)
    expect(forecast({ window, nowMs, allowance: 20n * one, ...of }).exhaustedAt).toBe(from + 20 * hourMs)
    expect(forecast({ window, nowMs, allowance: 1_000n * one, ...of }).exhaustedAt).toBeNull()
    expect(forecast({ window, nowMs, allowance: 5n * one, ...of }).exhaustedAt).toBe(nowMs)
  })
  it('of nothing spent is nothing', () => {
    const none = { low: 0n, expected: 0n, high: 0n, exhaustedAt: null }
    expect(forecast({ window, nowMs: from + hourMs, allowance: one, spent: 0n, hours: [] })).toEqual(none)
  })
})
