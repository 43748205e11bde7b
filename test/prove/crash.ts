import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import { type CalmHouse, calmHouse } from './parts/calm-house.ts'
import { type Chance, chanceOf } from './parts/chance.ts'
import { declaration } from './parts/crash-declaration.ts'
import { type CrashHouse, crashHouse, type Member, type Victim } from './parts/crash-house.ts'
import { judgeBooks } from './parts/crash-judgement.ts'
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
/** Between two absences. */
const presentMs = 2_000
/** Of all calls: so many may be slow by chance where the machine is busy, beyond twice of what it is where nothing is away. */
const slowShareMax = 0.02

const proof: Proof = {
  shows: 'kill -9 and absences of the control plane and its database lose no record, double none and refuse nothing',
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-crash-'))
    const upstream = instantUpstream()
    const house = await crashHouse(folder, gateways)
    const calm = await calmHouse(folder, perSecond / gateways)
    try {
      return await story(options, house, calm, upstream, folder)
    } finally {
      await calm.stop()
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
  /** Where nothing is ever away, under the same load in the same minutes: what calls are measured against. */
  calm: CalmHouse
  chance: Chance
  checks: Checks
  restarts: Record<Victim['kind'], { tookMs: number; ownMs: number }[]>
}

async function story(
  options: ProofOptions,
  house: CrashHouse,
  calm: CalmHouse,
  upstream: InstantUpstream,
  folder: string,
) {
  const { say } = options
  const seed = Number(process.env.PROVE_SEED ?? Math.floor(Math.random() * 2 ** 31))
  const { kills, awayMs } = lengths[options.length]
  const checks = new Checks()
  const from = new Date(Date.now() - 60_000).toISOString()
  const key = await prepare(house, folder, upstream.url)
  say(`seed ${seed}: PostgreSQL ${house.database.version}, a control plane and ${gateways} gateways run`)

  const load = new SteadyLoad(house.gateways, key, clients, perSecond)
  const restarts = { control: [], gateway: [], database: [] }
  const scene: Scene = { ...options, house, load, calm, chance: chanceOf(seed), checks, restarts }
  await killings(scene, kills)
  await caughtUp(scene)
  const backlogs: Record<string, number> = {}
  for (const way of [blackholed, slow, refused]) {
    enter(scene, 'present')
    await Bun.sleep(presentMs)
    backlogs[way.name] = await way(scene, awayMs)
  }
  await Promise.all([load.stop(), calm.load.stop()])
  await caughtUp(scene, 0)
  say('all is delivered; reading the books')
  return judge(scene, { seed, kills, from, calls: upstream.calls }, backlogs)
}

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

/** Both loads are in one phase at a time. */
function enter({ load, calm }: Scene, phase: string): void {
  load.phase = phase
  calm.load.phase = phase
}

/** Kills one or two at a random moment, starts them again at once, and measures until they serve. */
async function killings(scene: Scene, kills: number): Promise<void> {
  const { house, load, chance, say } = scene
  enter(scene, 'kills')
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
  enter(scene, 'alone')
  const gateway = gatewayVictim(chance.shuffled(house.gateways)[0]!, load)
  await gateway.kill9()
  const aloneMs = await restart(scene, gateway)
  say(`${gateway.name}, killed and started without a control plane, serves again after ${aloneMs.toFixed(0)} ms`)
  for (const line of house.lines) await line.up()
  // The wrong way round on purpose: a control plane waits for its database, and says so.
  await house.control.startUnserved()
  await house.control.said('waits for its database')
  await house.database.start()
  await house.control.served()
  await caughtUp(scene)
  return backlog
}

async function away(scene: Scene, phase: string, awayMs: number): Promise<number> {
  const { house, load, calm, say } = scene
  enter(scene, phase)
  await Bun.sleep(awayMs)
  const backlog = (await Promise.all(house.gateways.map(backlogOf))).reduce((sum, each) => sum + each, 0)
  const there = tookOf(calm.load, phase)
  say(
    `${phase} for ${awayMs / 1_000} s: calls take ${tookOf(load, phase)}, elsewhere ${there}; ${backlog} records wait`,
  )
  enter(scene, 'catching up')
  return backlog
}

/** Waits until no more than this many records wait: a few are always under way while the load goes on. */
async function caughtUp(scene: Scene, most = 20): Promise<void> {
  const { house, say, checks } = scene
  if (most > 0) enter(scene, 'catching up')
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
 * What a call takes where the control plane is away, against the same calls in the same minute where it is there: whatever else
 * the machine does, it does to both. A wait for the control plane would take `slowByMs` twice, or for ever, so calls that take
 * longer than that are counted, too.
 */
function checkLatency({ load, calm, checks }: Scene): Record<string, string> {
  const figures: Record<string, string> = {}
  for (const way of ['blackholed', 'slow', 'refused']) {
    const [here, there] = [load.latency(way, slowByMs), calm.load.latency(way, slowByMs)]
    figures[way] = `${tookOf(load, way)} (${tookOf(calm.load, way)})`.replaceAll(' ', '')
    const unchanged =
      here.p50 <= there.p50 * 1.25 + 2 && here.p90 <= there.p90 * 1.5 + 10 && here.slow <= there.slow * 2 + slowShareMax
    checks.that(
      unchanged,
      `calls take ${tookOf(load, way)} while ${way}, ${tookOf(calm.load, way)} where nothing is away`,
    )
  }
  return figures
}

/** The median, the 90th percentile, and how many took longer than a wait for the control plane would. */
function tookOf(load: SteadyLoad, phase: string): string {
  const { p50, p90, slow } = load.latency(phase, slowByMs)
  return `${p50.toFixed(1)} / ${p90.toFixed(1)} ms / ${(slow * 100).toFixed(1)} %`
}
