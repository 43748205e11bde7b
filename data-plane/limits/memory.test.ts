import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Part, wholePart } from './gcra.ts'
import type { LimitStanding } from './limiter.ts'
import { MemoryLimiter } from './memory.ts'
import { counterOf, limitFor } from './test-limits.ts'

const tenant = 'ten_1'
const used = ({ units }: LimitStanding) => units

function taking(limiter: MemoryLimiter, counter = counterOf(limitFor('REQUESTS', 1, 1_000)), units = 1) {
  const answer = limiter.take(tenant, [{ counter, units }])
  return !('away' in answer) && answer.taken
}

describe('rate limits in memory', () => {
  it('forget counters that owe nothing, and no answer changes by that', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ afterMs: fc.integer({ min: 0, max: 1_500 }), subject: fc.integer({ min: 0, max: 30 }) }), {
          maxLength: 200,
        }),
        (steps) => {
          let nowMs = 0
          const limit = limitFor('REQUESTS', 3, 1_000, { burst: 1 })
          const few = new MemoryLimiter({ nowMs: () => nowMs, countersMax: 12 })
          const many = new MemoryLimiter({ nowMs: () => nowMs })
          for (const { afterMs, subject } of steps) {
            nowMs += afterMs
            const ask = [{ counter: counterOf(limit, String(subject)), units: 1 }]
            const answer = few.take(tenant, ask)
            // More at once than are kept are refused as away, never admitted.
            if ('away' in answer) return
            expect(answer).toEqual(many.take(tenant, ask))
          }
          expect(few.size).toBeLessThanOrEqual(12)
        },
      ),
    )
  })

  it('say that they are away rather than admit what they cannot count', () => {
    const limiter = new MemoryLimiter({ nowMs: () => 0, countersMax: 2 })
    const limit = limitFor('REQUESTS', 5, 1_000)
    expect(['a', 'b'].map((subject) => taking(limiter, counterOf(limit, subject)))).toEqual([true, true])
    expect(limiter.take(tenant, [{ counter: counterOf(limit, 'c'), units: 1 }])).toHaveProperty('away')
  })

  it('begin empty where it is not known what was counted before', () => {
    let nowMs = 5_000
    const limiter = new MemoryLimiter({ nowMs: () => nowMs, beginsEmpty: true })
    const counter = counterOf(limitFor('REQUESTS', 10, 10_000, { burst: 4 }))
    expect(taking(limiter, counter)).toBe(false)
    nowMs += 1_000
    expect(taking(limiter, counter)).toBe(true)
    expect(taking(limiter, counter)).toBe(false)
  })

  it('keep what is owed when a newer configuration changes the limit or its window', () => {
    let nowMs = 0
    const limiter = new MemoryLimiter({ nowMs: () => nowMs })
    const limit = limitFor('REQUESTS', 10, 10_000, { burst: 9 })
    for (let at = 0; at < 10; at++) expect(taking(limiter, counterOf(limit))).toBe(true)
    const wider = limitFor('REQUESTS', 20, 20_000, { id: limit.id, burst: 12 })
    expect(taking(limiter, counterOf(wider))).toBe(false)
    nowMs += 1_000
    expect(taking(limiter, counterOf(wider))).toBe(true)
    expect(taking(limiter, counterOf(wider))).toBe(false)
  })

  it('hold limit + burst over all instances while parts of it are dealt anew, whoever hears of it when', () => {
    const deals = fc.array(
      fc.record({
        atMs: fc.integer({ min: 0, max: 2_500 }),
        of: fc.integer({ min: 1, max: 4 }),
        lagMs: fc.integer({ min: 0, max: 400 }),
      }),
      { maxLength: 6 },
    )
    const asks = fc.array(
      fc.record({
        atMs: fc.integer({ min: 0, max: 4_000 }),
        at: fc.integer({ min: 0, max: 3 }),
        units: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: 100, maxLength: 300 },
    )
    const given = fc.record({ limit: fc.integer({ min: 1, max: 30 }), burst: fc.integer({ min: 0, max: 30 }) })
    fc.assert(
      fc.property(given, deals, asks, ({ limit, burst }, dealt, asked) => {
        const windowMs = 3_000
        const counter = counterOf(limitFor('REQUESTS', limit, windowMs, { burst }))
        let nowMs = 0
        const held: Part[][] = [[wholePart], [], [], []]
        const planes = held.map(
          (parts) => new MemoryLimiter({ nowMs: () => nowMs, parts, beginsEmpty: parts.length === 0 }),
        )
        const events: [number, () => void][] = []
        // As the control plane deals: first the least of old and new, with everybody; then the new.
        let freeMs = 0
        for (const { atMs, of, lagMs } of [...dealt].sort((a, b) => a.atMs - b.atMs)) {
          const beginsMs = Math.max(atMs, freeMs)
          planes.forEach((plane, at) => {
            const next: Part[] = at < of ? [{ at, of }] : []
            events.push([
              beginsMs + ((lagMs * at) % 401),
              () => plane.deal(next.length === 0 ? [] : held[at]!.length === 0 ? [] : [...held[at]!, ...next]),
            ])
            events.push([
              beginsMs + 401 + ((lagMs * (3 - at)) % 401),
              () => {
                held[at] = next
                plane.deal(next)
              },
            ])
          })
          freeMs = beginsMs + 803
        }
        const admitted: { atMs: number; units: number }[] = []
        for (const { atMs, at, units } of asked)
          events.push([
            atMs,
            () => {
              if (taking(planes[at]!, counter, units)) admitted.push({ atMs, units })
            },
          ])
        for (const [atMs, event] of events.sort(([a], [b]) => a - b)) {
          nowMs = atMs
          event()
        }
        for (const { atMs: from } of admitted) {
          const sum = admitted.reduce(
            (all, { atMs, units }) => (atMs >= from && atMs < from + windowMs ? all + units : all),
            0,
          )
          expect(sum).toBeLessThanOrEqual(limit + burst)
        }
      }),
      { numRuns: 1_000 },
    )
  })

  it('are within their part again once as many have ended as were too many', () => {
    const limiter = new MemoryLimiter({ nowMs: () => 0 })
    const counter = counterOf(limitFor('CONCURRENT_REQUESTS', 4, 0))
    const taken = [1, 2, 3].map(() => limiter.take(tenant, [{ counter, units: 1 }])) as {
      standings: readonly LimitStanding[]
    }[]
    limiter.deal([wholePart, { at: 0, of: 2 }])
    expect(limiter.isWithinParts).toBe(false)
    limiter.settle(tenant, taken[0]!.standings, used)
    expect([limiter.isWithinParts, taking(limiter, counter)]).toEqual([true, false])
  })
})
