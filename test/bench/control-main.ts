import { openDatabase } from '../../control-plane/db/database.ts'
import { snapshot, snapshotPart } from '../../control-plane/db/tables.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { initialise } from '../../control-plane/domain/installation.ts'
import { apiKeyIssue, apiKeyRevoke } from '../../control-plane/domain/keys.ts'
import { dataPlaneEnroll } from '../../control-plane/domain/planes.ts'
import { snapshotOf } from '../../control-plane/domain/snapshots.ts'
import { declareAll, smallConfig, testTenant } from '../../control-plane/domain/test-context.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { planeRoutes } from '../../control-plane/link/routes.ts'
import { makeTrustRoot } from '../../control-plane/link/trust.ts'
import { copyKey } from '../prove/parts/link-tenants.ts'
import { watchLoop } from '../prove/parts/loop-watch.ts'

/**
 * A control plane as its own process: the product's domain and link on the PostgreSQL of BENCH_DATABASE_URL, with one tenant of
 * BENCH_KEYS keys. POST `/whole` compiles it from the beginning, `/next` after one key was revoked, both with what that took;
 * `/change` only revokes one. Prints one line of JSON when it listens.
 */
const env = process.env
const db = await openDatabase({ url: env.BENCH_DATABASE_URL!, dataDir: '' })
const streams = { auditPosition: async () => null } as never
const ctx: Context = {
  db,
  clock: { now: Date.now },
  vault: openVault('a master key for the bench, long enough'),
  streams,
}
const installation = await initialise(ctx, { makeTrustRoot })
if ('refused' in installation) throw new Error(installation.refused)
const { owner } = await testTenant(ctx)
await declareAll(ctx, owner, smallConfig)
const pattern = { kind: 'APPLICATION' as const, name: 'pattern', principal: owner.principal!, project: 'project/bot' }
const issued = await apiKeyIssue(ctx, owner, { idempotencyKey: 'pattern', ...pattern })
await copyKey(db, owner.tenant, issued.apiKey!.id, Number(env.BENCH_KEYS))
const enrolled = await dataPlaneEnroll(ctx, owner, { idempotencyKey: 'edge', name: 'edge', adapter: 'STANDALONE' })

let revoked = 0
const revokeNext = () => apiKeyRevoke(ctx, owner, { apiKey: `api-key/bulk-${++revoked}`, reason: 'bench' })

async function compiled() {
  const watch = watchLoop()
  const [cpu, beganMs] = [process.cpuUsage(), performance.now()]
  const { manifest } = await snapshotOf(ctx, owner.tenant)
  const tookMs = performance.now() - beganMs
  const { user, system } = process.cpuUsage(cpu)
  const { parts } = JSON.parse(manifest.toString()) as { parts: { bytes: number }[] }
  const bytes = parts.reduce((sum, part) => sum + part.bytes, manifest.byteLength)
  return { tookMs, cpuUs: user + system, pauseMs: (await watch.end()).workMs, bytes, parts: parts.length }
}

const acts: Record<string, () => Promise<unknown>> = {
  '/whole': async () => {
    await db.withTenant(owner.tenant, async (tx) => {
      await tx.delete(snapshot)
      await tx.delete(snapshotPart)
    })
    return compiled()
  },
  '/next': async () => {
    await snapshotOf(ctx, owner.tenant)
    await revokeNext()
    return compiled()
  },
  '/change': revokeNext,
}

const routes = planeRoutes({ ctx, installation, log: (_, sentence) => console.error(sentence) })
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  idleTimeout: 120,
  fetch: async (request, own) => {
    const act = acts[new URL(request.url).pathname]
    return act ? Response.json((await act()) ?? null) : ((await routes.fetch(request, own as never)) as Response)
  },
  websocket: routes.websocket as never,
})
console.log(JSON.stringify({ url: server.url.origin, planeToken: enrolled.enrollmentToken }))
