import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byWeight } from './by-weight.ts'
import { rendezvous } from './sticky.ts'
import type { Candidate } from './target.ts'

const sessions = Array.from({ length: 2_000 }, (_, at) => `session-${at}`)
const plain = (session: string, keys: readonly string[]) =>
  rendezvous(
    session,
    keys,
    (key) => key,
    () => 1,
  )
const weighted = (key: string, weight: number) => ({ key, declared: { weight } }) as Candidate
const noLots = () => {
  throw new Error('no lot is drawn')
}

describe('sessions', () => {
  it('move only where their own target rests, each to its second', () => {
    const keys = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2, maxLength: 8 })
    const property = fc.property(keys, fc.string(), fc.nat(), (all, session, lot) => {
      const order = plain(session, all)
      const resting = all[lot % all.length]!
      const left = plain(
        session,
        all.filter((key) => key !== resting),
      )
      expect(left).toEqual(order.filter((key) => key !== resting))
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('have the same target whatever the order of the others', () => {
    const keys = ['a', 'b', 'c', 'd']
    for (const session of sessions.slice(0, 100))
      expect(plain(session, keys.toReversed())).toEqual(plain(session, keys))
  })

  it('of a target that rests are spread over all others', () => {
    const seconds = sessions.map((session) => plain(session, ['a', 'b', 'c'])).filter(([first]) => first === 'a')
    const toB = seconds.filter(([, second]) => second === 'b').length
    expect(toB / seconds.length).toBeGreaterThan(0.4)
    expect(toB / seconds.length).toBeLessThan(0.6)
  })

  it('are shared out by weight, and a canary that grows only gains', () => {
    const at = (canary: number) =>
      sessions.map((session) => {
        const { candidates } = byWeight([weighted('stable', 100 - canary), weighted('canary', canary)], session, noLots)
        return candidates[0]!.key
      })
    const [few, many] = [at(5), at(20)]
    const share = (keys: string[]) => keys.filter((key) => key === 'canary').length / keys.length
    expect(share(few)).toBeGreaterThan(0.03)
    expect(share(few)).toBeLessThan(0.07)
    expect(share(many)).toBeGreaterThan(0.17)
    expect(share(many)).toBeLessThan(0.23)
    few.forEach((key, index) => {
      if (key === 'canary') expect(many[index]).toBe('canary')
    })
    expect(new Set(at(0))).toEqual(new Set(['stable']))
  })
})

describe('requests without a session', () => {
  it('are shared out by weight, and those of weight 0 are never drawn', () => {
    let at = 0
    const random = () => (at++ % 1_000) / 1_000
    const firsts = Array.from({ length: 3_000 }, () => {
      const { candidates } = byWeight([weighted('a', 90), weighted('b', 10), weighted('c', 0)], null, random)
      expect(candidates).toHaveLength(2)
      return candidates[0]!.key
    })
    const toB = firsts.filter((key) => key === 'b').length / firsts.length
    expect(toB).toBeGreaterThan(0.08)
    expect(toB).toBeLessThan(0.12)
  })
})
