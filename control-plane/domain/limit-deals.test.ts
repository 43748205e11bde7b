import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Deal, dealAgain, dealTaken, isSettled } from './limit-deals.ts'

describe('deals of rate limits', () => {
  it('are settled at once where nobody had anything', () => {
    const first = dealAgain(undefined, ['b', 'a'])
    expect([first.target, isSettled(first), first.fresh]).toEqual([['a', 'b'], true, true])
  })

  it('wait for everybody who had something and is still there, and for nobody else', () => {
    const two = dealAgain(undefined, ['a', 'b'])
    const three = dealAgain({ ...two, holders: ['a', 'b'] }, ['a', 'b', 'c'])
    expect([three.deal, three.waiting, three.fresh]).toEqual([2, ['a', 'b'], false])
    const one = dealTaken(three, 'a', 2)
    expect(one.waiting).toEqual(['b'])
    expect(dealTaken(one, 'b', 1)).toEqual(one)
    expect(isSettled(dealTaken(one, 'b', 2))).toBe(true)
    expect(isSettled(dealAgain(one, ['a', 'c']))).toBe(false)
    expect(dealAgain(one, ['a', 'c']).waiting).toEqual(['a'])
  })

  it('never leave anybody more than a whole among them, whatever joins, leaves, is lost or repeated', () => {
    const names = ['a', 'b', 'c', 'd']
    const step = fc.oneof(
      fc.record({ there: fc.subarray(names, { minLength: 1 }) }),
      fc.record({ takes: fc.constantFrom(...names), late: fc.boolean() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let deal: Deal | undefined
        let there: string[] = []
        // What each has, as it was told: fractions of a whole; those that are gone have nothing.
        const has = new Map<string, number>()
        const tell = () => {
          for (const name of names) {
            if (!deal || !there.includes(name)) has.set(name, 0)
            else {
              const part = deal.target.includes(name) ? 1 / deal.target.length : 0
              const had = deal.holders.includes(name) ? (has.get(name) ?? 0) : 0
              has.set(name, isSettled(deal) ? part : Math.min(had, part))
            }
          }
        }
        for (const one of steps) {
          if ('there' in one) {
            there = one.there
            deal = dealAgain(deal, there)
          } else if (deal) deal = dealTaken(deal, one.takes, one.late ? deal.deal - 1 : deal.deal)
          tell()
          const sum = [...has.values()].reduce((a, b) => a + b, 0)
          expect(sum).toBeLessThanOrEqual(1 + 1e-9)
        }
      }),
    )
  })
})
