import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { canonicalRecord, chainStart, type FlightRecord, recordHash } from '../../schema/flight-record.ts'
import type { Kind } from '../../schema/handles.ts'
import { mintId } from '../../schema/ids.ts'
import { formatAmount } from '../../schema/money.ts'
import { openDatabase } from '../db/database.ts'
import { type Actor, authenticate } from './actor.ts'
import { type Applied, apply } from './apply.ts'
import type { Context } from './context.ts'
import { createTenant } from './installation.ts'
import { dataPlaneEnroll, openEpoch, redeemToken } from './planes.ts'
import { findResource } from './resources.ts'
import { openStreams } from './streams.ts'
import { openVault } from './vault.ts'

/** A control plane's domain on a PGlite of its own, whose clock stands still until it is moved. For tests. */
export interface TestContext extends Context {
  clock: { now(): number; nowMs: number }
  stop(): Promise<void>
}

export const testStartMs = Date.parse('2026-11-22T12:00:00.000Z')

/** On PGlite in memory, or the server that SLUICE_TEST_DATABASE_URL names; null = PGlite of its own in any case. */
export async function testContext(
  url: string | null = process.env.SLUICE_TEST_DATABASE_URL ?? null,
): Promise<TestContext> {
  const db = await openDatabase({ dataDir: 'memory://', url: url ?? undefined })
  const clock = {
    nowMs: testStartMs,
    now() {
      return this.nowMs
    },
  }
  const streams = openStreams({ db, clock })
  const stop = async () => {
    await streams.close()
    await db.close()
  }
  // Without a sequencer a payload's cursor would only be waited for; tests of streams use the real one.
  const impatient = { ...streams, auditPosition: async () => null }
  return { db, clock, vault: openVault('a master key for tests, 32 characters'), streams: impatient, stop }
}

let names = 0

/** A tenant of its own for each test, with its owner. */
export async function testTenant(ctx: Context): Promise<{ owner: Actor; adminToken: string }> {
  const name = `tenant-${++names}-${randomBytes(4).toString('hex')}`
  const created = await createTenant(ctx, { idempotencyKey: name, name })
  const owner = await authenticate(ctx, created.adminToken!)
  return { owner: owner!, adminToken: created.adminToken! }
}

/** Applies at the newest revision. */
export async function declareAll(
  ctx: Context,
  actor: Actor,
  resources: [Kind, Record<string, unknown>][],
): Promise<Applied> {
  const dry = await apply(ctx, actor, { resources: [], ifRevision: 0, dryRun: true })
  const given = resources.map(([kind, input]) => ({ kind, input }))
  return apply(ctx, actor, { resources: given, ifRevision: dry.revision, dryRun: false })
}

/** Request labels that may have any value. */
export async function declareLabels(ctx: Context, actor: Actor, ...keys: string[]): Promise<void> {
  const tenant = await ctx.db.withTenant(actor.tenant, (tx) => findResource(tx, actor.tenant, actor.tenant))
  const requestLabels = keys.map((key) => ({ key }))
  const applied = await declareAll(ctx, actor, [['tenant', { name: tenant!.name, requestLabels }]])
  if (applied.errors.length > 0) throw new Error(JSON.stringify(applied.errors))
}

/** A small working configuration: provider, credential, model, alias, prices, team, project. */
export const smallConfig: [Kind, Record<string, unknown>][] = [
  ['provider', { name: 'openai', platform: 'OPENAI', baseUrl: 'https://api.openai.com/v1' }],
  ['credential', { name: 'openai-key', provider: 'provider/openai' }],
  ['model', { name: 'small', provider: 'provider/openai', upstreamName: 'small-1' }],
  ['alias', { name: 'chat', model: 'model/small' }],
  [
    'priceSheet',
    {
      name: 'list',
      lines: [{ model: 'model/small', meter: 'INPUT_TOKENS', amount: '0.15', per: 1_000_000 }],
    },
  ],
  ['team', { name: 'support' }],
  ['project', { name: 'bot', team: 'team/support' }],
]

export interface TestInstance {
  instance: string
  dataPlane: string
  tenant: string
  epoch: number
}

/** An enrolled instance with an open link. */
export async function testInstance(ctx: Context, owner: Actor, name = 'edge'): Promise<TestInstance> {
  const key = randomBytes(8).toString('hex')
  const enrolled = await dataPlaneEnroll(ctx, owner, { idempotencyKey: key, name, adapter: 'STANDALONE' })
  const redeemed = await redeemToken(ctx, { token: enrolled.enrollmentToken!, ...instanceKeys() })
  if ('refused' in redeemed) throw new Error(redeemed.refused)
  const epoch = await openEpoch(ctx, redeemed.instance, { bootId: 'b', host: 'h', version: '1' })
  return { ...redeemed, tenant: owner.tenant, epoch }
}

export function instanceKeys() {
  const { publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return { signingKey: publicKey, encryptionKey: `age1${'q'.repeat(58)}`, host: 'h', version: '1' }
}

/** Writes records of one chain, each continuing the one before. */
export class TestChain {
  readonly #of: TestInstance
  #sequence = 0
  #previousHash = chainStart

  constructor(of: TestInstance) {
    this.#of = of
  }

  next(fields: Partial<FlightRecord> & { costUnits?: bigint } = {}): string {
    const { costUnits = 1_000_000n, ...given } = fields
    const { tenant, instance, epoch, dataPlane } = this.#of
    const place = { tenant, instance, epoch, dataPlane, sequence: this.#sequence, previousHash: this.#previousHash }
    const record = { ...blank(), cost: formatAmount(costUnits), ...given, ...place }
    const sorted = Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
    const text = canonicalRecord(sorted as unknown as FlightRecord)
    this.#sequence += 1
    this.#previousHash = recordHash(text)
    return text
  }
}

function blank(): Omit<FlightRecord, 'tenant' | 'instance' | 'epoch' | 'dataPlane' | 'sequence' | 'previousHash'> {
  const none = { aliasId: null, apiKey: null, bundleSequence: null, finishReason: null, humanOverride: null }
  const alsoNone = { incident: null, model: null, parent: null, priceSheet: null, principal: null, project: null }
  const stillNone = { provider: null, refusal: null, region: null, routeReason: null, task: null, team: null }
  return {
    ...none,
    ...alsoNone,
    ...stillNone,
    ...{ tier: null, traceId: null, schemaVersion: 1, version: '1', status: 200, streamed: false },
    ...{ alias: 'chat', at: testStartMs, attempts: [], authMethod: 'api_key', bootId: 'b', clientDisconnected: false },
    ...{ configDigest: '0'.repeat(64), cost: '0', currency: 'USD', decisions: [], dialect: 'OPENAI_CHAT' },
    ...{ id: mintId('request'), level: 'STANDARD', lossy: [], meters: [], monotonicMs: 0, outcome: 'COMPLETED' },
    payload: { mode: 'NONE', request: null, requestKey: null, response: null, responseKey: null },
    ...{ postings: [], requestLabels: {}, reserved: '0', revision: 1, snapshotAgeMs: 0 },
    timing: { firstTokenMs: null, gatewayMs: 1, totalMs: 10 },
  }
}
