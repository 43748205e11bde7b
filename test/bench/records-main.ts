/** A control plane on PostgreSQL for the bench: takes batches of records as fast as it can, or a few while clients follow live spend. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../control-plane/db/database.ts'
import { type Actor, authenticate } from '../../control-plane/domain/actor.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { acceptRecords } from '../../control-plane/domain/ingest.ts'
import { numberPending } from '../../control-plane/domain/sequencer.ts'
import { TestChain, type TestInstance, testInstance } from '../../control-plane/domain/test-context.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { startControlPlane } from '../../control-plane/main.ts'
import { systemClock } from '../../schema/clock.ts'
import { mintId } from '../../schema/ids.ts'
import { leaseLoad } from './lease-load.ts'

const masterKey = 'a master key for the bench, 32 characters'
const dataDir = process.env.BENCH_DATA_DIR!
const databaseUrl = process.env.BENCH_DATABASE_URL!
/** While clients follow: so many records at a time, so many times a second. */
const trickle = { records: 100, perS: 10 }

const plane = await startControlPlane({
  ...{ dataDir, databaseUrl, masterKey, host: '127.0.0.1', port: 0, clock: systemClock },
  log: (level, sentence) => level !== 'info' && console.error(sentence),
})
if ('refused' in plane) throw new Error(plane.refused)
const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
const db = await openDatabase({ url: databaseUrl, dataDir })
const streams = { auditPosition: async () => null } as never
const ctx: Context = { db, clock: systemClock, vault: openVault(masterKey), streams }
const owner = (await authenticate(ctx, token)) as Actor
const projects = Array.from({ length: 20 }, () => mintId('project'))

interface Line {
  edge: TestInstance
  chain: TestChain
  from: number
}
let names = 0
async function line(): Promise<Line> {
  const edge = await testInstance(ctx, owner, `edge-${names++}`)
  return { edge, chain: new TestChain(edge), from: 0 }
}

const batchOf = (one: Line, size: number) => {
  const records = Array.from({ length: size }, (_, at) =>
    one.chain.next({ at: Date.now(), project: projects[at % projects.length]! }),
  )
  const batch = { tenant: one.edge.tenant, epoch: one.edge.epoch, from: one.from, records }
  one.from += size
  return batch
}

/** Time and CPU of this process for taking and numbering records that were made before. */
async function ingest(size: number, records: number) {
  const one = await line()
  const batches = Array.from({ length: Math.ceil(records / size) }, () => batchOf(one, size))
  const beganMs = performance.now()
  const before = process.cpuUsage()
  for (const batch of batches) await acceptRecords(ctx, one.edge.instance, batch)
  while ((await numberPending(ctx, owner.tenant)) !== 'DONE') await Bun.sleep(5)
  const { user, system } = process.cpuUsage(before)
  return { records: batches.length * size, tookMs: performance.now() - beganMs, cpuUs: user + system }
}

let trickling: ReturnType<typeof setInterval> | undefined
async function follow(on: boolean) {
  clearInterval(trickling)
  if (!on) return
  const one = await line()
  let last = Promise.resolve<unknown>(undefined)
  trickling = setInterval(() => {
    const batch = batchOf(one, trickle.records)
    last = last.then(() => acceptRecords(ctx, one.edge.instance, batch))
  }, 1_000 / trickle.perS)
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 120,
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/follow') return Response.json(await follow(searchParams.get('on') === 'true').then(() => null))
    if (pathname === '/leases') return Response.json(await leaseLoad(ctx, owner, Number(searchParams.get('ms'))))
    return Response.json(await ingest(Number(searchParams.get('size')), Number(searchParams.get('records'))))
  },
})
console.log(JSON.stringify({ url: plane.url, orders: server.url.href.slice(0, -1), token }))
