import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RedisLimiter } from '../../adapters/ports/limits-redis/limiter.ts'
import type { LimitAnswer, LimitAsk, Limiter, LimitStanding } from '../../data-plane/limits/limiter.ts'
import { MemoryLimiter } from '../../data-plane/limits/memory.ts'
import { counterOf, limitFor } from '../../data-plane/limits/test-limits.ts'
import { type Redis, redis } from '../real/redis.ts'

let server: Redis
let shared: RedisLimiter
const limiters: Record<string, () => Limiter> = {
  'in memory': () => new MemoryLimiter({ nowMs: () => performance.now() }),
  'in Redis': () => shared,
}

beforeAll(async () => {
  server = await redis()
  shared = new RedisLimiter({ url: server.url, log: () => {} })
  while (shared.trouble !== null) await Bun.sleep(5)
})
afterAll(async () => {
  shared?.close()
  await server?.stop()
})

const all = ({ units }: LimitStanding) => units
function here(answer: LimitAnswer) {
  if ('away' in answer) throw new Error(answer.away)
  return answer
}

for (const [kind, make] of Object.entries(limiters))
  describe(`limits ${kind}`, () => {
    const limiter = () => make()
    const take = async (from: Limiter, ...asks: LimitAsk[]) => here(await from.take('ten_1', asks))

    it('admit limit + burst in a window and say how long to wait, how much is left, and when it is full', async () => {
      const from = limiter()
      const counter = counterOf(limitFor('REQUESTS', 60, 60_000, { burst: 2 }))
      const first = await take(from, { counter, units: 1 })
      expect(first).toMatchObject({ taken: true, standings: [{ isOver: false, left: 2, waitMs: 0, fullMs: 1_000 }] })
      await take(from, { counter, units: 2 })
      const { taken, standings } = await take(from, { counter, units: 1 })
      expect(taken).toBe(false)
      expect(standings[0]!.waitMs).toBeGreaterThan(800)
      expect(standings[0]!.waitMs).toBeLessThanOrEqual(1_000)
    })

    it('take from all or from none', async () => {
      const from = limiter()
      const [wide, narrow] = [limitFor('REQUESTS', 10, 60_000), limitFor('REQUESTS', 1, 60_000, { burst: 0 })]
      const both = [wide, narrow].map((of) => ({ counter: counterOf(of), units: 1 }))
      expect((await take(from, ...both)).taken).toBe(true)
      const refused = await take(from, ...both)
      expect([refused.taken, ...refused.standings.map(({ isOver }) => isOver)]).toEqual([false, false, true])
      expect((await take(from, both[0]!)).standings[0]!.left).toBe(9)
    })

    it('keep counters of subjects and of limits apart', async () => {
      const from = limiter()
      const limit = limitFor('REQUESTS', 1, 60_000, { burst: 0 })
      for (const subject of [null, 'a', 'b'])
        expect((await take(from, { counter: counterOf(limit, subject), units: 1 })).taken).toBe(true)
      expect((await take(from, { counter: counterOf(limit, 'a'), units: 1 })).taken).toBe(false)
    })

    it('say that an observed limit is over, and refuse nothing for it', async () => {
      const from = limiter()
      const ask = { counter: counterOf(limitFor('REQUESTS', 1, 60_000, { burst: 0, isEnforced: false })), units: 1 }
      await take(from, ask)
      expect(await take(from, ask)).toMatchObject({ taken: true, standings: [{ isOver: true, taken: null }] })
    })

    it('say never where a request is larger than the bucket', async () => {
      const ask = { counter: counterOf(limitFor('TOKENS', 1_000, 60_000, { burst: 99 })), units: 101 }
      expect((await take(limiter(), ask)).standings[0]!.waitMs).toBe(Number.POSITIVE_INFINITY)
    })

    it('correct tokens to what was used, both ways', async () => {
      const from = limiter()
      const counter = counterOf(limitFor('TOKENS', 100, 3_600_000, { burst: 99 }))
      const { standings } = await take(from, { counter, units: 80 })
      from.settle('ten_1', standings, () => 30)
      const second = await take(from, { counter, units: 0 })
      expect(second.standings[0]!.left).toBe(70)
      from.settle('ten_1', (await take(from, { counter, units: 10 })).standings, () => 25)
      expect((await take(from, { counter, units: 0 })).standings[0]!.left).toBe(45)
    })

    it('hold what is under way until it is settled', async () => {
      const from = limiter()
      const ask = { counter: counterOf(limitFor('CONCURRENT_REQUESTS', 2, 0)), units: 1 }
      const first = await take(from, ask)
      expect((await take(from, ask)).standings[0]!.left).toBe(0)
      expect((await take(from, ask)).taken).toBe(false)
      from.settle('ten_1', first.standings, all)
      expect((await take(from, ask)).taken).toBe(true)
      expect((await take(from, ask)).taken).toBe(false)
    })
  })
