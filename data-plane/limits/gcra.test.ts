import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  correct,
  drain,
  type Level,
  type Mark,
  markOf,
  owe,
  partOf,
  type Rate,
  rateOf,
  tickAt,
  ticksUntil,
  unknownLevel,
} from './gcra.ts'

interface Step {
  /** Milliseconds after the one before. */
  afterMs: number
  units: number
  /** Share of it that is really used, in hundredths. */
  used: number
  /** How many steps later it is corrected. */
  closes: number
}

interface Charge {
  atMs: number
  units: number
}

const settings = fc.record({
  limit: fc.integer({ min: 1, max: 200 }),
  windowMs: fc.constantFrom(1_000, 1_500, 10_000, 60_000),
  burst: fc.integer({ min: 0, max: 250 }),
})
const steps = (usedMax: number) =>
  fc.array(
    fc.record<Step>({
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 70_000 })),
      units: fc.integer({ min: 0, max: 60 }),
      used: fc.integer({ min: 0, max: usedMax }),
      closes: fc.integer({ min: 0, max: 12 }),
    }),
    { maxLength: 120 },
  )

/** Plays arrivals against one bucket and answers what was admitted when, as it was corrected. */
function play(rate: Rate, plan: Step[], level: Level): Charge[] {
  const open: { at: number; charge: Charge; mark: Mark; used: number }[] = []
  const charges: Charge[] = []
  let nowMs = 0
  for (const [index, step] of plan.entries()) {
    nowMs += step.afterMs
    drain(level, rate, tickAt(rate, nowMs))
    for (const one of open.filter(({ at }) => at <= index)) {
      correct(level, rate, one.mark, one.charge.units, one.used)
      one.charge.units = one.used
      open.splice(open.indexOf(one), 1)
    }
    if (ticksUntil(level, rate, step.units) > 0) continue
    owe(level, rate, step.units)
    const charge = { atMs: nowMs, units: step.units }
    charges.push(charge)
    open.push({
      at: index + step.closes,
      charge,
      mark: markOf(level),
      used: Math.floor((step.units * step.used) / 100),
    })
  }
  return charges
}

/** The most in any half-open interval of this length: it is enough to look at those that begin with an admission. */
function mostWithin(charges: Charge[], windowMs: number): number {
  return Math.max(
    0,
    ...charges.map(({ atMs: from }) =>
      charges.reduce((sum, { atMs, units }) => (atMs >= from && atMs < from + windowMs ? sum + units : sum), 0),
    ),
  )
}

const emptyDebt = (): Level => ({ debt: 0, tick: 0, removed: 0, born: 0 })

describe('the arithmetic of rate limits', () => {
  it('admits at most limit + burst in any half-open interval of the window, for any arrivals and costs', () => {
    fc.assert(
      fc.property(
        settings,
        steps(100).map((plan) => plan.map((step) => ({ ...step, used: 100 }))),
        (given, plan) => {
          const rate = rateOf(given.limit, given.windowMs, given.burst)
          expect(mostWithin(play(rate, plan, emptyDebt()), given.windowMs)).toBeLessThanOrEqual(
            given.limit + given.burst,
          )
        },
      ),
      { numRuns: 500 },
    )
  })

  it('keeps to that whatever is taken back, in whatever order', () => {
    fc.assert(
      fc.property(settings, steps(100), (given, plan) => {
        const rate = rateOf(given.limit, given.windowMs, given.burst)
        expect(mostWithin(play(rate, plan, emptyDebt()), given.windowMs)).toBeLessThanOrEqual(given.limit + given.burst)
      }),
      { numRuns: 2_000 },
    )
  })

  it('keeps to that when a counter is forgotten once it owes nothing', () => {
    fc.assert(
      fc.property(settings, steps(100), (given, plan) => {
        const rate = rateOf(given.limit, given.windowMs, given.burst)
        const level = emptyDebt()
        const forgetful = new Proxy(level, {
          set: (target, key, value) => {
            Reflect.set(target, key, value)
            if (key === 'tick' && target.debt === 0) Object.assign(target, unknownLevel(rate, -1e15, target.tick))
            return true
          },
        })
        expect(mostWithin(play(rate, plan, forgetful), given.windowMs)).toBeLessThanOrEqual(given.limit + given.burst)
      }),
      { numRuns: 500 },
    )
  })

  it('takes back all that was not used while nothing has flowed back', () => {
    const rate = rateOf(100, 60_000, 100)
    const level = emptyDebt()
    owe(level, rate, 80)
    const mark = markOf(level)
    owe(level, rate, 20)
    correct(level, rate, mark, 80, 10)
    expect(level.debt).toBe(30 * rate.span)
  })

  it('takes back nothing that has flowed back by itself', () => {
    const rate = rateOf(60, 60_000, 60)
    const level = emptyDebt()
    owe(level, rate, 10)
    const mark = markOf(level)
    drain(level, rate, 20_000)
    owe(level, rate, 10)
    correct(level, rate, mark, 10, 0)
    expect(level.debt).toBe(10 * rate.span)
  })

  it('charges what was used beyond what was reserved', () => {
    const rate = rateOf(60, 60_000, 60)
    const level = emptyDebt()
    owe(level, rate, 10)
    correct(level, rate, markOf(level), 10, 15)
    expect(level.debt).toBe(15 * rate.span)
  })

  it('does not drift: a limit that divides nothing evenly lets exactly limit × windows + burst through', () => {
    const rate = rateOf(7, 1_000, 1)
    const level = emptyDebt()
    let admitted = 0
    for (let nowMs = 0; nowMs < 1_000_000; nowMs++) {
      drain(level, rate, tickAt(rate, nowMs))
      if (ticksUntil(level, rate, 1) > 0) continue
      owe(level, rate, 1)
      admitted++
    }
    expect(admitted).toBe(7_001)
  })

  it('says how long to wait, to the tick', () => {
    fc.assert(
      fc.property(
        settings,
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 251 }),
        (given, owed, units) => {
          const rate = rateOf(given.limit, given.windowMs, given.burst)
          const level = emptyDebt()
          owe(level, rate, owed)
          const ticks = ticksUntil(level, rate, units)
          if (!Number.isFinite(ticks)) {
            expect(units).toBeGreaterThan(given.burst + 1)
            return
          }
          if (ticks > 0) {
            drain(level, rate, ticks - 1)
            expect(ticksUntil(level, rate, units)).toBe(1)
          }
          drain(level, rate, ticks)
          expect(ticksUntil(level, rate, units)).toBe(0)
        },
      ),
    )
  })

  it('takes a counter that may have been forgotten for one that was emptied then', () => {
    const rate = rateOf(60, 60_000, 30)
    expect(ticksUntil(unknownLevel(rate, 5_000, 5_000), rate, 1)).toBe(1_000)
    expect(unknownLevel(rate, 5_000, 5_000 + 31_000).debt).toBe(0)
  })

  it('counts the largest limit over the longest window without leaving whole numbers', () => {
    const rate = rateOf(1e9, 31 * 86_400_000, 1e9)
    expect(rate.capacity + rate.limit * rate.span).toBeLessThan(Number.MAX_SAFE_INTEGER)
    expect(rate.span * rate.tickMs).toBe(31 * 86_400_000)
  })

  it('parts of several instances add up to the whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 500 }), (total, of) => {
        const sum = Array.from({ length: of }, (_, at) => partOf(total, { at, of })).reduce((a, b) => a + b, 0)
        expect(sum).toBe(total)
      }),
    )
  })
})
