import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatDuration, parseDuration } from './duration.ts'

describe('a duration', () => {
  it('is read as people write it and as ISO 8601', () => {
    const cases = {
      '90s': 90_000,
      '15m': 900_000,
      '1h': 3_600_000,
      '30d': 2_592_000_000,
      '250ms': 250,
      PT1H30M: 5_400_000,
      P1D: 86_400_000,
      'PT0.25S': 250,
      P2W: 1_209_600_000,
    }
    for (const [text, ms] of Object.entries(cases)) expect(parseDuration(text)).toBe(ms)
  })
  it('has one written form', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 10 ** 12 }), (ms) => parseDuration(formatDuration(ms)) === ms))
    expect(formatDuration(5_400_000)).toBe('PT1H30M')
  })
  it('is nothing else', () => {
    for (const text of ['', '1', 's', 'P', 'PT', '-1s', '1y', '1h30m', 'P1M'])
      expect(parseDuration(text)).toBeUndefined()
  })
})
