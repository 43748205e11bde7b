import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisClient } from 'bun'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RedisLimiter } from '../../adapters/ports/limits-redis/limiter.ts'
import { limitScript } from '../../adapters/ports/limits-redis/script.ts'
import type { LimitAnswer, LimitAsk, LimitStanding } from '../../data-plane/limits/limiter.ts'
import { MemoryLimiter } from '../../data-plane/limits/memory.ts'
import { counterOf, limitFor } from '../../data-plane/limits/test-limits.ts'
import { mintId } from '../../schema/ids.ts'
import { type Redis, redis } from '../real/redis.ts'

let server: Redis
let dir: string
const open: RedisLimiter[] = []

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-limits-'))
  server = await redis({ dir, args: ['--appendonly', 'yes'] })
})
beforeEach(() => {
  tenant = mintId('tenant')
})
afterEach(() => {
  for (const limiter of open.splice(0)) limiter.close()
})
afterAll(async () => {
  await server?.stop()
  rmSync(dir, { recursive: true })
})

async function limiterAt(url = server.url, ca?: string): Promise<RedisLimiter> {
  const limiter = new RedisLimiter({ url, ca, log: () => {} })
  open.push(limiter)
  await until(() => limiter.trouble === null)
  return limiter
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error('it did not come about in 10 s')
    await Bun.sleep(10)
  }
}

async function restarted(keepsData: boolean): Promise<void> {
  const { port } = server
  await server.kill9()
  if (!keepsData) rmSync(join(dir, 'appendonlydir'), { recursive: true, force: true })
  server = await redis({ port, dir, args: ['--appendonly', 'yes'] })
}

/** Each story has a tenant of its own: what a restart empties is a tenant's. */
let tenant = 'ten_0'
const take = async (limiter: RedisLimiter, ...asks: LimitAsk[]) => limiter.take(tenant, asks)
const taken = (answer: LimitAnswer) => 'taken' in answer && answer.taken
const standingsOf = (answer: LimitAnswer) => ('taken' in answer ? answer.standings : [])

describe('rate limits in Redis', () => {
  it('count for all gateways together', async () => {
    const [one, two] = [await limiterAt(), await limiterAt()]
    const ask = { counter: counterOf(limitFor('REQUESTS', 1, 60_000, { burst: 2 })), units: 1 }
    const answers = await Promise.all([one, two, one, two, one].map((limiter) => take(limiter, ask)))
    expect(answers.filter(taken)).toHaveLength(3)
  })

  it('answer as the arithmetic in memory does, for any order of asking, correcting and waiting', async () => {
    // The same script by a clock that the test sets.
    const script = limitScript.replace(
      "redis.call('TIME')",
      "{ redis.call('GET', 'clock:s'), redis.call('GET', 'clock:us') }",
    )
    const client = new RedisClient(server.url)
    const step = fc.record({
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 900 }), fc.integer({ min: 0, max: 20_000 })),
      units: fc.integer({ min: 0, max: 30 }),
      used: fc.integer({ min: 0, max: 40 }),
      closes: fc.boolean(),
    })
    const given = fc.record({ limit: fc.integer({ min: 1, max: 50 }), burst: fc.integer({ min: 0, max: 60 }) })
    await fc.assert(
      fc.asyncProperty(given, fc.array(step, { maxLength: 40 }), async ({ limit, burst }, steps) => {
        let nowMs = 1_800_000_000_000
        const counter = counterOf(limitFor('TOKENS', limit, 10_000, { burst }))
        const rate = counter.of.rate!
        const memory = new MemoryLimiter({ nowMs: () => nowMs })
        const key = `test:${counter.of.id}`
        const run = async (op: string, ...fields: number[]) => {
          await client.send('MSET', [
            'clock:s',
            String(Math.floor(nowMs / 1_000)),
            'clock:us',
            String((nowMs % 1_000) * 1_000),
          ])
          const kind = op === 'take' ? ['r', '1'] : ['r']
          const values = [op, 'run', '0', 'me', '6000', ...kind, ...fields].map(String)
          return (await client.send('EVAL', [script, '2', 'test:store', key, ...values])) as number[]
        }
        const { limit: flow, span, tickMs, capacity } = rate
        for (const { afterMs, units, used, closes } of steps) {
          nowMs += afterMs
          const there = await run('take', units, flow, span, tickMs, capacity)
          const here = memory.take('', [{ counter, units }]) as { taken: boolean; standings: LimitStanding[] }
          const [{ isOver, waitMs, left, fullMs, taken: mark }] = here.standings as [LimitStanding]
          const wait = Number.isFinite(waitMs) ? waitMs : -1
          expect(there.slice(0, 5)).toEqual([here.taken ? 1 : 0, isOver ? 1 : 0, wait, left, fullMs])
          if (!mark || !closes) continue
          nowMs += used * 37
          await run('settle', units, used, flow, span, there[5]!, there[6]!, there[7]!, tickMs, capacity)
          memory.settle('', here.standings, () => used)
        }
      }),
      { numRuns: 60 },
    )
    client.close()
  })

  it('begin empty after the store was restarted, whether its data survived or not, so that nothing is admitted twice', async () => {
    for (const keepsData of [true, false]) {
      tenant = mintId('tenant')
      const limiter = await limiterAt()
      const ask = { counter: counterOf(limitFor('REQUESTS', 60, 60_000, { burst: 3 })), units: 1 }
      for (let at = 0; at < 4; at++) expect(taken(await take(limiter, ask))).toBe(true)
      await restarted(keepsData)
      await until(() => limiter.trouble === null)
      const after = await take(limiter, ask)
      expect([keepsData, taken(after)]).toEqual([keepsData, false])
      expect(standingsOf(after)[0]!.waitMs).toBeLessThanOrEqual(1_000)
    }
  })

  it('begin empty after the store was flushed', async () => {
    const limiter = await limiterAt()
    const ask = { counter: counterOf(limitFor('REQUESTS', 60, 60_000, { burst: 3 })), units: 1 }
    for (let at = 0; at < 4; at++) await take(limiter, ask)
    const client = new RedisClient(server.url)
    await client.send('FLUSHALL', [])
    client.close()
    expect(taken(await take(limiter, ask))).toBe(false)
  })

  it('are away at once while the store is, and there again when it is', async () => {
    const limiter = await limiterAt()
    const ask = { counter: counterOf(limitFor('REQUESTS', 100, 1_000)), units: 1 }
    const { port } = server
    await server.kill9()
    await until(() => limiter.trouble !== null)
    expect(await take(limiter, ask)).toHaveProperty('away')
    server = await redis({ port, dir, args: ['--appendonly', 'yes'] })
    await until(() => limiter.trouble === null)
    await until(async () => taken(await take(limiter, ask)))
  })

  it('give up on a store that stands still, and give back what it took too late', async () => {
    const limiter = await limiterAt()
    const ask = { counter: counterOf(limitFor('TOKENS', 10, 3_600_000, { burst: 9 })), units: 6 }
    await take(limiter, { ...ask, units: 0 })
    process.kill(server.pid, 'SIGSTOP')
    expect(await take(limiter, ask)).toHaveProperty('away')
    process.kill(server.pid, 'SIGCONT')
    await until(() => limiter.trouble === null)
    await until(async () => standingsOf(await take(limiter, { ...ask, units: 0 }))[0]!.left >= 9)
  })

  it('forget what a gateway had under way that is not heard of any more, and no other', async () => {
    const [dying, living] = [await limiterAt(), await limiterAt()]
    const ask = { counter: counterOf(limitFor('CONCURRENT_REQUESTS', 2, 0)), units: 1 }
    expect([taken(await take(dying, ask)), taken(await take(living, ask))]).toEqual([true, true])
    dying.close()
    expect(taken(await take(living, ask))).toBe(false)
    await until(async () => taken(await take(living, ask)))
    expect(taken(await take(living, ask))).toBe(false)
  }, 20_000)

  it('hold what is under way over a restart that lost it', async () => {
    const limiter = await limiterAt()
    const ask = { counter: counterOf(limitFor('CONCURRENT_REQUESTS', 2, 0)), units: 1 }
    await take(limiter, ask)
    await restarted(false)
    await until(() => limiter.trouble === null)
    expect(taken(await take(limiter, ask))).toBe(false)
    await until(async () => taken(await take(limiter, ask)))
    expect(taken(await take(limiter, ask))).toBe(false)
  }, 20_000)

  it('reach a store by TLS with a private authority and a password, and no other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-limits-tls-'))
    const file = (name: string) => join(folder, name)
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-days',
      '2',
      '-subj',
      '/CN=authority',
    )
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'server.key',
      '-out',
      'server.csr',
      '-subj',
      '/CN=localhost',
    )
    execFileSync('sh', ['-c', 'echo subjectAltName=DNS:localhost > san.txt'], { cwd: folder })
    openssl(
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-out',
      'server.crt',
      '-days',
      '2',
      '-extfile',
      'san.txt',
    )
    const ca = readFileSync(file('ca.crt'), 'utf8')
    const certified = [
      '--tls-cert-file',
      file('server.crt'),
      '--tls-key-file',
      file('server.key'),
      '--tls-ca-cert-file',
      file('ca.crt'),
    ]
    const secured = await redis({
      url: (port) => `rediss://:secret@localhost:${port}`,
      tls: { ca },
      args: ['--requirepass', 'secret', '--tls-auth-clients', 'no', ...certified],
    })
    try {
      const limiter = await limiterAt(secured.url, ca)
      expect(taken(await take(limiter, { counter: counterOf(limitFor('REQUESTS', 1, 1_000)), units: 1 }))).toBe(true)
      const said: string[] = []
      const stranger = new RedisLimiter({ url: secured.url, log: (_, sentence) => said.push(sentence) })
      open.push(stranger)
      await until(() => said.length > 0)
      expect(stranger.trouble).toContain('cannot be reached')
      expect(said.join()).not.toContain('secret')
    } finally {
      await secured.stop()
      rmSync(folder, { recursive: true })
    }
  })
})
