import { describe, expect, it } from 'vitest'
import { endOfTime, type PeriodRule, ringOf, windowAfter, windowAt } from './budget-window.ts'

const rule = (given: Partial<PeriodRule>): PeriodRule => ({
  ...{ period: 'MONTH', windowMs: null, timeZone: 'UTC', anchorMs: null },
  ...given,
})
const at = (text: string) => Date.parse(text)
const told = ({ from, to }: { from: number; to: number }) => [new Date(from).toISOString(), new Date(to).toISOString()]

describe('windows of a budget', () => {
  it('begin at midnight of their time zone, also where a day has 23 or 25 hours', () => {
    const berlin = rule({ period: 'DAY', timeZone: 'Europe/Berlin' })
    expect(told(windowAt(berlin, at('2026-03-29T12:00:00Z')))).toEqual([
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
    ])
    expect(told(windowAt(berlin, at('2026-10-25T12:00:00Z')))).toEqual([
      '2026-10-24T22:00:00.000Z',
      '2026-10-25T23:00:00.000Z',
    ])
  })

  it('follow the calendar: weeks from Monday, quarters and years from January', () => {
    const noon = at('2026-11-25T12:00:00Z')
    expect(told(windowAt(rule({ period: 'WEEK' }), noon))[0]).toBe('2026-11-23T00:00:00.000Z')
    expect(told(windowAt(rule({ period: 'MONTH' }), noon))).toEqual([
      '2026-11-01T00:00:00.000Z',
      '2026-12-01T00:00:00.000Z',
    ])
    expect(told(windowAt(rule({ period: 'QUARTER' }), noon))).toEqual([
      '2026-10-01T00:00:00.000Z',
      '2027-01-01T00:00:00.000Z',
    ])
    expect(told(windowAt(rule({ period: 'YEAR' }), noon))[0]).toBe('2026-01-01T00:00:00.000Z')
  })

  it('are counted from an anchor that is the last of a month without losing that day', () => {
    const monthly = rule({ anchorMs: at('2026-01-31T10:00:00Z') })
    expect(told(windowAt(monthly, at('2026-03-01T00:00:00Z')))).toEqual([
      '2026-02-28T10:00:00.000Z',
      '2026-03-31T10:00:00.000Z',
    ])
    expect(told(windowAt(monthly, at('2025-12-31T09:59:59Z')))[0]).toBe('2025-11-30T10:00:00.000Z')
  })

  it('tile time: each moment lies in one window, and the next begins where it ends', () => {
    for (const period of ['DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR', 'ROLLING'] as const)
      for (const timeZone of ['UTC', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'])
        for (const anchorMs of [null, at('2024-02-29T03:30:00Z'), at('2026-05-31T23:59:59Z')]) {
          const own = rule({ period, timeZone, anchorMs, windowMs: period === 'ROLLING' ? 7 * 3_600_000 : null })
          let window = windowAt(own, at('2026-01-15T08:00:00Z'))
          for (let n = 0; n < 15; n++) {
            expect(windowAt(own, window.from)).toEqual(window)
            expect(windowAt(own, window.to - 1)).toEqual(window)
            const next = windowAfter(own, window)!
            expect(next.from).toBe(window.to)
            window = next
          }
        }
  })

  it('are found for a moment with a fraction', () => {
    const noon = at('2026-11-25T12:00:00Z')
    expect(windowAt(rule({ period: 'DAY' }), noon + 0.75)).toEqual(windowAt(rule({ period: 'DAY' }), noon))
  })

  it('of a lifetime never end, and a rolling one is a ring of 24 steps of at least a minute', () => {
    expect(windowAt(rule({ period: 'LIFETIME' }), at('2026-01-01T00:00:00Z'))).toEqual({ from: 0, to: endOfTime })
    const day = rule({ period: 'ROLLING', windowMs: 86_400_000 })
    const step = windowAt(day, at('2026-01-01T05:30:00Z'))
    expect(step.to - step.from).toBe(3_600_000)
    expect(ringOf(day, step).to - ringOf(day, step).from).toBe(86_400_000)
  })
})
