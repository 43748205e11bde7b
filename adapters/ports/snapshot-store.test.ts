import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf, writeManifest } from '../../air-gap/content.ts'
import { type Envelope, sealEnvelope } from '../../air-gap/envelope.ts'
import type { Seal } from '../../air-gap/seal.ts'
import { describeRoot, openFirstRoot, sealRoot, type VerifiedRoot } from '../../air-gap/trust-root.ts'
import { hashKey } from '../../schema/key-table.ts'
import type { KeyDelta } from '../../schema/snapshot.ts'
import type { InstanceIdentity } from './instance-identity.ts'
import type { FetchPart } from './snapshot-parts.ts'
import { SnapshotStore } from './snapshot-store.ts'

const [rootKey, online] = [1, 2].map(() => generateKeyPairSync('ed25519').privateKey) as [KeyObject, KeyObject]
const root = openFirstRoot(
  sealRoot(
    describeRoot({
      installation: 'slc_1',
      version: 1,
      expiresAtMs: 1e13,
      roles: { root: { keys: [rootKey], threshold: 1 }, online: { keys: [online], threshold: 1 } },
    }),
    [rootKey],
  ),
) as VerifiedRoot
const identity = { instance: 'ins_1', dataPlane: 'dpl_1', root: () => root } as InstanceIdentity

let dataDir: string
let nowMs: number
let said: string[]
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-store-'))
  nowMs = 1_000_000
  said = []
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const open = () =>
  SnapshotStore.open({
    dataDir,
    identity,
    clock: { now: () => nowMs, monotonic: () => 0 },
    version: '0.1.0',
    log: (_, sentence) => said.push(sentence),
  })

const grant = { team: null, project: null, principal: 'prn_1', aliases: null, requestLabels: {}, allowedAddresses: [] }
/** A snapshot of one revision: its sealed envelope, and where its parts are fetched. */
const snapshot = (
  revision: number,
  change: Partial<Envelope> = {},
  config: object = {},
): { sealed: Seal; fetch: FetchPart; fetched: string[] } => {
  const lists = {
    grants: [grant],
    aliases: [],
    routes: [],
    models: [],
    providers: [],
    credentials: [],
    priceSheets: [],
    tiers: [],
    requestLabels: [],
    policies: [],
    budgets: [],
    rateLimits: [],
  }
  const tenant = { id: 'ten_1', name: 'acme', currency: 'USD', maxStalenessMs: 60_000 }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 1, tenant, revision, ...lists, ...config }))
  const deltaNumber = change.deltaNumber ?? 0
  const written = writeManifest({ tenant: 'ten_1', revision, deltaNumber, parts: new Map([['config', bytes]]) })
  const sealed = sealEnvelope(
    {
      schemaVersion: 1,
      installation: 'slc_1',
      role: 'online',
      audience: { kind: 'instance', id: 'ins_1' },
      tenant: 'ten_1',
      sequence: revision,
      contentDigest: written.digest,
      revision,
      deltaNumber,
      createdAtMs: nowMs,
      notBeforeMs: nowMs,
      expiresAtMs: nowMs + 1_000,
      minimumVersion: '0.1.0',
      contentKey: null,
      critical: [],
      ...change,
    },
    [online],
  )
  const all = new Map([
    [written.digest, written.bytes],
    [digestOf(bytes), bytes],
  ])
  const fetched: string[] = []
  const fetch: FetchPart = async (digest) => {
    fetched.push(digest)
    return all.get(digest)
  }
  return { sealed, fetched, fetch }
}
const offer = (store: SnapshotStore, { sealed, fetch }: ReturnType<typeof snapshot>) =>
  store.offer('ten_1', sealed, fetch)
const delta = (number: number, revoked = true): KeyDelta => ({
  number,
  hash: hashKey(`slk_${number}`).toString('hex'),
  apiKey: 'key_1',
  revoked,
  expiresAtMs: null,
  grant,
})
const revisionOf = (store: SnapshotStore) => store.current().tenants.get('ten_1')?.snapshot.revision
const ageOf = (store: SnapshotStore) => store.current().tenants.get('ten_1')!.ageMs(nowMs)

describe('a snapshot store', () => {
  it('takes a newer snapshot, passes over the same again, and refuses an older one', async () => {
    const store = await open()
    const [first, second] = [snapshot(1), snapshot(2)]
    expect(await offer(store, first)).toBe('activated')
    expect(await offer(store, second)).toBe('activated')
    expect(await offer(store, second)).toBe('held')
    expect(await offer(store, first)).toMatchObject({ refused: 'rolled_back' })
    expect(revisionOf(store)).toBe(2)
  })

  it('refuses an older snapshot after a restart too, even where the newest was lost', async () => {
    const store = await open()
    const old = snapshot(1)
    await offer(store, old)
    await offer(store, snapshot(2))
    await store.close()
    for (const name of readdirSync(join(dataDir, 'snapshots', 'parts')))
      rmSync(join(dataDir, 'snapshots', 'parts', name))
    const again = await open()
    expect(again.current().tenants.size).toBe(0)
    expect(again.held()).toEqual([])
    expect(await offer(again, old)).toMatchObject({ refused: 'rolled_back' })
    expect(await offer(again, snapshot(2))).toBe('activated')
  })

  it('runs what it has beyond the end of the envelope, which is judged only when it is activated', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    await store.close()
    const late = snapshot(2)
    nowMs += 30_000
    const again = await open()
    expect(revisionOf(again)).toBe(1)
    expect(await offer(again, late)).toMatchObject({ refused: 'expired' })
  })

  it('keeps the last good snapshot where a new one is signed but cannot be read', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    expect(await offer(store, snapshot(2, {}, { aliases: [{ route: 5 }] }))).toMatchObject({ refused: 'malformed' })
    expect(revisionOf(store)).toBe(1)
    await store.close()
    expect(revisionOf(await open())).toBe(1)
  })

  it('fetches nothing for an envelope that it does not take', async () => {
    const store = await open()
    const foreign = snapshot(1, { audience: { kind: 'instance', id: 'ins_2' } })
    expect(await offer(store, foreign)).toMatchObject({ refused: 'wrong_audience' })
    expect(foreign.fetched).toEqual([])
  })

  it('says what could not be fetched, and takes it when it can', async () => {
    const store = await open()
    const { sealed, fetch } = snapshot(1)
    expect(await store.offer('ten_1', sealed, async () => undefined)).toHaveProperty('unfetched')
    expect(await store.offer('ten_1', sealed, fetch)).toBe('activated')
  })

  it('lets no tenant name become a path', async () => {
    const store = await open()
    const { sealed, fetch } = snapshot(1)
    for (const name of ['../evil', '/etc', 'a/b', '', '..', 'x'.repeat(65)]) {
      expect(await store.offer(name, sealed, fetch)).toMatchObject({ refused: 'wrong_tenant' })
      await store.applyDeltas(name, [delta(1)])
    }
    expect(await store.offer('ten_2', sealed, fetch)).toMatchObject({ refused: 'wrong_tenant' })
    expect(existsSync(join(dataDir, 'evil.state.json'))).toBe(false)
  })

  it('starts with what is left where its files are rubbish', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    await store.close()
    writeFileSync(join(dataDir, 'snapshots', 'ten_1.state.json'), '{')
    expect(revisionOf(await open())).toBe(1)
    writeFileSync(join(dataDir, 'snapshots', 'ten_1.active.json'), '{')
    const again = await open()
    expect(again.current().tenants.size).toBe(0)
    expect(said.at(-1)).toContain('cannot be used')
  })
})

describe('key deltas', () => {
  it('are kept over a restart until a snapshot holds them', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    await store.applyDeltas('ten_1', [delta(1), delta(2, false)])
    await store.close()
    const again = await open()
    expect(again.current().lookupKey(hashKey('slk_1'))?.revoked).toBe(true)
    expect(again.current().lookupKey(hashKey('slk_2'))?.revoked).toBe(false)
    expect(again.held()[0]?.deltaNumber).toBe(2)
    await offer(again, snapshot(2, { deltaNumber: 2 }))
    expect(again.current().lookupKey(hashKey('slk_1'))).toBeUndefined()
  })

  it('that come before the first snapshot are in force with it', async () => {
    const store = await open()
    await store.applyDeltas('ten_1', [delta(8)])
    await offer(store, snapshot(1, { deltaNumber: 7 }))
    expect(store.current().lookupKey(hashKey('slk_8'))?.revoked).toBe(true)
    expect(store.applied()[0]?.deltaNumber).toBe(8)
  })
})

describe('the age', () => {
  it('begins anew with each word of the control plane, and is kept over a restart', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    nowMs += 5_000
    expect(ageOf(store)).toBe(5_000)
    store.heard()
    expect(ageOf(store)).toBe(0)
    nowMs += 5_000
    await store.close()
    nowMs += 5_000
    expect(ageOf(await open())).toBe(10_000)
  })

  it('goes on while a newer snapshot is known that cannot be run, until one is or a new link opens', async () => {
    const store = await open()
    await offer(store, snapshot(1))
    await offer(store, snapshot(2, {}, { aliases: [{ route: 5 }] }))
    nowMs += 5_000
    store.heard()
    expect(ageOf(store)).toBe(5_000)
    await offer(store, snapshot(3))
    expect(ageOf(store)).toBe(0)
    await offer(store, snapshot(4, { minimumVersion: '9.0.0' }))
    nowMs += 5_000
    store.heard()
    expect(ageOf(store)).toBe(5_000)
    store.linkOpened()
    store.heard()
    expect(ageOf(store)).toBe(0)
  })

  it('does not grow by an old envelope that somebody plays back', async () => {
    const store = await open()
    const old = snapshot(1)
    await offer(store, old)
    await offer(store, snapshot(2))
    await offer(store, old)
    nowMs += 5_000
    store.heard()
    expect(ageOf(store)).toBe(0)
  })
})
