import { describe, expect, it } from 'vitest'
import { resultOf } from './rounds.ts'

describe('what the rounds of a row come to', () => {
  it('is the median of the ratios within each round, not the ratio of the medians', () => {
    const own = [{ perS: 50 }, { perS: 10 }, { perS: 90 }]
    const other = [{ perS: 100 }, { perS: 10 }, { perS: 100 }]
    const result = resultOf(own, { row: 'bare', as: 'ratio' }, other)
    expect(result).toEqual({ perS: 50, ratio: 0.9 })
  })

  it('is the latency that was added in the same round', () => {
    const own = [
      { p50Ms: 1, p99Ms: 3 },
      { p50Ms: 2, p99Ms: 9 },
      { p50Ms: 3, p99Ms: 6 },
    ]
    const other = own.map(() => ({ p50Ms: 0.5, p99Ms: 1 }))
    expect(resultOf(own, { row: 'direct', as: 'added' }, other)).toEqual({ p50Ms: 1.5, p99Ms: 5 })
  })

  it('has no figure that no round had', () => {
    expect(resultOf([{ rssMb: 90, note: 'flat' }], undefined, undefined)).toEqual({ rssMb: 90, note: 'flat' })
  })
})
