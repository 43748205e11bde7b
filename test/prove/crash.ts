import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import { type Chance, chanceOf } from './parts/chance.ts'
import { type CrashHouse, crashHouse, type Member, type Victim } from './parts/crash-house.ts'
import { inputPrice, judgeBooks, outputPrice } from './parts/crash-judgement.ts'
import { type InstantUpstream, instantUpstream } from './parts/instant-upstream.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import { readBooks } from './parts/record-audit.ts'
import { SteadyLoad } from './parts/steady-load.ts'

const lengths = {
  quick: { kills: 3, awayMs: 10_000 },
  default: { kills: 20, awayMs: 60_000 },
  full: { kills: 100, awayMs: 60_000 },
}
const gateways = 2
const clients = 8
const perSecond = 64
const servingWithinMs = 2_000
/** Each way, each chunk, on the lines to the database and to the control plane. */
const slowByMs = 250
const catchUpMs = 90_000

const proof: Proof = {
  shows: 'kill -9 and absences of the control plane and its database lose no record, double none and refuse nothing',
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
    const upstream = instantUpstream()
    const house = await crashHouse(folder, gateways)
    try {
      return await story(options, house, upstream, folder)
    } finally {
      await house.stop()
      await upstream.stop()
      rmSync(folder, { recursive: true })
    }
  },
}
export default proof

/** What the parts of the story share. */
interface Scene extends ProofOptions {
  house: CrashHouse
  load: SteadyLoad
  chance: Chance
  checks: Checks
  restarts: Record<Victim['kind'], { tookMs: number; ownMs: number }[]>
}

async function story(options: ProofOptions, house: CrashHouse, upstream: InstantUpstream, folder: string) {
  const { say } = options
  const seed = Number(process.env.PROVE_SEED ?? Math.floor(Math.random() * 2 ** 31))
  const { kills, awayMs } = lengths[options.length]
  const checks = new Checks()
  const from = new Date(Date.now() - 60_000).toISOString()
  const key = await prepare(house, folder, upstream.url)
  say(`seed ${seed}: PostgreSQL ${house.database.version}, a control plane and ${gateways} gateways run`)

  const load = new SteadyLoad(house.gateways, key, clients, perSecond)
  const restarts = { control: [], gateway: [], database: [] }
  const scene: Scene = { ...options, house, load, chance: chanceOf(seed), checks, restarts }
  await killings(scene, kills)
  await caughtUp(scene)
  const backlogs: Record<string, number> = {}
  for (const way of [blackholed, slow, refused]) {
    load.phase = 'present'
    await Bun.sleep(awayMs * 0.4)
    backlogs[way.name] = await way(scene, awayMs)
  }
  await load.stop()
  await caughtUp(scene, 0)
  say('all is delivered; reading the books')
  return judge(scene, { seed, kills, from, calls: upstream.calls }, backlogs)
}

const declaration = (baseUrl: string) => `
kind: Provider
name: upstream
platform: OPENAI_COMPATIBLE
baseUrl: ${baseUrl}/v1
selfHosted: true
---
kind: Team
name: crew
---
kind: Principal
name: load
principalKind: SERVICE
---
kind: Project
name: crash
team: team/crew
purpose: To be cut off
---
kind: PriceSheet
name: proof
currency: USD
lines:
${['instant', 'dawdling']
  .map(
    (name) => `  - { model: model/${name}, meter: INPUT_TOKENS, amount: "${inputPrice}", per: 1000000 }
  - { model: model/${name}, meter: OUTPUT_TOKENS, amount: "${outputPrice}", per: 1000000 }`,
  )
  .join('\n')}
${['instant', 'dawdling']
  .map(
    (name) => `---
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
  .join('')}`

/** Starts all of it from nothing, declares a priced provider, and gives an application key. */
async function prepare(house: CrashHouse, folder: string, upstreamUrl: string): Promise<string> {
  await house.control.start()
  const file = join(folder, 'house.yaml')
  writeFileSync(file, declaration(upstreamUrl))
  await command(house, 'apply', '-f', file, '--yes')
  const issued = await command(house, 'key', 'issue', 'load', '--project', 'crash', '-o', 'json')
  const enrol = `mutation ($input: DataPlaneEnrollInput!) { dataPlaneEnroll(input: $input) { enrollmentToken } }`
  for (const [at, gateway] of house.gateways.entries()) {
    const input = { idempotencyKey: `plane-${at}`, name: `plane-${at}`, adapter: 'STANDALONE' }
    const { dataPlaneEnroll } = await house.ask<{ dataPlaneEnroll: { enrollmentToken: string } }>(enrol, { input })
    await gateway.start({ SLUICE_PLANE_TOKEN: dataPlaneEnroll.enrollmentToken })
  }
  return JSON.parse(issued).secret
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

/** Kills one or two at a random moment, starts them again at once, and measures until they serve. */
async function killings(scene: Scene, kills: number): Promise<void> {
  const { house, load, chance, say } = scene
  load.phase = 'kills'
  const control: Victim = { name: house.control.name, kind: 'control', ...killable(house.control) }
  const [one, two] = house.gateways.map((gateway) => gatewayVictim(gateway, load)) as [Victim, Victim]
  const usual = [[one], [two], [control]]
  const all = [...usual, [one, control], [one, two], [house.databaseVictim]]
  const order: Victim[][] = []
  while (order.length < kills) order.push(...chance.shuffled(order.length === 0 ? usual : all))
  for (const [at, victims] of order.slice(0, kills).entries()) {
    await Bun.sleep(chance.between(200, 1_200))
    await Promise.all(victims.map((victim) => victim.kill9()))
    const times = await Promise.all(victims.map((victim) => restart(scene, victim)))
    const named = victims.map(({ name }, index) => `${name} (${times[index]!.toFixed(0)} ms)`)
    say(`kill ${at + 1} of ${kills}: ${named.join(' and ')} serves again`)
  }
}

const killable = (member: Member) => ({
  kill9: () => member.kill9(),
  back: () => member.start(),
  waitedMs: () => member.waitedMs(),
})

/** A gateway is back when an application has its answer. */
function gatewayVictim(gateway: CrashHouse['gateways'][number], load: SteadyLoad): Victim {
  const back = () => gateway.start().then(() => load.ask(gateway))
  return { ...killable(gateway), name: gateway.name, kind: 'gateway', back }
}

/**
 * Milliseconds from the start of its process to its first answer. What is bounded is without the time in which the machine had
 * no processor for it; PostgreSQL's own recovery is not ours to bound.
 */
async function restart({ restarts, checks }: Scene, victim: Victim): Promise<number> {
  const startedMs = performance.now()
  await victim.back()
  const tookMs = performance.now() - startedMs
  const ownMs = tookMs - victim.waitedMs()
  restarts[victim.kind].push({ tookMs, ownMs })
  if (victim.kind !== 'database')
    checks.that(ownMs < servingWithinMs, `${victim.name} took ${ownMs.toFixed(0)} ms to serve again`)
  return tookMs
}

/** Blackholed: control plane and database stand still in the middle of what they did, and their ports say nothing. */
async function blackholed(scene: Scene, awayMs: number): Promise<number> {
  const { house } = scene
  house.freeze()
  const backlog = await away(scene, 'blackholed', awayMs)
  house.thaw()
  await caughtUp(scene)
  return backlog
}

async function slow(scene: Scene, awayMs: number): Promise<number> {
  for (const line of scene.house.lines) line.delay(slowByMs)
  const backlog = await away(scene, 'slow', awayMs)
  for (const line of scene.house.lines) line.delay(0)
  await caughtUp(scene)
  return backlog
}

/** Killed and gone; at the end a gateway is killed too and comes back all alone. */
async function refused(scene: Scene, awayMs: number): Promise<number> {
  const { house, load, chance, say } = scene
  await house.control.kill9()
  await house.killDatabase()
  for (const line of house.lines) await line.down()
  const backlog = await away(scene, 'refused', awayMs)
  load.phase = 'alone'
  const gateway = gatewayVictim(chance.shuffled(house.gateways)[0]!, load)
  await gateway.kill9()
  const aloneMs = await restart(scene, gateway)
  say(`${gateway.name}, killed and started without a control plane, serves again after ${aloneMs.toFixed(0)} ms`)
  await house.database.start()
  for (const line of house.lines) await line.up()
  await house.control.start()
  await caughtUp(scene)
  return backlog
}

async function away({ house, load, say }: Scene, phase: string, awayMs: number): Promise<number> {
  load.phase = phase
  await Bun.sleep(awayMs)
  const backlog = (await Promise.all(house.gateways.map(backlogOf))).reduce((sum, each) => sum + each, 0)
  const { p50, p99, count } = load.latency(phase)
  say(`${phase} for ${awayMs / 1_000} s: ${count} calls at ${ms(p50)} / ${ms(p99)} ms, ${backlog} records wait`)
  load.phase = 'catching up'
  return backlog
}

/** Waits until no more than this many records wait: a few are always under way while the load goes on. */
async function caughtUp({ house, load, say, checks }: Scene, most = 20): Promise<void> {
  if (most > 0) load.phase = 'catching up'
  const startedMs = performance.now()
  while (performance.now() - startedMs < catchUpMs) {
    const backlogs = await Promise.all(house.gateways.map(backlogOf))
    if (backlogs.every((backlog) => backlog <= most)) {
      say(`caught up after ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`)
      return
    }
    await Bun.sleep(100)
  }
  checks.that(false, `records still wait ${catchUpMs / 1_000} s after everything is back`)
}

async function backlogOf({ ops }: CrashHouse['gateways'][number]): Promise<number> {
  return Number(/^sluice_record_backlog (\d+)/m.exec(await (await fetch(`${ops}/metrics`)).text())![1])
}

interface Told {
  seed: number
  kills: number
  from: string
  calls: number
}

async function judge(scene: Scene, told: Told, backlogs: Record<string, number>) {
  const { house, load, checks, restarts } = scene
  const books = await readBooks(house.database.url)
  const judged = judgeBooks(load.asked, told.calls, books, checks)
  const spend = await house.ask<{ spend: { total: { amount: string } } }>(spendQuery, { window: { from: told.from } })
  checks.equal(
    'spend against the sum of all records',
    parseAmount(spend.spend.total.amount)?.toString(),
    judged.cost.toString(),
  )
  checkAnswers(scene)
  for (const way of ['blackholed', 'refused'])
    checks.that(backlogs[way]! > perSecond, `no records waited while ${way}: it was not away`)
  const most = (times: Scene['restarts']['gateway']) =>
    [times.map(({ tookMs }) => tookMs), times.map(({ ownMs }) => ownMs)]
      .map((each) => Math.max(0, ...each).toFixed(0))
      .join('/')
  return {
    figures: {
      ...{ seed: told.seed, kills: told.kills, requests: load.asked.length, answered: judged.answered },
      ...{ cutOff: judged.cutOff, ceiling: judged.ceiling, records: judged.records, chains: judged.chains },
      cost: formatAmount(judged.cost),
      gatewayServingMs: most(restarts.gateway),
      controlServingMs: most(restarts.control),
      ...checkLatency(scene),
    },
    short: checks.short,
  }
}

const spendQuery = `query ($window: TimeRange!) { spend(window: $window, interval: TOTAL) { total { amount } } }`

/** No request was refused, and only a kill of its own gateway left one without an answer. */
function checkAnswers({ house, load, checks, say }: Scene): void {
  const unanswered = load.asked.filter(({ outcome, excused }) => outcome !== 'answered' && !excused)
  for (const { phase, outcome, what } of unanswered.slice(0, 5)) say(`${phase}: ${outcome}: ${what}`)
  checks.equal('requests refused or left without an answer', unanswered.length, 0)
  for (const { name, complaints } of [...house.gateways, house.control])
    for (const line of complaints.slice(-5)) say(`${name} said: ${line}`)
}

/**
 * What a call takes with the control plane there, and without. The bounds leave room for a busy machine, not for a wait: one for
 * the control plane would take `slowByMs` twice, or for ever.
 */
function checkLatency({ load, checks }: Scene): Record<string, string> {
  const present = load.latency('present')
  const figures: Record<string, string> = { present: `${ms(present.p50)}/${ms(present.p99)}` }
  for (const way of ['blackholed', 'slow', 'refused']) {
    const { p50, p90, p99 } = load.latency(way)
    figures[way] = `${ms(p50)}/${ms(p99)}`
    const unchanged =
      p50 <= present.p50 * 1.25 + 2 && p90 <= present.p90 * 2 + 20 && p99 <= present.p99 * 2 + slowByMs * 2
    checks.that(unchanged, `calls take ${figures[way]} ms (p50/p99) while ${way}, ${figures.present} ms otherwise`)
  }
  const { p50, p99 } = load.latency('catching up')
  return { ...figures, catchingUp: `${ms(p50)}/${ms(p99)}` }
}

const ms = (value: number) => value.toFixed(1)
