import { describe, expect, it } from 'vitest'
import { breaches } from './breaches.ts'
import { firstCaught, runSeeds } from './runs.ts'

/** `SLUICE_SIM_SEED=17`: that schedule alone. `SLUICE_SIM_SCHEDULES=50000`: the long form, from a seed that is new each time. */
const { SLUICE_SIM_SEED: only, SLUICE_SIM_SCHEDULES: long } = process.env
const perTest = 250
const tests = long ? Math.ceil(Number(long) / perTest) : 8
const first = long ? Math.floor(Math.random() * 2 ** 30) : 1
const seedsPerBreach = 150
const timeoutMs = 120_000

const runs = only
  ? [{ from: Number(only), count: 1 }]
  : Array.from({ length: tests }, (_, at) => ({ from: first + at * perTest, count: perTest }))

const medianOf = (all: number[]) => all.sort((a, b) => a - b)[all.length >> 1]?.toFixed(1) ?? '-'

describe('money, whatever fails', () => {
  it.each(runs)(
    'is never overrun, lost or refused wrongly in $count random schedules from seed $from on',
    ({ from, count }) => {
      const { broken, firstRefusals, onePool, ...figures } = runSeeds(from, count)
      if (long) console.log({ from, ...figures, firstRefusalAt: medianOf(firstRefusals), onePoolAt: medianOf(onePool) })
      expect(broken, 'run one again with SLUICE_SIM_SEED=… bun --bun vitest run test/sim').toEqual([])
    },
    timeoutMs,
  )
})

describe('who judges these schedules', () => {
  it.each(breaches)(
    'sees it within some schedules where $name',
    ({ make }) => {
      expect(firstCaught(make, seedsPerBreach)).toBeDefined()
    },
    timeoutMs,
  )
})
