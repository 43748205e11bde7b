import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { burnRate, hourSlices, judgeBurn, minuteSlices } from './burn-rate.ts'

const one = 1_000_000_000_000n
const dayMs = 86_400_000
const quiet = { minute: new Array(minuteSlices).fill(0n), hour: new Array(hourSlices).fill(0n) }
const minute = (...slices: bigint[]) => ({ ...quiet, minute: slices })
const hour = (spend: bigint) => ({ ...quiet, hour: new Array(hourSlices).fill(spend) })
/** 86.40 left for a day: a tenth of a cent a second lasts exactly. */
const runway = { left: (8_640n * one) / 100n, leftMs: dayMs }
const lasting = (seconds: bigint) => (seconds * one) / 1_000n
const ten = 10n * one

describe('a burn rate', () => {
  it('is how many times faster money goes than what is left of it lasts', () => {
    const steady = lasting(15n) * 12n
    expect(burnRate(minute(steady, steady, steady, steady), runway)).toBe(12n * one)
    expect(burnRate(hour(lasting(300n) * 3n), runway)).toBe(3n * one)
  })
  it('above the factor is noticed within a minute of steady spending, whatever the budget', () => {
    fc.assert(
      fc.property(
        fc.bigInt(one / 100n, 1_000_000n * one),
        fc.integer({ min: 3_600_000, max: 366 * dayMs }),
        fc.bigInt(2n, 1_000n),
        (left, leftMs, factor) => {
          const needed = (left * 15_000n * factor) / BigInt(leftMs) + 1n
          fc.pre(needed * 60n < left * 15_000n)
          const spend = minute(needed, needed, needed, needed)
          expect(judgeBurn(spend, { left, leftMs }, factor * one)).toBe('RAISED')
        },
      ),
    )
  })
  it('is not that of one dear request, however dear', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.bigInt(1n, 80n * one), (slice, cost) => {
        const slices = new Array(minuteSlices).fill(0n)
        slices[slice] = cost
        const spend = { minute: slices, hour: [...new Array(hourSlices - 1).fill(0n), cost] }
        expect(judgeBurn(spend, runway, ten)).not.toBe('RAISED')
      }),
    )
  })
  it('is noticed within the hour where it comes in single requests', () => {
    expect(judgeBurn(hour(lasting(300n) * 11n), runway, ten)).toBe('RAISED')
    expect(judgeBurn(hour(lasting(300n) * 7n), runway, ten)).toBe('CLEAR')
  })
  it('that has stopped raises nothing, and one that calms down is over only well below the factor', () => {
    const fast = lasting(15n) * 20n
    expect(judgeBurn(minute(fast, fast, 0n, 0n), runway, ten)).not.toBe('RAISED')
    const slower = lasting(15n) * 9n
    expect(judgeBurn(minute(slower, slower, slower, slower), runway, ten)).toBe('BETWEEN')
    expect(judgeBurn(quiet, runway, ten)).toBe('CLEAR')
  })
  it('says nothing of what is used up', () => {
    expect(judgeBurn(minute(one, one, one, one), { left: 0n, leftMs: dayMs }, ten)).toBe('BETWEEN')
    expect(judgeBurn(quiet, { left: -one, leftMs: dayMs }, ten)).toBe('BETWEEN')
  })
})
