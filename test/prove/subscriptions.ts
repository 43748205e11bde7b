import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAmount } from '../../schema/money.ts'
import { residentMb } from '../bench/process-figures.ts'
import { percentile } from '../bench/statistics.ts'
import { postgres } from '../real/postgres.ts'
import { cleanEnvironment, root } from './parts/environment.ts'
import type { FollowerOrders, FollowerReport, FollowerSum } from './parts/followers-main.ts'
import { declare } from './parts/link-tenants.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import type { SourceLine, SourceOrders } from './parts/record-source-main.ts'
import { ask, type Replica, startReplicas } from './parts/replicas.ts'

const sizes = { quick: { seconds: 20 }, default: { seconds: 60 }, full: { seconds: 600 } }
const perS = 2_000
const clients = 500
const processes = 2
/** Streams of one key are bounded. */
const keys = 20
const instances = 2
/** From a record's acknowledgement to its sum on a screen: what is called live. */
const freshMsMax = 5_000

const proof: Proof = {
  shows: `live spend on ${clients} screens while ${perS} records a second arrive: nothing twice, nothing missed, over any cut`,
  async run(options) {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-subscriptions-'))
    const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
    try {
      return await prove(folder, undo, options)
    } finally {
      for (const end of undo.reverse()) await end()
    }
  },
}
export default proof

/** The same points, cut in four ways. */
const series = [
  { interval: 'TOTAL', groupBy: [] },
  { interval: 'TOTAL', groupBy: ['PROJECT'] },
  { interval: 'MINUTE', groupBy: ['PROJECT', 'API_KEY', 'MODEL'] },
  { interval: 'HOUR', groupBy: ['MODEL'] },
]
const subscriptionOf = ({ interval, groupBy }: (typeof series)[number]) => `
  subscription Ticks($after: Cursor) {
    spendTicks(interval: ${interval}, groupBy: [${groupBy}], after: $after) {
      cursor at groups { key { dimension value resource { name } } points { at cost { amount } requests refused failed tokens } }
    }
  }`

async function prove(folder: string, undo: (() => unknown)[], { length, say }: ProofOptions) {
  const { seconds } = sizes[length]
  const checks = new Checks()
  const server = await postgres({ fast: true })
  undo.push(() => server.stop())
  const { replicas } = await startReplicas(server.url, folder, 1)
  const [plane] = replicas as [Replica]
  undo.push(() => plane.process.stop())
  say(`a control plane runs on PostgreSQL ${server.version}`)
  const { orders, tokens, after } = await prepare(plane.url, folder)
  const share = Math.ceil(clients / processes)
  const followers = await Promise.all(
    Array.from({ length: processes }, () =>
      startFollowers({
        ...{ url: plane.url, tokens, after, clients: share, documents: series.map(subscriptionOf) },
        ...{ firstCutMs: seconds * 800, cutEveryMs: 20_000 },
      }),
    ),
  )
  undo.push(() => followers.map(({ child }) => child.kill()))
  say(`${clients} clients follow`)
  const loop = watchLoop(plane.url)
  const sent = await runSource({ ...orders, perS, seconds })
  const tookS = (sent.at(-1)!.atMs - sent[0]!.atMs) / 1_000
  const total = perS * seconds
  checks.equal('records that were acknowledged', sent.at(-1)?.acknowledged, total)
  say(`${total} records were delivered in ${tookS.toFixed(1)} s`)
  const reports = await Promise.all(followers.map(({ finish }) => finish(total)))
  const pauses = loop.end()
  await compare(plane.url, tokens[0]!, reports, total, checks)
  const lags = reports.flatMap(({ lagsMs }) => lagsMs)
  const ages = reports.flatMap(({ seen }) => agesOf(seen, sent))
  checks.that(
    percentile(ages, 0.99) <= freshMsMax,
    `what was seen was up to ${Math.round(percentile(ages, 0.99))} ms old`,
  )
  return {
    figures: {
      clients,
      records: total,
      recordsPerS: Math.round(total / tookS),
      ticks: reports.reduce((sum, { ticks }) => sum + ticks, 0),
      cuts: reports.reduce((sum, { cuts }) => sum + cuts, 0),
      fanOutP50Ms: Math.round(percentile(lags, 0.5)),
      fanOutP99Ms: Math.round(percentile(lags, 0.99)),
      ageP50Ms: Math.round(percentile(ages, 0.5)),
      ageP99Ms: Math.round(percentile(ages, 0.99)),
      loopP99Ms: Math.round(percentile(pauses, 0.99)),
      loopMaxMs: Math.round(Math.max(...pauses)),
      controlPlaneMb: Math.round(residentMb(plane.process.pid)),
    },
    short: checks.short,
  }
}

const issueDocument = `mutation ($input: ApiKeyIssueInput!) {
  apiKeyIssue(input: $input) { errors { path message } secret apiKey { id } }
}`
const enrollDocument = `mutation ($input: DataPlaneEnrollInput!) {
  dataPlaneEnroll(input: $input) { errors { path message } enrollmentToken dataPlane { id } }
}`

/** Projects, models and keys to attribute to, keys for the clients, tokens for the instances, and where the series begin. */
async function prepare(url: string, folder: string) {
  const admin = readFileSync(join(folder, 'control-plane-0/admin-token'), 'utf8').trim()
  const names = ['one', 'two', 'three', 'four', 'five']
  await declare(url, admin, [
    { team: { name: 'sales' } },
    {
      provider: { name: 'scripted', platform: 'OPENAI_COMPATIBLE', baseUrl: 'http://127.0.0.1:9/v1', selfHosted: true },
    },
    ...names.map((name) => ({ project: { name, team: 'team/sales', purpose: 'Proof' } })),
    ...names.map((name) => ({ model: { name, provider: 'provider/scripted', upstreamName: name } })),
  ])
  const idOf = async (ref: string) =>
    (await ask<{ resource: { id: string } }>(url, admin, `{ resource(ref: "${ref}") { id } }`)).resource.id
  const issued = await Promise.all(
    Array.from({ length: keys }, async (_, at) => {
      const input = { idempotencyKey: `k${at}`, kind: 'ADMIN', name: `screen-${at}`, principal: 'principal/owner' }
      const answer = await ask<{ apiKeyIssue: { secret: string; apiKey: { id: string } } }>(url, admin, issueDocument, {
        input,
      })
      return answer.apiKeyIssue
    }),
  )
  const enrolled = await ask<{ dataPlaneEnroll: { enrollmentToken: string; dataPlane: { id: string } } }>(
    ...[url, admin, enrollDocument, { input: { idempotencyKey: 'edge', name: 'edge', adapter: 'STANDALONE' } }],
  )
  const [{ tenant }, { spend }] = await Promise.all([
    ask<{ tenant: { id: string } }>(url, admin, '{ tenant { id } }'),
    ask<{ spend: { cursor: string } }>(url, admin, '{ spend(window: {}, interval: TOTAL) { cursor } }'),
  ])
  const orders = {
    ...{ url, tenant: tenant.id, dataPlane: enrolled.dataPlaneEnroll.dataPlane.id },
    tokens: Array.from({ length: instances }, () => enrolled.dataPlaneEnroll.enrollmentToken),
    projects: await Promise.all(names.map((name) => idOf(`project/${name}`))),
    models: await Promise.all(names.map((name) => idOf(`model/${name}`))),
    apiKeys: issued.slice(0, 4).map(({ apiKey }) => apiKey.id),
  }
  return { orders, tokens: issued.map(({ secret }) => secret), after: spend.cursor }
}

const spawn = (program: string) =>
  Bun.spawn([process.execPath, join(root, 'test/prove/parts', program)], {
    ...{ cwd: root, env: cleanEnvironment() },
    stdio: ['pipe', 'pipe', 'inherit'],
  })

async function startFollowers(orders: FollowerOrders) {
  const child = spawn('followers-main.ts')
  const lines = linesOf(child.stdout)
  child.stdin.write(`${JSON.stringify(orders)}\n`)
  const { value } = await lines.next()
  if (value !== 'ready') throw new Error('the clients did not come up; what they said is above')
  const finish = async (requests: number): Promise<FollowerReport> => {
    child.stdin.write(`${requests}\n`)
    child.stdin.end()
    return JSON.parse((await lines.next()).value ?? 'null')
  }
  return { child, finish }
}

async function runSource(orders: SourceOrders): Promise<SourceLine[]> {
  const child = spawn('record-source-main.ts')
  child.stdin.write(JSON.stringify(orders))
  child.stdin.end()
  const said: SourceLine[] = []
  for await (const line of linesOf(child.stdout)) said.push(JSON.parse(line))
  if ((await child.exited) !== 0) throw new Error('the record source failed; what it said is above')
  return said
}

/** Every client's sums are the query's, group by group and to the last digit. */
async function compare(url: string, token: string, reports: FollowerReport[], total: number, checks: Checks) {
  const wanted = await Promise.all(series.map((one) => queried(url, token, one)))
  const all = reports.flatMap((report) => report.clients)
  for (const [at, { sums, requests }] of wanted.entries()) {
    checks.equal(`requests of series ${at}`, requests, total)
    const wrong = all
      .filter(({ document }) => document === at)
      .map((client) => faultOf(client, sums, total))
      .filter((fault) => fault !== undefined)
    checks.that(wrong.length === 0, `${wrong.length} clients of series ${at} went wrong, such as one that ${wrong[0]}`)
  }
}

function faultOf(client: FollowerSum, sums: Map<string, string>, total: number): string | undefined {
  if (client.refused !== null) return `was refused: ${client.refused}`
  if (client.disordered > 0) return `was told ${client.disordered} events out of order`
  if (client.requests !== total) return `counted ${client.requests} requests instead of ${total}`
  const same = Object.entries(client.groups).every(([key, { cost }]) => cost === sums.get(key))
  return same && Object.keys(client.groups).length === sums.size ? undefined : 'has other sums than the query'
}

async function queried(url: string, token: string, { groupBy }: (typeof series)[number]) {
  const { spend } = await ask<{
    spend: { groups: { key: { value: string }[]; total: { amount: string }; points: { requests: number }[] }[] }
  }>(
    ...[url, token],
    `{ spend(window: {}, interval: TOTAL, groupBy: [${groupBy}], top: 1000) {
      groups { key { value } total { amount } points { requests } } } }`,
  )
  const sums = new Map(
    spend.groups.map(({ key, total }) => [key.map(({ value }) => value).join(' '), String(parseAmount(total.amount))]),
  )
  const requests = spend.groups.reduce(
    (sum, group) => sum + group.points.reduce((all, one) => all + one.requests, 0),
    0,
  )
  return { sums, requests }
}

/** How long the control plane had had what a client saw last: since when it had acknowledged as many records. */
function agesOf(seen: [number, number][], sent: SourceLine[]): number[] {
  let at = 0
  return seen.flatMap(([requests, seenMs]) => {
    while (at < sent.length && sent[at]!.acknowledged < requests) at++
    return at < sent.length ? [Math.max(0, seenMs - sent[at]!.atMs)] : []
  })
}

/** Asks the control plane for next to nothing all the time: how long the answer takes is how long its event loop stood still. */
function watchLoop(url: string): { end(): number[] } {
  const took: number[] = []
  let running = true
  const watch = async () => {
    while (running) {
      const beganMs = performance.now()
      await fetch(`${url}/healthz`).then((answer) => answer.arrayBuffer())
      took.push(performance.now() - beganMs)
      await Bun.sleep(20)
    }
  }
  void watch().catch(() => {})
  return {
    end() {
      running = false
      return took
    },
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let text = ''
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString()
    const found = text.split('\n')
    text = found.pop()!
    yield* found
  }
}
