import { describe, expect, it } from 'vitest'
import { byLatency, explorationShare } from './by-latency.ts'
import { Latencies } from './latencies.ts'
import type { Candidate } from './target.ts'

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const seeds = Array.from({ length: 20 }, (_, at) => at + 1)
const candidate = (key: string) => ({ key }) as Candidate

/** Requests one after another, `everyMs` apart, at targets whose first token takes so long, give or take a third. */
class World {
  readonly latencies = new Latencies()
  readonly random: () => number
  nowMs = 0

  constructor(
    seed: number,
    readonly firstMs: Record<string, number>,
    readonly everyMs = 200,
  ) {
    this.random = seeded(seed)
  }

  /** How many of the requests each target served, and how many of them explored. */
  run(requests: number, session: string | null = null) {
    const served: Record<string, number> = {}
    let explored = 0
    for (let at = 0; at < requests; at++) {
      this.nowMs += this.everyMs
      const all = Object.keys(this.firstMs).map(candidate)
      const { candidates, choice } = byLatency(all, true, this.latencies, session, this.nowMs, this.random)
      const { key } = candidates[0]!
      expect(candidates).toHaveLength(all.length)
      if (choice.endsWith('exploring')) explored++
      served[key] = (served[key] ?? 0) + 1
      const firstMs = this.firstMs[key]! * (0.67 + this.random() * 0.66)
      this.latencies.note(key, true, { firstMs, perTokenMs: 5 }, this.nowMs)
    }
    return { served, explored }
  }
}

describe('the fastest target', () => {
  it.each(seeds)('is found whatever the declared order, and served nearly everything then (seed %i)', (seed) => {
    const world = new World(seed, { slow: 2_000, middling: 900, fast: 300 })
    world.run(600)
    const { served } = world.run(1_000)
    expect(served.fast).toBeGreaterThan(940)
  })

  it.each(seeds)('is left once it slows, at once, and taken again after it has recovered (seed %i)', (seed) => {
    const world = new World(seed, { fast: 300, other: 900 })
    world.run(1_000)
    world.firstMs.fast = 5_000
    expect(world.run(100).served.other).toBeGreaterThan(85)
    expect(world.run(500).served.other).toBeGreaterThan(470)
    world.firstMs.fast = 300
    world.run(3_000)
    expect(world.run(500).served.fast).toBeGreaterThan(450)
  })

  it.each(seeds)('is looked for with no more than the declared share of requests (seed %i)', (seed) => {
    // So far apart that every estimate is stale: all that may explore would.
    const world = new World(seed, { a: 500, b: 600, c: 700 }, 120_000)
    const { explored } = world.run(4_000)
    // Three standard deviations above the share.
    const most = 4_000 * explorationShare + 3 * Math.sqrt(4_000 * explorationShare * (1 - explorationShare))
    expect(explored).toBeGreaterThan(0)
    expect(explored).toBeLessThanOrEqual(most)
  })

  it('is the first declared while nothing is known, without drawing lots for it', () => {
    const never = () => {
      throw new Error('no lot is drawn')
    }
    const { candidates, choice } = byLatency(['a', 'b'].map(candidate), true, new Latencies(), null, 0, never)
    expect([candidates.map(({ key }) => key), choice]).toEqual([['a', 'b'], 'least_latency unsampled'])
  })

  it('counts how fast tokens come, not only the first', () => {
    const latencies = new Latencies()
    latencies.note('eager', true, { firstMs: 100, perTokenMs: 50 }, 0)
    latencies.note('steady', true, { firstMs: 600, perTokenMs: 5 }, 0)
    const { candidates, choice } = byLatency(['eager', 'steady'].map(candidate), true, latencies, null, 1, () => 0.9)
    expect([candidates[0]!.key, choice]).toEqual(['steady', 'least_latency 1600 ms'])
  })
})

describe('a session', () => {
  it('stays at its target while that is about as fast as the fastest, and no longer', () => {
    const world = new World(7, { a: 500, b: 520 })
    world.run(500)
    for (const key of ['a', 'b']) world.latencies.note(key, true, { firstMs: 500, perTokenMs: 5 }, world.nowMs)
    const at = (session: string, slow?: string) => {
      const latencies = new Latencies()
      for (const key of ['a', 'b']) latencies.note(key, true, { firstMs: key === slow ? 5_000 : 500, perTokenMs: 5 }, 0)
      const order = byLatency(['a', 'b'].map(candidate), true, latencies, session, 1, () => 0)
      return order.candidates[0]!.key
    }
    const sessions = Array.from({ length: 200 }, (_, index) => `session-${index}`)
    const homes = sessions.map((session) => at(session))
    expect(new Set(homes).size).toBe(2)
    expect(sessions.map((session) => at(session))).toEqual(homes)
    expect(new Set(sessions.map((session) => at(session, 'a')))).toEqual(new Set(['b']))
  })
})

describe('estimates', () => {
  it('of streams and of plain answers are kept apart', () => {
    const latencies = new Latencies()
    latencies.note('a', true, { firstMs: 10, perTokenMs: 1 }, 0)
    expect(latencies.of('a', false, 0)).toBeUndefined()
    expect(latencies.of('a', true, 0)).toEqual({ firstMs: 10, perTokenMs: 1, ageMs: 0 })
  })
  it('fade with time, and are forgotten', () => {
    const lastAfter = (gapMs: number) => {
      const latencies = new Latencies()
      for (let at = 0; at < 50; at++) latencies.note('a', true, { firstMs: 1_000, perTokenMs: 1 }, at)
      latencies.note('a', true, { firstMs: 100, perTokenMs: 1 }, gapMs)
      return latencies.of('a', true, gapMs)!.firstMs
    }
    expect(lastAfter(100)).toBeGreaterThan(900)
    expect(lastAfter(60_000)).toBeLessThan(400)
    const latencies = new Latencies()
    latencies.note('a', true, { firstMs: 1, perTokenMs: 1 }, 0)
    expect(latencies.of('a', true, 600_001)).toBeUndefined()
  })
  it('are forgotten oldest first rather than grow without bound', () => {
    const latencies = new Latencies()
    for (let at = 0; at <= 10_000; at++) latencies.note(`model-${at}`, true, { firstMs: 1, perTokenMs: 1 }, 0)
    expect(latencies.of('model-0', true, 0)).toBeUndefined()
    expect(latencies.of('model-1', true, 0)).toBeDefined()
  })
})
