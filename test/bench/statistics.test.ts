import { describe, expect, it } from 'vitest'
import { median, percentile } from './statistics.ts'

describe('the figures of a round', () => {
  it('are the middle of all, whatever their order', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
  })

  it('have percentiles by nearest rank, of values that were really seen', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at)
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)]).toEqual([50, 99, 100])
    expect(percentile([7], 0.99)).toBe(7)
  })
})
