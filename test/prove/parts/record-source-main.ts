/** A process that plays instances of a fleet: records at a fixed rate over real links. Its orders are one line of JSON on stdin. */
import type { FlightRecord } from '../../../schema/flight-record.ts'
import { formatAmount } from '../../../schema/money.ts'
import { endAll, makeFolder, startPlaneWith } from '../../link/house.ts'
import { ChainSource } from './chain-source.ts'

export interface SourceOrders {
  url: string
  tenant: string
  tokens: string[]
  dataPlane: string
  perS: number
  seconds: number
  /** What records are attributed to, drawn at random. */
  projects: string[]
  models: string[]
  apiKeys: string[]
}

/** One line on stdout each 100 ms: how many there are, and how many the control plane has. */
export interface SourceLine {
  atMs: number
  made: number
  acknowledged: number
}

const stepMs = 10
const tellMs = 100

const orders: SourceOrders = JSON.parse(await new Response(Bun.stdin.stream()).text())
const sources = await Promise.all(orders.tokens.map(openSource))
const total = orders.perS * orders.seconds
let made = 0
const say = () => {
  const acknowledged = sources.reduce((sum, source) => sum + source.acknowledged, 0)
  console.log(JSON.stringify({ atMs: Date.now(), made, acknowledged } satisfies SourceLine))
  return acknowledged
}
say()
const beganMs = performance.now()
const telling = setInterval(say, tellMs)
while (made < total) {
  const due = Math.min(total, Math.floor(((performance.now() - beganMs) / 1_000) * orders.perS))
  const some = Array.from({ length: due - made }, draw)
  const share = Math.ceil(some.length / sources.length)
  for (const [at, source] of sources.entries()) source.append(some.slice(at * share, (at + 1) * share))
  made = due
  await Bun.sleep(stepMs)
}
while (sources.some(({ backlog }) => backlog > 0)) await Bun.sleep(stepMs)
clearInterval(telling)
say()
await endAll()
const refusals = sources.reduce((sum, source) => sum + source.refusals, 0)
process.exit(refusals === 0 ? 0 : 1)

async function openSource(token: string): Promise<ChainSource> {
  const { url, tenant, dataPlane } = orders
  const source = new ChainSource(tenant)
  const plane = await startPlaneWith({ url, tenant, token, dataDir: makeFolder() }, async () => source)
  const { epoch } = await plane.link.opened()
  source.openChain({ instance: plane.identity.instance, dataPlane }, epoch!)
  return source
}

function draw(): Partial<FlightRecord> {
  const one = <T>(list: T[]): T => list[Math.floor(Math.random() * list.length)]!
  const quantity = 1 + Math.floor(Math.random() * 5_000)
  const cost = formatAmount(BigInt(quantity) * 150_001n + BigInt(Math.floor(Math.random() * 1e9)))
  return {
    ...{ at: Date.now(), project: one(orders.projects), model: one(orders.models), apiKey: one(orders.apiKeys), cost },
    meters: [{ meter: 'INPUT_TOKENS', quantity, unitPrice: '0', cost, source: 'REPORTED' }] as never,
  }
}
