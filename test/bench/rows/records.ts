import { postgres } from '../../real/postgres.ts'
import { type Bed, loadCore, pin, type Subject, startMain, subjectCore } from '../bed.ts'
import { cpuSeconds } from '../process-figures.ts'
import type { Row, Sample } from '../row.ts'
import { percentile } from '../statistics.ts'

const recordsPerRoundS = 4_000
const followers = 200
const followersPerKey = 100

/** A control plane on one core, its PostgreSQL on the other. */
export async function controlPlane(bed: Bed): Promise<Subject & { databasePid: number }> {
  const server = await bed.server(() => postgres({ fast: true }))
  const subject = await bed.subject('control plane that takes records', async () => {
    await pin(server.pid(), loadCore)
    const { started, said } = await startMain('records-main.ts', subjectCore, {
      BENCH_DATABASE_URL: server.url,
      BENCH_DATA_DIR: bed.folder('control-plane'),
    })
    return { started, subject: { url: said.url as string, headers: {}, model: '', said } }
  })
  return { ...subject, databasePid: server.pid() }
}

/** Records a second that one control plane takes and numbers, in batches of a size, with one chain. */
async function ingest(bed: Bed, size: number): Promise<Sample> {
  const { said, databasePid } = await controlPlane(bed)
  const records = recordsPerRoundS * bed.length.roundS
  const before = cpuSeconds(databasePid)
  const answer = await fetch(`${said.orders}/ingest?size=${size}&records=${records}`)
  const taken = (await answer.json()) as { records: number; tookMs: number; cpuUs: number }
  const databaseUs = ((cpuSeconds(databasePid) - before) * 1e6) / taken.records
  return {
    perS: (taken.records * 1_000) / taken.tookMs,
    cpuUs: taken.cpuUs / taken.records,
    note: `PostgreSQL itself ${Math.round(databaseUs)} µs a record`,
  }
}

const document = `subscription { spendTicks(interval: MINUTE, groupBy: [PROJECT]) {
  cursor at groups { key { value } points { at cost { amount } requests tokens } } } }`

/** Ticks of live spend to many clients that follow the same series, and what one costs. */
async function fanOut(bed: Bed): Promise<Sample> {
  const { url, said, pid } = await controlPlane(bed)
  const tokens = await bed.once('follower keys', () => issueKeys(url, said.token as string))
  const ending = new AbortController()
  const lagsMs: number[] = []
  const opened = Array.from({ length: followers }, async (_, at) => {
    const response = await follow(url, tokens[at % tokens.length]!, ending.signal)
    void listen(response, lagsMs).catch(() => {})
  })
  await Promise.all(opened)
  await fetch(`${said.orders}/follow?on=true`)
  await Bun.sleep(1_000)
  lagsMs.length = 0
  const before = cpuSeconds(pid)
  const beganMs = performance.now()
  await Bun.sleep(bed.length.roundS * 1_000)
  const events = lagsMs.slice()
  const cpuUs = ((cpuSeconds(pid) - before) * 1e6) / events.length
  const perS = (events.length * 1_000) / (performance.now() - beganMs)
  await fetch(`${said.orders}/follow?on=false`)
  ending.abort()
  return { perS, cpuUs, p50Ms: percentile(events, 0.5), p99Ms: percentile(events, 0.99) }
}

async function issueKeys(url: string, token: string): Promise<string[]> {
  const issue = async (at: number) => {
    const input = `{ idempotencyKey: "${at}", kind: ADMIN, name: "follower-${at}", principal: "principal/owner" }`
    const answer = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query: `mutation { apiKeyIssue(input: ${input}) { errors { message } secret } }` }),
    })
    const { data } = (await answer.json()) as { data: { apiKeyIssue: { secret: string } } }
    return data.apiKeyIssue.secret
  }
  return Promise.all(Array.from({ length: Math.ceil(followers / followersPerKey) }, (_, at) => issue(at)))
}

function follow(url: string, token: string, signal: AbortSignal): Promise<Response> {
  return fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: document }),
    signal,
  })
}

async function listen(response: Response, lagsMs: number[]): Promise<void> {
  const decoder = new TextDecoder()
  for await (const chunk of response.body!)
    for (const [, at] of decoder
      .decode(chunk)
      .matchAll(/^data: \{"data":\{"spendTicks":\{"cursor":"[^"]+","at":"([^"]+)"/gm))
      lagsMs.push(Date.now() - Date.parse(at!))
}

const ingestRow = (size: number): Row => ({
  name: `records-${size}`,
  title: `Records on PostgreSQL, batches of ${size}`,
  measure: (bed) => ingest(bed, size),
  ...(size === 500 && { target: { text: '≥ 2,000/s', met: ({ perS }) => perS! >= 2_000 } }),
})

export const recordRows: Row[] = [
  ingestRow(500),
  ingestRow(50),
  { name: 'fan-out', title: `Live spend to ${followers} clients, a tick`, measure: fanOut },
]
