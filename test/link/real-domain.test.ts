import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { credentialSecrets } from '../../adapters/ports/secrets-credentials.ts'
import { type Database, openDatabase } from '../../control-plane/db/database.ts'
import { flightRecord } from '../../control-plane/db/tables.ts'
import { type Actor, authenticate } from '../../control-plane/domain/actor.ts'
import { apply } from '../../control-plane/domain/apply.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { credentialSet } from '../../control-plane/domain/credentials.ts'
import { createTenant, type Installation, initialise } from '../../control-plane/domain/installation.ts'
import { apiKeyIssue, apiKeyRevoke } from '../../control-plane/domain/keys.ts'
import { dataPlaneEnroll } from '../../control-plane/domain/planes.ts'
import { snapshotOf } from '../../control-plane/domain/snapshots.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { linkDomain } from '../../control-plane/link/domain.ts'
import { makeTrustRoot } from '../../control-plane/link/trust.ts'
import type { RecordDraft } from '../../data-plane/record.ts'
import { isUnpriced, ratesFor } from '../../data-plane/snapshot/rates.ts'
import { mintId } from '../../schema/ids.ts'
import { hashKey } from '../../schema/key-table.ts'
import { endAll, makeFolder, type Plane, startControlPlane, startPlane, startPlaneWith, until } from './house.ts'

let db: Database
let ctx: Context
let installation: Installation
let actor: Actor

beforeAll(async () => {
  db = await openDatabase({ dataDir: makeFolder() })
  // Nothing here follows a stream; the log is numbered elsewhere.
  ctx = {
    db,
    clock: { now: Date.now },
    vault: openVault('a master key for tests, long enough'),
    streams: { auditPosition: async () => null } as never,
  }
  const opened = await initialise(ctx, { makeTrustRoot })
  if ('refused' in opened) throw new Error(opened.refused)
  installation = opened
  const created = await createTenant(ctx, { idempotencyKey: 'tenant', name: 'acme' })
  expect(created.errors).toEqual([])
  actor = (await authenticate(ctx, created.adminToken!))!
})

afterAll(async () => {
  await endAll()
  await db?.close()
})

const revision = async () => (await snapshotOf(ctx, actor.tenant)).revision
const declare = async (...resources: Parameters<typeof apply>[2]['resources']) => {
  const applied = await apply(ctx, actor, { resources, ifRevision: await revision(), dryRun: false })
  expect(applied.errors).toEqual([])
  return applied.revision
}
const issue = async (name: string) => {
  const issued = await apiKeyIssue(ctx, actor, {
    idempotencyKey: name,
    kind: 'APPLICATION',
    name,
    principal: actor.principal!,
    project: 'project/shop',
  })
  expect(issued.errors).toEqual([])
  return issued.secret!
}
const lookup = (plane: Plane, key: string) => plane.store.current().lookupKey(hashKey(key))

describe('with the real domain', () => {
  it('what is declared reaches an enrolled plane, whole; a new key and a revocation follow at once', async () => {
    await declare(
      { kind: 'team', input: { name: 'sales' } },
      { kind: 'project', input: { name: 'shop', team: 'team/sales' } },
      { kind: 'provider', input: { name: 'openai', platform: 'OPENAI', baseUrl: 'https://api.example.test/v1' } },
      { kind: 'credential', input: { name: 'openai', provider: 'provider/openai', kind: 'API_KEY', source: 'STORED' } },
      { kind: 'model', input: { name: 'gpt-5', provider: 'provider/openai', upstreamName: 'gpt-5' } },
      { kind: 'alias', input: { name: 'gpt-5', model: 'model/gpt-5' } },
      {
        kind: 'priceSheet',
        input: {
          name: 'openai',
          lines: [{ model: 'model/gpt-5', meter: 'INPUT_TOKENS', amount: '1.25', per: 1_000_000 }],
        },
      },
    )
    const set = await credentialSet(ctx, actor, {
      idempotencyKey: 'secret',
      credential: 'credential/openai',
      secret: 'sk-real',
    })
    expect(set.errors).toEqual([])
    const before = await issue('before')
    const fleet = await dataPlaneEnroll(ctx, actor, { idempotencyKey: 'fleet', name: 'edge', adapter: 'STANDALONE' })
    expect(fleet.errors).toEqual([])

    const control = startControlPlane(linkDomain(ctx), installation)
    const plane = await startPlane({
      url: control.url,
      dataDir: makeFolder(),
      tenant: actor.tenant,
      token: fleet.enrollmentToken!,
    })
    await plane.link.opened()
    await until('the snapshot', () => lookup(plane, before))

    const { snapshot } = plane.store.current().tenants.get(actor.tenant)!
    const [target] = snapshot.findAlias('gpt-5')!.route.targets
    const rates = ratesFor(target!.model, Date.now())
    expect(isUnpriced(rates) ? rates : rates.standard.rates.get('INPUT_TOKENS')).toBe(1_250_000n)
    const credential = snapshot.credentials.find(({ source }) => source === 'STORED')!
    const secrets = credentialSecrets({
      sealedSecretOf: (of) => plane.store.sealedSecretOf(of),
      clock: performance as never,
    })
    const secret = secrets.secretOf(credential)
    expect('missing' in secret ? secret : secret.expose()).toBe('sk-real')

    const after = await issue('after')
    await until('the new key', () => lookup(plane, after))
    const revoked = await apiKeyRevoke(ctx, actor, { apiKey: 'api-key/before', reason: 'test' })
    expect(revoked.errors).toEqual([])
    await until('the revocation', () => lookup(plane, before)?.revoked)

    const changed = await declare({ kind: 'alias', input: { name: 'fast', model: 'model/gpt-5' } })
    await until(
      'the new revision',
      () => plane.store.current().tenants.get(actor.tenant)!.snapshot.revision === changed,
    )
    expect(plane.store.current().tenants.get(actor.tenant)!.snapshot.findAlias('fast')).toBeDefined()
    expect(lookup(plane, before)?.revoked).toBe(true)
    expect(control.said).toEqual([])
    expect(plane.said).toEqual([])
  })

  it('records of the real journal arrive once each and in order, over links that break', async () => {
    const fleet = await dataPlaneEnroll(ctx, actor, { idempotencyKey: 'again', name: 'edge', adapter: 'STANDALONE' })
    const control = startControlPlane(linkDomain(ctx), installation)
    const dataDir = makeFolder()
    const options = { url: control.url, dataDir, tenant: actor.tenant, token: fleet.enrollmentToken! }
    const plane = await startPlaneWith(options, (identity) =>
      JournalRecorder.open({ dataDir, identity: { ...identity, version: '0.1.0' } }),
    )
    await plane.link.opened()
    const record = (count: number) => Promise.all(Array.from({ length: count }, () => plane.journal.record(draft())))
    await record(700)
    await control.stop()
    await record(20)
    startControlPlane(linkDomain(ctx), installation, control.port)
    await until('the second link', () => plane.link.status().epoch === 2)
    await record(30)
    expect(await plane.link.flush(15_000)).toBe(true)
    await plane.stop()

    const mine = eq(flightRecord.instance, plane.identity.instance)
    const rows = await db.withTenant(actor.tenant, (tx) =>
      tx.select().from(flightRecord).where(mine).orderBy(flightRecord.epoch, flightRecord.sequence),
    )
    expect(rows.map(({ epoch, sequence }) => [epoch, sequence])).toEqual([
      ...Array.from({ length: 720 }, (_, sequence) => [1, sequence]),
      ...Array.from({ length: 30 }, (_, sequence) => [2, sequence]),
    ])
    expect(new Set(rows.map(({ id }) => id)).size).toBe(750)
    expect(plane.said.filter((said) => said.includes('not taken'))).toEqual([])
  })
})

/** The record of a refused request: the least there can be. */
function draft(): RecordDraft {
  return {
    alias: 'gpt-5',
    aliasId: null,
    apiKey: null,
    at: Date.now(),
    attempts: [],
    authMethod: 'api_key',
    bundleSequence: null,
    clientDisconnected: false,
    configDigest: 'a'.repeat(64),
    cost: '0',
    currency: 'USD',
    decisions: [],
    dialect: 'OPENAI_CHAT',
    finishReason: null,
    humanOverride: null,
    id: mintId('request'),
    incident: null,
    level: 'STANDARD',
    lossy: [],
    meters: [],
    model: null,
    monotonicMs: 1,
    outcome: 'REFUSED',
    parent: null,
    payload: { mode: 'NONE', request: null, requestKey: null, response: null, responseKey: null },
    postings: [],
    priceSheet: null,
    principal: null,
    project: null,
    provider: null,
    refusal: 'unknown_alias',
    region: null,
    requestLabels: {},
    reserved: '0',
    revision: 1,
    routeReason: null,
    snapshotAgeMs: 0,
    status: 404,
    streamed: false,
    task: null,
    team: null,
    tenant: actor.tenant,
    tier: null,
    timing: { firstTokenMs: null, gatewayMs: 1, totalMs: 1 },
    traceId: null,
  }
}
