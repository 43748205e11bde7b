import { describe, expect, it } from 'vitest'
import { Quota } from './quota.ts'

const at = (limit: number) => {
  const clock = { time: 90_000, now: () => clock.time }
  return { clock, quota: new Quota(clock, limit) }
}

describe('a quota', () => {
  it('is spent by each caller for itself, and given back at the minute', () => {
    const { clock, quota } = at(100)
    expect(quota.charge('ada', 60)).toEqual({
      ...{ cost: 60, remaining: 40, limit: 100, taken: true },
      resetsAt: new Date(120_000),
    })
    expect(quota.charge('eve', 100).taken).toBe(true)
    clock.time = 119_999
    expect(quota.charge('ada', 41)).toMatchObject({ taken: false, remaining: 40 })
    expect(quota.charge('ada', 40)).toMatchObject({ taken: true, remaining: 0 })
    clock.time = 120_000
    expect(quota.charge('ada', 100)).toMatchObject({ taken: true, remaining: 0, resetsAt: new Date(180_000) })
  })

  it('counts so many callers one by one, and all beyond together', () => {
    const { quota } = at(2)
    for (let caller = 0; caller < 10_000; caller++) expect(quota.charge(`key_${caller}`, 2).taken).toBe(true)
    expect([1, 2, 3].map((more) => quota.charge(`more_${more}`, 1).taken)).toEqual([true, true, false])
    expect(quota.charge('key_0', 1).taken).toBe(false)
  })

  it('is not stopped by a clock that goes back', () => {
    const { clock, quota } = at(1)
    expect(quota.charge('ada', 1).taken).toBe(true)
    clock.time = 0
    expect(quota.charge('ada', 1)).toMatchObject({ taken: true, resetsAt: new Date(60_000) })
  })
})
