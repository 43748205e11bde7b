import { describe, expect, it } from 'vitest'
import { Breakers } from './breakers.ts'

const spec = { failures: 3, windowMs: 1_000, coolDownMs: 500 }

describe('a circuit breaker', () => {
  it('opens after so many failures within its window, not before, and not for old ones', () => {
    const breakers = new Breakers()
    breakers.failed('a', spec, 0)
    breakers.failed('a', spec, 100)
    breakers.failed('a', spec, 1_050)
    expect(breakers.allows('a', 1_050)).toBe(true)
    breakers.failed('a', spec, 1_060)
    expect(breakers.allows('a', 1_060)).toBe(false)
    expect(breakers.allows('b', 1_060)).toBe(true)
  })
  it('lets one request probe after the cool-down, and closes when it succeeds', () => {
    const breakers = new Breakers()
    for (const at of [0, 1, 2]) breakers.failed('a', spec, at)
    expect(breakers.allows('a', 501)).toBe(false)
    expect(breakers.allows('a', 502)).toBe(true)
    breakers.trying('a')
    expect(breakers.allows('a', 503)).toBe(false)
    breakers.succeeded('a')
    expect(breakers.allows('a', 504)).toBe(true)
  })
  it('opens again at once when the probe fails, and lets another probe when one says nothing', () => {
    const breakers = new Breakers()
    for (const at of [0, 1, 2]) breakers.failed('a', spec, at)
    breakers.trying('a')
    breakers.released('a')
    expect(breakers.allows('a', 600)).toBe(true)
    breakers.trying('a')
    breakers.failed('a', spec, 600)
    expect(breakers.allows('a', 1_000)).toBe(false)
    expect(breakers.allows('a', 1_100)).toBe(true)
  })
  it('forgets the oldest rather than grow without bound', () => {
    const breakers = new Breakers()
    for (const at of [0, 1, 2]) breakers.failed('first', spec, at)
    for (let at = 0; at < 10_000; at++) breakers.failed(`model-${at}`, spec, 3)
    expect(breakers.allows('first', 4)).toBe(true)
  })
})
