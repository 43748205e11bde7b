import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../control-plane/db/database.ts'
import { answers } from '../real/answers.ts'
import { postgres } from '../real/postgres.ts'
import { scriptedUpstream } from '../real/scripted-upstream.ts'
import { cleanEnvironment, root } from './parts/environment.ts'
import { chat, type Gateway, showModel, startGateway } from './parts/gateways.ts'
import { archive, declare, makeTenant, type ProofTenant } from './parts/link-tenants.ts'
import { Checks, type Finding, type Proof, type ProofOptions } from './parts/proof.ts'
import { ask, type Replica, startReplicas } from './parts/replicas.ts'
import type { Taken } from './parts/snapshot-taker.ts'
import { calm, unrulyRelay, type Weather } from './parts/unruly-relay.ts'

/** The first tenant is the large one: it has most keys and more than half of the gateways. */
const sizes = {
  quick: { gateways: 6, tenants: 3, keysOfFirst: 20_000, keysOfOthers: 500, rounds: 10 },
  default: { gateways: 20, tenants: 10, keysOfFirst: 100_000, keysOfOthers: 1_000, rounds: 50 },
  full: { gateways: 20, tenants: 10, keysOfFirst: 100_000, keysOfOthers: 1_000, rounds: 200 },
}
const replicaCount = 2
/** A change must be in force on every connected instance this long after the mutation's answer. */
const inForceMsMax = 1_000
const firstServedMsMax = 2_000
const giveUpMs = 20_000
const cutEveryMs = 1_500
const storm: Weather = { delayMs: { least: 2, most: 40 }, duplicatedPercent: 20, lostPercent: 3 }

interface House {
  tenants: ProofTenant[]
  gateways: { gateway: Gateway; tenant: ProofTenant }[]
  replicas: Replica[]
  folder: string
}

const proof: Proof = {
  shows: 'a revoked key and a changed configuration are in force on every connected gateway within a second',
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-link-'))
    const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
    try {
      return await story(options, folder, undo)
    } finally {
      for (const end of undo.reverse()) await end()
    }
  },
}
export default proof

async function story({ length, say }: ProofOptions, folder: string, undo: (() => unknown)[]): Promise<Finding> {
  const size = sizes[length]
  const checks = new Checks()
  const house = await openHouse(size, folder, undo, say)
  const taken = await takeSnapshot(house)
  say(`a process took the snapshot of ${size.keysOfFirst} keys: ${JSON.stringify(taken)}`)
  const fresh = await freshInstances(house, undo, checks)
  say(`new instances served after ${fresh.map(Math.round).join(', ')} ms`)

  const pings = watchReplicas(house.replicas)
  await lagMs(house)
  const stopStorm = beginStorm(house)
  const revoked = await changes(house, size.rounds, checks, revokeRound)
  say(`${size.rounds} keys revoked: ${summary(revoked)}`)
  const configured = await changes(house, size.rounds, checks, configRound)
  say(`${size.rounds} changes of configuration: ${summary(configured)}`)
  stopStorm()
  const controlPauseMs = pings.end()
  const gatewayLagMaxMs = Math.round(Math.max(...(await lagMs(house))))
  await checkRevokedStay(house, checks, size.rounds)
  await Promise.all(house.gateways.map((each) => noticeFaults(each.gateway, checks)))

  const counts = house.gateways.map(({ gateway }) => gateway.relay.counts)
  const sum = (of: (count: (typeof counts)[number]) => number) => counts.reduce((all, count) => all + of(count), 0)
  return {
    figures: {
      gateways: house.gateways.length,
      replicas: house.replicas.length,
      tenants: house.tenants.length,
      keys: house.tenants.reduce((all, { keys }) => all + keys, 0),
      revokedMaxMs: Math.round(Math.max(...revoked)),
      revokedMedianMs: Math.round(median(revoked)),
      configMaxMs: Math.round(Math.max(...configured)),
      configMedianMs: Math.round(median(configured)),
      newInstanceMaxMs: Math.round(Math.max(...fresh)),
      snapshotMiB: (taken.snapshotBytes / 1024 ** 2).toFixed(1),
      takenMs: Math.round(taken.takenMs),
      gatewayPauseMs: Math.round(taken.pause.gapMs),
      reopenedMs: Math.round(taken.reopenedMs),
      reopenPauseMs: Math.round(taken.reopenPause.gapMs),
      residentMb: `${Math.round(taken.residentBeforeMb)}→${Math.round(taken.residentAfterMb)}`,
      gatewayResidentMaxMb: Math.max(...house.gateways.map(({ gateway }) => residentMb(gateway.pid))),
      gatewayLagMaxMs,
      controlResidentMaxMb: Math.max(...house.replicas.map(({ process }) => residentMb(process.pid))),
      controlPauseMs: Math.round(controlPauseMs),
      links: sum(({ links }) => links),
      cuts: sum(({ cuts }) => cuts),
      messages: sum(({ messages }) => messages),
      duplicated: sum(({ duplicated }) => duplicated),
      lost: sum(({ lost }) => lost),
    },
    short: checks.short,
  }
}

async function openHouse(
  size: (typeof sizes)['quick'],
  folder: string,
  undo: (() => unknown)[],
  say: ProofOptions['say'],
): Promise<House> {
  const server = await postgres({ fast: true, settings: { max_connections: '100' } })
  undo.push(() => server.stop())
  const upstream = await scriptedUpstream()
  undo.push(() => upstream.stop())
  upstream.otherwise(answers.chat())
  const { replicas, masterKey } = await startReplicas(server.url, folder, replicaCount)
  undo.push(() => Promise.all(replicas.map(({ process }) => process.stop())))
  say(`${replicas.length} control planes run on PostgreSQL ${server.version}`)
  const db = await openDatabase({ url: server.url, dataDir: folder })
  undo.push(() => db.close())
  const tenants: ProofTenant[] = []
  for (let at = 0; at < size.tenants; at++) {
    const keys = at === 0 ? size.keysOfFirst : size.keysOfOthers
    const wish = { name: `tenant-${at}`, keys, upstream: upstream.url }
    tenants.push(await makeTenant(db, masterKey, replicas[at % replicas.length]!.url, wish))
  }
  say(`${tenants.length} tenants have ${tenants.reduce((all, { keys }) => all + keys, 0)} keys`)
  const house: House = { tenants, gateways: [], replicas, folder }
  for (let at = 0; at < size.gateways; at++) await addGateway(house, tenants[at < size.tenants ? at : 0]!, undo)
  say(`${house.gateways.length} gateways serve`)
  return house
}

/** Each gateway has its own way to the control plane, on which every connection may reach another replica. */
async function addGateway(house: House, tenant: ProofTenant, undo: (() => unknown)[]): Promise<Gateway> {
  const relay = unrulyRelay(house.replicas.map(({ url }) => url))
  const dataDir = join(house.folder, `gateway-${house.gateways.length}`)
  const { planeToken } = tenant
  const gateway = await startGateway({ dataDir, planeToken, relay, secret: tenant.key(1).secret })
  undo.push(() => gateway.stop())
  house.gateways.push({ gateway, tenant })
  return gateway
}

/** Instances that are added to a running fleet, one of the largest tenant among them. */
async function freshInstances(house: House, undo: (() => unknown)[], checks: Checks): Promise<number[]> {
  const served: number[] = []
  for (const tenant of house.tenants.slice(0, 3)) {
    const { servedAfterMs } = await addGateway(house, tenant, undo)
    served.push(servedAfterMs)
    checks.that(
      servedAfterMs < firstServedMsMax,
      `a new instance of a tenant with ${tenant.keys} keys served after ${Math.round(servedAfterMs)} ms`,
    )
  }
  return served
}

async function takeSnapshot(house: House): Promise<Taken> {
  const [tenant] = house.tenants as [ProofTenant]
  const program = join(root, 'test/prove/parts/snapshot-taker.ts')
  const child = Bun.spawn([process.execPath, program, join(house.folder, 'taker'), house.replicas[0]!.url], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...cleanEnvironment(), SLUICE_PLANE_TOKEN: tenant.planeToken },
  })
  return JSON.parse(await new Response(child.stdout).text()) as Taken
}

/** Delays, overtaking and duplicates on every link, and again and again one of them cut. */
function beginStorm(house: House): () => void {
  for (const { gateway } of house.gateways) gateway.relay.weather = storm
  const cutting = setInterval(() => {
    house.gateways[Math.floor(Math.random() * house.gateways.length)]!.gateway.relay.cut()
  }, cutEveryMs)
  return () => {
    clearInterval(cutting)
    for (const { gateway } of house.gateways) gateway.relay.weather = calm
  }
}

type Round = (house: House, tenant: ProofTenant, url: string, round: number, checks: Checks) => Promise<number>

/** Rounds over all tenants in turn and both replicas; half of them at the tenant with most gateways. */
async function changes(house: House, rounds: number, checks: Checks, change: Round): Promise<number[]> {
  const took: number[] = []
  for (let round = 0; round < rounds; round++) {
    const tenant = house.tenants[round % 2 === 0 ? 0 : ((round + 1) / 2) % house.tenants.length]!
    const { url } = house.replicas[round % house.replicas.length]!
    took.push(await change(house, tenant, url, round, checks))
  }
  return took
}

const revokeDocument = `mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { errors { path message } } }`

/** The first key of every tenant stays; each round revokes one of the others. */
const revokedIn = (tenant: ProofTenant, round: number) => tenant.key(2 + round)

const revokeRound: Round = async (house, tenant, url, round, checks) => {
  const { secret, name } = revokedIn(tenant, round)
  const serving = house.gateways.filter((each) => each.tenant === tenant).map(({ gateway }) => gateway)
  for (const gateway of serving)
    checks.equal(`status of ${name} before it is revoked`, await showModel(gateway.url, secret, 'small'), 200)
  await ask(url, tenant.adminToken, revokeDocument, { input: { apiKey: name, reason: 'proof' } })
  const tookMs = await everywhere(serving, async (gateway) => (await showModel(gateway.url, secret, 'small')) === 401)
  checks.that(
    tookMs <= inForceMsMax,
    `${name} (${tenant.keys} keys) was refused everywhere after ${Math.round(tookMs)} ms`,
  )
  return tookMs
}

/** By turns an alias is added and archived. */
const configRound: Round = async (house, tenant, url, round, checks) => {
  const serving = house.gateways.filter((each) => each.tenant === tenant).map(({ gateway }) => gateway)
  const { secret } = tenant.key(1)
  const wanted = aliasesOf.get(tenant)?.isThere ? 404 : 200
  const name = wanted === 200 ? `round-${round}` : aliasesOf.get(tenant)!.name
  aliasesOf.set(tenant, { name, isThere: wanted === 200 })
  if (wanted === 200) await declare(url, tenant.adminToken, [{ alias: { name, model: 'model/small' } }])
  else await archive(url, tenant.adminToken, `alias/${name}`)
  const tookMs = await everywhere(serving, async (gateway) => (await showModel(gateway.url, secret, name)) === wanted)
  const change = wanted === 200 ? 'added' : 'archived'
  checks.that(
    tookMs <= inForceMsMax,
    `alias ${name} (${tenant.keys} keys) was ${change} everywhere after ${Math.round(tookMs)} ms`,
  )
  return tookMs
}
const aliasesOf = new Map<ProofTenant, { name: string; isThere: boolean }>()

/**
 * How long it takes from now until something holds on the last of these gateways. One whose link was cut counts from the moment
 * when its next link is open: until then it is not connected.
 */
async function everywhere(gateways: Gateway[], holds: (gateway: Gateway) => Promise<boolean>): Promise<number> {
  const answeredMs = performance.now()
  const took = gateways.map(async (gateway) => {
    while (performance.now() - answeredMs < giveUpMs) {
      if (await holds(gateway)) return performance.now() - Math.max(answeredMs, gateway.relay.openSinceMs ?? 0)
      await Bun.sleep(10)
    }
    return giveUpMs
  })
  return Math.max(...(await Promise.all(took)))
}

/** No late or repeated message gives a key back. */
async function checkRevokedStay(house: House, checks: Checks, rounds: number): Promise<void> {
  for (const { gateway, tenant } of house.gateways) {
    checks.equal('status of a key that was never revoked', await chat(gateway.url, tenant.key(1).secret), 200)
    for (let round = 0; round < rounds; round++) {
      const own = house.tenants[round % 2 === 0 ? 0 : ((round + 1) / 2) % house.tenants.length]
      if (own !== tenant) continue
      const status = await showModel(gateway.url, revokedIn(tenant, round).secret, 'small')
      checks.equal(`status of a key that was revoked in round ${round}`, status, 401)
    }
  }
}

/** What a gateway says of refused snapshots or records would be a fault of the link; a fetch may end with the link that was cut. */
async function noticeFaults(gateway: Gateway, checks: Checks): Promise<void> {
  const fetches = gateway.lines.filter((line) => line.includes('could not be fetched'))
  const faults = gateway.lines.filter((line) => line.includes(' error: '))
  const unexplained = fetches.slice(gateway.relay.counts.cuts)
  for (const line of [...faults, ...unexplained]) checks.that(false, `a gateway said: ${line.slice(0, 300)}`)
}

/** The longest lag of each gateway's event loop since this was last asked, as its own metrics tell it. */
function lagMs({ gateways }: House): Promise<number[]> {
  return Promise.all(
    gateways.map(async ({ gateway }) => {
      const metrics = await (await fetch(new URL('/metrics', gateway.ops))).text()
      return 1_000 * Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(metrics)?.[1] ?? Number.NaN)
    }),
  )
}

/** Asks each control plane for next to nothing all the time: the longest answer is how long its event loop stood still. */
function watchReplicas(replicas: Replica[]): { end(): number } {
  let running = true
  let longestMs = 0
  const watch = async (url: string) => {
    while (running) {
      const beganMs = performance.now()
      await fetch(`${url}/plane/v1/none`).then((answer) => answer.arrayBuffer())
      longestMs = Math.max(longestMs, performance.now() - beganMs)
      await Bun.sleep(20)
    }
  }
  for (const { url } of replicas) void watch(url).catch(() => {})
  return {
    end() {
      running = false
      return longestMs
    },
  }
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
const summary = (values: number[]) =>
  `median ${Math.round(median(values))} ms, longest ${Math.round(Math.max(...values))} ms`

function residentMb(pid: number): number {
  const pages = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(pages) / 1024)
}
