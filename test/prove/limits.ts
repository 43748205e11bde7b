import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Redis, redis } from '../real/redis.ts'
import { type CrashHouse, crashHouse } from './parts/crash-house.ts'
import { LimitsLoad } from './parts/limits-load.ts'
import { LimitsUpstream, mostWithin } from './parts/limits-upstream.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'

const lengths = {
  quick: { rounds: 1, steadyMs: 5_000 },
  default: { rounds: 3, steadyMs: 10_000 },
  full: { rounds: 10, steadyMs: 20_000 },
}
const gateways = 3
/** More than are admitted at once. */
const clientsEach = 8
const windowMs = 3_000
/** Between a gateway's counting a request and the provider's noting it, on a busy machine. Intervals are judged that much shorter. */
const transportMs = 400
const limits = { requests: { limit: 60, burst: 30 }, tokens: { limit: 3_000, burst: 1_500 }, concurrency: 3 }
/** Of what the limit lets flow in the time: a proof that nothing is refused without need. */
const usedShareMin = 0.7

const proof: Proof = {
  shows:
    'gateways together never admit more than a rate limit and its burst, with Redis and without, whatever is killed',
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-limits-'))
    const upstream = new LimitsUpstream()
    const house = await crashHouse(folder, gateways)
    const scene: Scene = {
      ...options,
      house,
      upstream,
      checks: new Checks(),
      most: { requests: 0, tokens: 0, concurrency: 0 },
      store: await redis(),
      told: {},
    }
    try {
      return await story(scene, folder)
    } finally {
      await house.stop()
      await upstream.stop()
      await scene.store.stop()
      rmSync(folder, { recursive: true })
    }
  },
}
export default proof

interface Scene extends ProofOptions {
  house: CrashHouse
  upstream: LimitsUpstream
  checks: Checks
  /** The most that was ever seen, by limit. */
  most: Record<keyof typeof limits, number>
  store: Redis
  told: Record<string, number>
}

async function story(scene: Scene, folder: string) {
  const { house, say, checks, most, told, length } = scene
  const { keys, tokens } = await prepare(scene, folder)
  const stored = { SLUICE_REDIS_URL: scene.store.url }
  for (const [at, gateway] of house.gateways.entries())
    await gateway.start({ ...stored, SLUICE_PLANE_TOKEN: tokens[at]! })
  checks.equal('how limits are shared with Redis', await sharings(house), ['SHARED_STORE'])
  say(`${gateways} gateways count in Redis`)
  const load = new LimitsLoad(house.gateways, keys, clientsEach)
  const used = await withStore(scene, stored)
  for (const gateway of house.gateways) await gateway.stop()
  await Bun.sleep(windowMs)
  scene.upstream.forget()
  say('Redis is gone; each gateway has its share')
  await withShares(scene)
  await load.stop()
  Object.assign(told, load.told)
  for (const code of ['rate_limited', 'concurrency_exceeded', 'answered'])
    checks.that((told[code] ?? 0) > 0, `no request was ${code}: limits were not under load`)
  return {
    figures: {
      ...{ rounds: lengths[length].rounds, windowMs, transportMs },
      requests: `${most.requests}/${limits.requests.limit + limits.requests.burst}`,
      tokens: `${most.tokens}/${limits.tokens.limit + limits.tokens.burst}`,
      concurrency: `${most.concurrency}/${limits.concurrency}`,
      used: used.toFixed(2),
      ...told,
    },
    short: checks.short,
  }
}

/** Three applications, each before a limit of its own. */
async function prepare({ house, upstream }: Scene, folder: string) {
  await house.control.start()
  const file = join(folder, 'limits.yaml')
  writeFileSync(file, declaration(upstream.url))
  await command(house, 'apply', '-f', file, '--yes')
  const keys: Record<string, string> = {}
  for (const name of Object.keys(limits)) {
    const issued = await command(house, 'key', 'issue', name, '--project', name, '-o', 'json')
    keys[name] = JSON.parse(issued).secret
  }
  const enrol = `mutation ($input: DataPlaneEnrollInput!) { dataPlaneEnroll(input: $input) { enrollmentToken } }`
  const tokens: string[] = []
  for (let at = 0; at < gateways; at++) {
    const input = { idempotencyKey: `plane-${at}`, name: `plane-${at}`, adapter: 'STANDALONE' }
    tokens.push(
      (await house.ask<{ dataPlaneEnroll: { enrollmentToken: string } }>(enrol, { input })).dataPlaneEnroll
        .enrollmentToken,
    )
  }
  return { keys, tokens }
}

async function command(house: CrashHouse, ...args: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', ...args], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, SLUICE_DATA_DIR: house.controlDir, SLUICE_CONTROL_URL: house.controlUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const out = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`sluice ${args.join(' ')} failed; what it said is above`)
  return out
}

async function sharings(house: CrashHouse): Promise<string[]> {
  const { tenant } = await house.ask<{ tenant: { dataPlanes: { nodes: { state: string; limitSharing: string }[] } } }>(
    '{ tenant { dataPlanes(first: 20) { nodes { state limitSharing } } } }',
  )
  const connected = tenant.dataPlanes.nodes.filter(({ state }) => state === 'CURRENT' || state === 'BEHIND')
  return [...new Set(connected.map(({ limitSharing }) => limitSharing))]
}

/** Load, a gateway that is killed, and the store that is killed with all it held; answers how much of the limit was used. */
async function withStore(scene: Scene, stored: Record<string, string>): Promise<number> {
  const { house, upstream, say, checks, length } = scene
  const { rounds, steadyMs } = lengths[length]
  upstream.forget()
  await Bun.sleep(steadyMs)
  const flowed = (limits.requests.limit * steadyMs) / windowMs
  const used = upstream.arrived.filter(({ model }) => model === 'requests').length / flowed
  checks.that(used >= usedShareMin, `only ${(used * 100).toFixed(0)} % of the limit was used under load`)
  for (let round = 0; round < rounds; round++) {
    const gateway = house.gateways[round % gateways]!
    await gateway.kill9()
    await gateway.start(stored)
    await Bun.sleep(1_500)
    judge(scene, `with Redis, after ${gateway.name} was killed`)
    const { port } = scene.store
    await scene.store.kill9()
    await Bun.sleep(500)
    const before = upstream.arrived.length
    await Bun.sleep(1_000)
    checks.equal('requests admitted while Redis was away', upstream.arrived.length - before, 0)
    scene.store = await redis({ port })
    await Bun.sleep(windowMs + 6_000)
    judge(scene, 'after Redis was killed and lost everything')
    checks.that(upstream.arrived.at(-1)!.atMs > performance.now() - 1_000, 'nothing is admitted since Redis is back')
    say(`round ${round + 1} of ${rounds}: a gateway and Redis were killed and are back`)
  }
  return used
}

/** One gateway alone, others that join, one that leaves in good order, one that is killed and comes back. */
async function withShares(scene: Scene): Promise<void> {
  const { house, say, checks, length } = scene
  const [one, two, three] = house.gateways as [
    CrashHouse['gateways'][0],
    CrashHouse['gateways'][0],
    CrashHouse['gateways'][0],
  ]
  await one.start()
  await Bun.sleep(windowMs)
  checks.equal('how limits are shared by one gateway', await sharings(house), ['SINGLE_PLANE'])
  await two.start()
  await three.start()
  await Bun.sleep(windowMs)
  checks.equal('how limits are shared by three', await sharings(house), ['SHARES'])
  judge(scene, 'with shares, while gateways joined')
  for (let round = 0; round < lengths[length].rounds; round++) {
    await two.stop()
    await Bun.sleep(1_500)
    await two.start()
    await Bun.sleep(1_500)
    await three.kill9()
    await three.start()
    await Bun.sleep(windowMs)
    judge(scene, 'with shares, while a gateway left and another was killed')
    say(`round ${round + 1}: a gateway left and came back, another was killed and is back`)
  }
}

function judge({ upstream, checks, most }: Scene, when: string): void {
  const of = (name: string) => upstream.arrived.filter(({ model }) => model === name)
  const seen = {
    requests: mostWithin(of('requests'), windowMs - transportMs, () => 1),
    tokens: mostWithin(of('tokens'), windowMs - transportMs, ({ tokens }) => tokens),
    concurrency: upstream.most.get('concurrency') ?? 0,
  }
  const admits = {
    requests: limits.requests.limit + limits.requests.burst,
    tokens: limits.tokens.limit + limits.tokens.burst,
    concurrency: limits.concurrency,
  }
  for (const name of ['requests', 'tokens', 'concurrency'] as const) {
    most[name] = Math.max(most[name], seen[name])
    checks.that(seen[name] <= admits[name], `${when}: ${seen[name]} ${name} where ${admits[name]} are admitted`)
  }
}

const declaration = (baseUrl: string) => `
kind: Provider
name: upstream
platform: OPENAI_COMPATIBLE
baseUrl: ${baseUrl}
selfHosted: true
---
kind: Team
name: crew
${Object.keys(limits)
  .map(
    (name) => `---
kind: Project
name: ${name}
team: team/crew
purpose: To be limited
---
kind: Model
name: ${name}
provider: provider/upstream
upstreamName: ${name}
contextTokens: 2048
maxOutputTokens: 64
---
kind: Alias
name: ${name}
model: model/${name}
`,
  )
  .join('')}---
kind: RateLimit
name: requests
scope: project/requests
unit: REQUESTS
limit: ${limits.requests.limit}
burst: ${limits.requests.burst}
window: ${windowMs / 1_000}s
---
kind: RateLimit
name: tokens
scope: project/tokens
per: API_KEY
unit: TOKENS
limit: ${limits.tokens.limit}
burst: ${limits.tokens.burst}
window: ${windowMs / 1_000}s
---
kind: RateLimit
name: concurrency
scope: model/concurrency
unit: CONCURRENT_REQUESTS
limit: ${limits.concurrency}
`
