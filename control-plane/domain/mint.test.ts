import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openSecret } from '../../air-gap/index.ts'
import { findKey, hashKey } from '../../schema/key-table.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { SnapshotConfig, SnapshotManifest } from '../../schema/snapshot.ts'
import { apiKeySecret, credentialSecret } from '../db/tables.ts'
import { type Actor, authenticate } from './actor.ts'
import { apply, archive } from './apply.ts'
import { listAudit } from './audit.ts'
import { credentialFacts, credentialSet } from './credentials.ts'
import { createTenant, initialise, listTenants } from './installation.ts'
import { apiKeyFacts, apiKeyIssue, apiKeyRevoke, apiKeyRotate } from './keys.ts'
import { dataPlaneEnroll, dataPlaneFacts, gone, instancesByIds, openEpoch, redeemToken, seen } from './planes.ts'
import { deltasSince, nextEnvelopeSequence, part, snapshotOf } from './snapshots.ts'
import { actAs, tenantCreate, tenants } from './tenants.ts'
import {
  declareAll,
  declareLabels,
  instanceKeys,
  smallConfig,
  type TestContext,
  testContext,
  testInstance,
  testTenant,
} from './test-context.ts'
import { masterKeyCharactersMin, openVault } from './vault.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

async function configured() {
  const { owner, adminToken } = await testTenant(ctx)
  expect((await declareAll(ctx, owner, smallConfig)).errors).toEqual([])
  const issue = (name: string, more: object = {}) =>
    apiKeyIssue(ctx, owner, {
      ...{ idempotencyKey: name, kind: 'APPLICATION', name, principal: owner.principal!, project: 'project/bot' },
      ...more,
    })
  return { owner, adminToken, issue }
}

const codes = ({ errors }: { errors: { path: string[]; code: string }[] }) =>
  errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const inTenant = <T>(owner: Actor, read: Parameters<typeof ctx.db.withTenant<T>>[1]) =>
  ctx.db.withTenant(owner.tenant, read)
const factsOf = async (owner: Actor, id: string) =>
  (await inTenant(owner, (tx) => apiKeyFacts(tx, owner.tenant, [id], ctx.clock.now())))[0]

describe('a key', () => {
  it('is shown once, and only its hash is kept', async () => {
    const { owner, issue } = await configured()
    const issued = await issue('one')
    expect(issued.errors).toEqual([])
    expect(issued.secret).toMatch(/^slk_[\w-]{40}$/)
    const again = await issue('one')
    expect(again).toMatchObject({ replayed: true, secret: null, errors: [] })
    expect(again.apiKey?.id).toBe(issued.apiKey!.id)
    expect(again.audit?.id).toBe(issued.audit!.id)
    const rows = await inTenant(owner, (tx) => tx.select().from(apiKeySecret))
    expect(JSON.stringify(rows)).not.toContain(issued.secret!.slice(10))
    expect(rows.some(({ hash }) => hash.equals(hashKey(issued.secret!)))).toBe(true)
    expect(await factsOf(owner, issued.apiKey!.id)).toMatchObject({
      state: 'ACTIVE',
      prefix: issued.secret!.slice(0, 10),
    })
  })

  it('is refused under an idempotency key that was used for something else', async () => {
    const { issue } = await configured()
    await issue('same')
    expect(codes(await issue('same', { name: 'other' }))).toEqual(['idempotencyKey IDEMPOTENCY_KEY_REUSED'])
  })

  it('tells all that is wrong with it at once', async () => {
    const { issue } = await configured()
    const refused = await issue('bad', {
      ...{ principal: 'principal/none', project: 'project/none', aliases: ['alias/none'], expiresAt: '2020-01-01' },
    })
    expect(codes(refused).sort()).toEqual([
      'aliases.0 NOT_FOUND',
      'expiresAt INVALID_INPUT',
      'principal NOT_FOUND',
      'project NOT_FOUND',
    ])
    expect(codes(await issue('no-project', { project: null }))).toEqual(['project INVALID_INPUT'])
  })

  it('reaches planes as a delta at once, also when it is rotated and revoked', async () => {
    const { owner, issue } = await configured()
    const { apiKey, secret } = await issue('k')
    const before = await deltasSince(ctx, owner.tenant, 0)
    expect(before).toMatchObject([
      { number: 1, hash: hashKey(secret!).toString('hex'), revoked: false, grant: { project: apiKey!.spec.project } },
    ])
    const rotated = await apiKeyRotate(ctx, owner, { idempotencyKey: 'r', apiKey: 'api-key/k', overlap: '1h' })
    expect(rotated.errors).toEqual([])
    expect(await factsOf(owner, apiKey!.id)).toMatchObject({ state: 'ROTATING', prefix: rotated.secret!.slice(0, 10) })
    const [outdated, fresh] = await deltasSince(ctx, owner.tenant, 1)
    expect(outdated).toMatchObject({ number: 2, expiresAtMs: ctx.clock.now() + 3_600_000 })
    expect(fresh).toMatchObject({ number: 3, expiresAtMs: null })
    const revoked = await apiKeyRevoke(ctx, owner, { apiKey: apiKey!.id, reason: 'leaked' })
    expect(revoked).toMatchObject({ errors: [], audit: { action: 'apiKey.revoke', reason: 'leaked' } })
    expect((await deltasSince(ctx, owner.tenant, 3)).map((delta) => delta.revoked)).toEqual([true, true])
    expect(await factsOf(owner, apiKey!.id)).toMatchObject({ state: 'REVOKED' })
    const again = await apiKeyRevoke(ctx, owner, { apiKey: apiKey!.id, reason: 'again' })
    expect(again).toMatchObject({ errors: [], audit: null })
    expect(await deltasSince(ctx, owner.tenant, 5)).toEqual([])
  })

  it('of the API opens it, until it is revoked, expires, or its principal goes', async () => {
    const { owner, adminToken } = await configured()
    expect((await authenticate(ctx, adminToken))?.permissions.has('owner:grant')).toBe(true)
    expect(await authenticate(ctx, adminToken.slice(0, -1) + (adminToken.endsWith('A') ? 'B' : 'A'))).toBeUndefined()
    const admin = (name: string, more: object) =>
      apiKeyIssue(ctx, owner, { idempotencyKey: name, kind: 'ADMIN', name, principal: owner.principal!, ...more })
    const bound = await admin('bound', { allowedAddresses: ['10.0.0.0/8', '::1'] })
    expect(await authenticate(ctx, bound.secret!)).toBeUndefined()
    expect(await authenticate(ctx, bound.secret!, '11.0.0.1')).toBeUndefined()
    expect(await authenticate(ctx, bound.secret!, '::ffff:10.1.2.3')).toBeDefined()
    const short = await admin('short', { expiresAt: new Date(ctx.clock.now() + 1_000).toISOString() })
    expect(await authenticate(ctx, short.secret!)).toBeDefined()
    ctx.clock.nowMs += 1_000
    expect(await authenticate(ctx, short.secret!)).toBeUndefined()
    await apiKeyRevoke(ctx, owner, { apiKey: 'api-key/first-admin', reason: 'done' })
    expect(await authenticate(ctx, adminToken)).toBeUndefined()
  })

  it('never has more permissions than its issuer, nor keeps what its principal has lost', async () => {
    const { owner } = await configured()
    const made = await declareAll(ctx, owner, [['principal', { name: 'ops' }]])
    const ops = made.resources[0]!.id
    const tenant = (role: string): Parameters<typeof declareAll>[2] => [
      [
        'tenant',
        {
          id: owner.tenant,
          name: 'x',
          members: [
            { principal: owner.principal, role: 'OWNER' },
            { principal: ops, role },
          ],
        },
      ],
    ]
    expect((await declareAll(ctx, owner, tenant('ADMIN'))).errors).toEqual([])
    const issueFor = (actor: Actor, name: string, permissions: string[] | null) =>
      apiKeyIssue(ctx, actor, { idempotencyKey: name, kind: 'ADMIN', name, principal: owner.principal!, permissions })
    const opsKey = await apiKeyIssue(ctx, owner, { idempotencyKey: 'o', kind: 'ADMIN', name: 'o', principal: ops })
    const admin = (await authenticate(ctx, opsKey.secret!))!
    expect(admin.permissions.has('owner:grant')).toBe(false)
    expect(codes(await issueFor(admin, 'more', ['owner:grant']))).toEqual(['permissions.0 NOT_PERMITTED'])
    expect(codes(await issueFor(admin, 'unknown', ['everything']))).toContain('permissions.0 INVALID_INPUT')
    const narrowed = await issueFor(admin, 'same', null)
    expect((await authenticate(ctx, narrowed.secret!))?.permissions).toEqual(admin.permissions)
    const stolen = await apiKeyRotate(ctx, admin, {
      idempotencyKey: 's',
      apiKey: 'api-key/first-admin',
      overlap: 'PT0S',
    })
    expect(codes(stolen)).toEqual(['apiKey NOT_PERMITTED'])
    await declareAll(ctx, owner, tenant('VIEWER'))
    expect((await authenticate(ctx, opsKey.secret!))?.permissions.has('config:write')).toBe(false)
    const { rows } = await inTenant(owner, (tx) => listAudit(tx, owner.tenant, { first: 50 }))
    expect(rows.filter(({ allowed }) => !allowed).map(({ action }) => action)).toContain('apiKey.rotate')
  })
})

describe('a credential', () => {
  it('is sealed at rest, and tells only version and fingerprint', async () => {
    const { owner } = await configured()
    const set = (key: string, secret: string) =>
      credentialSet(ctx, owner, { idempotencyKey: key, credential: 'credential/openai-key', secret })
    const first = await set('a', 'sk-very-secret')
    expect(first.errors).toEqual([])
    expect(await set('a', 'sk-very-secret')).toMatchObject({ replayed: true })
    expect(codes(await set('a', 'sk-other'))).toEqual(['idempotencyKey IDEMPOTENCY_KEY_REUSED'])
    expect(codes(await set('c', ' '))).toEqual(['secret INVALID_INPUT'])
    const facts = async () =>
      (await inTenant(owner, (tx) => credentialFacts(tx, owner.tenant, [first.credential!.id])))[0]!
    const before = await facts()
    expect(before).toMatchObject({ version: 1, fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) })
    await set('b', 'sk-new')
    const after = await facts()
    expect(after.version).toBe(2)
    expect(after.fingerprint).not.toBe(before.fingerprint)
    const stored = await inTenant(owner, (tx) => tx.select().from(credentialSecret))
    const audits = await inTenant(owner, (tx) => listAudit(tx, owner.tenant, { first: 50 }))
    const kept = JSON.stringify([stored.map(({ sealed }) => sealed.toString('latin1')), audits])
    for (const secret of ['sk-very-secret', 'sk-new']) expect(kept).not.toContain(secret)
  })
})

describe('a snapshot', () => {
  const read = async (owner: Actor) => {
    const current = await snapshotOf(ctx, owner.tenant)
    const manifest = JSON.parse(current.manifest.toString()) as SnapshotManifest
    const bytes = async (name: string) => {
      const found = manifest.parts.find((one) => one.name === name)
      return found && part(ctx, owner.tenant, found.digest)
    }
    const config = JSON.parse((await bytes('config'))!.toString()) as SnapshotConfig
    return { current, manifest, bytes, config }
  }

  it('holds what was declared, its keys and its sealed secrets', async () => {
    const { owner, issue } = await configured()
    await declareLabels(ctx, owner, 'case')
    const { secret, apiKey } = await issue('k', { requestLabels: { case: 'b' } })
    await credentialSet(ctx, owner, { idempotencyKey: 'c', credential: 'credential/openai-key', secret: 'sk-x' })
    const { current, manifest, bytes, config } = await read(owner)
    expect(createHash('sha256').update(current.manifest).digest('hex')).toBe(current.contentDigest)
    expect(manifest).toMatchObject({ revision: current.revision, deltaNumber: 1, tenant: owner.tenant })
    expect(config.aliases[0]).toMatchObject({ name: 'chat', route: 0 })
    expect(config.routes[0]).toMatchObject({ id: null, targets: [{ model: 0, credential: null, weight: 1 }] })
    expect(config.priceSheets[0]!.lines[0]).toMatchObject({ model: 0, unitPrice: '150000' })
    expect(config.credentials[0]).toMatchObject({ version: 1 })
    const hash = hashKey(secret!)
    const shard = await bytes(`keys/${hash.toString('hex').slice(0, 2)}`)
    const row = findKey(shard!, hash)
    expect(row).toMatchObject({ apiKey: apiKey!.id, revoked: false })
    expect(config.grants[row!.grant]).toMatchObject({ project: apiKey!.spec.project, requestLabels: { case: 'b' } })
    const sealed = JSON.parse((await bytes('secrets'))!.toString()) as Record<string, string>
    const [id, text] = Object.entries(sealed)[0]!
    expect(openSecret(current.contentKey, owner.tenant, id, text)).toBe('sk-x')
  })

  it('is the same until something changes, and then keeps the parts that did not', async () => {
    const { owner, issue } = await configured()
    await issue('k')
    await credentialSet(ctx, owner, { idempotencyKey: 'c', credential: 'credential/openai-key', secret: 'sk-x' })
    const one = await read(owner)
    expect((await read(owner)).current).toEqual(one.current)
    await declareAll(ctx, owner, [['alias', { name: 'more', model: 'model/small' }]])
    const two = await read(owner)
    const digests = (manifest: SnapshotManifest, name: string) =>
      manifest.parts.find((each) => each.name === name)?.digest
    expect(digests(two.manifest, 'secrets')).toBe(digests(one.manifest, 'secrets'))
    expect(digests(two.manifest, 'config')).not.toBe(digests(one.manifest, 'config'))
    expect(two.current.contentKey).toEqual(one.current.contentKey)
    await credentialSet(ctx, owner, { idempotencyKey: 'd', credential: 'credential/openai-key', secret: 'sk-y' })
    expect((await read(owner)).current.contentKey).not.toEqual(one.current.contentKey)
  })

  it('is of one tenant: another cannot fetch its parts', async () => {
    const { owner } = await configured()
    const { owner: stranger } = await configured()
    const { manifest } = await read(owner)
    expect(await part(ctx, stranger.tenant, manifest.parts[0]!.digest)).toBeUndefined()
  })

  it('gives each envelope a number of its own', async () => {
    const { owner } = await configured()
    const numbers = await Promise.all(Array.from({ length: 5 }, () => nextEnvelopeSequence(ctx, owner.tenant)))
    expect(numbers.sort()).toEqual([1, 2, 3, 4, 5])
  })
})

describe('a data plane', () => {
  it('enrols with a token that may be used until it expires, each process with keys of its own', async () => {
    const { owner } = await configured()
    const enroll = (key: string, more: object = {}) =>
      dataPlaneEnroll(ctx, owner, { idempotencyKey: key, name: 'edge', adapter: 'STANDALONE', ...more })
    const enrolled = await enroll('e')
    expect(enrolled).toMatchObject({ errors: [], replayed: false })
    expect(await enroll('e')).toMatchObject({ replayed: true, enrollmentToken: null })
    const more = await enroll('f')
    expect(more.dataPlane?.id).toBe(enrolled.dataPlane!.id)
    expect(codes(await enroll('g', { adapter: 'AIR_GAPPED' }))).toEqual(['adapter INVALID_INPUT'])

    const token = enrolled.enrollmentToken!
    const keys = instanceKeys()
    const first = await redeemToken(ctx, { token, ...keys })
    expect(await redeemToken(ctx, { token, ...keys })).toEqual(first)
    expect(await redeemToken(ctx, { token, ...instanceKeys() })).not.toEqual(first)
    expect(await redeemToken(ctx, { token: `sle_${'x'.repeat(40)}`, ...keys })).toHaveProperty('refused')
    expect(await redeemToken(ctx, { token, ...keys, signingKey: 'no key' })).toHaveProperty('refused')
    ctx.clock.nowMs += 24 * 3_600_000
    expect(await redeemToken(ctx, { token, ...instanceKeys() })).toHaveProperty('refused')
  })

  it('is current, behind, unreachable, offline and retired as its instances are', async () => {
    const { owner } = await configured()
    const { instance, dataPlane } = await testInstance(ctx, owner)
    const facts = async () =>
      (await inTenant(owner, (tx) => dataPlaneFacts(tx, owner.tenant, [dataPlane], ctx.clock.now())))[0]!
    const beat = (revision: number) =>
      seen(
        ctx,
        { instance, epoch: 1 },
        {
          sentAtMs: ctx.clock.now() + 7,
          applied: [{ tenant: owner.tenant, revision, deltaNumber: 0, snapshotAgeMs: 1 }],
          recordsThroughMs: null,
        },
      )
    const { desiredRevision } = await facts()
    await beat(desiredRevision - 1)
    expect(await facts()).toMatchObject({ state: 'BEHIND', activeRevision: desiredRevision - 1 })
    await beat(desiredRevision)
    expect(await facts()).toMatchObject({ state: 'CURRENT', activeRevision: desiredRevision })
    const [row] = await inTenant(owner, (tx) => instancesByIds(tx, owner.tenant, [instance], ctx.clock.now()))
    expect(row).toMatchObject({ state: 'CURRENT', clockOffsetMs: 7, epoch: 1 })
    ctx.clock.nowMs += 60_000
    expect(await facts()).toMatchObject({ state: 'UNREACHABLE' })
    await gone(ctx, { instance, epoch: 1 })
    expect(await facts()).toMatchObject({ state: 'OFFLINE' })
    expect(await openEpoch(ctx, instance, { bootId: 'c', host: 'h', version: '1' })).toBe(2)
    const { revision } = await apply(ctx, owner, { resources: [], ifRevision: 0, dryRun: true })
    await archive(ctx, owner, { refs: ['data-plane/edge'], ifRevision: revision, dryRun: false })
    expect((await facts()).state).toBe('RETIRED')
  })
})

describe('an installation', () => {
  it('is made once, opens under its master key, and refuses another with one sentence', async () => {
    const document = { payloadType: 't', payload: 'p', signatures: [] }
    const makeTrustRoot = () => document
    const first = await initialise(ctx, { makeTrustRoot })
    expect(await initialise(ctx, { makeTrustRoot })).toEqual(first)
    const other = { ...ctx, vault: openVault('x'.repeat(masterKeyCharactersMin)) }
    expect(await initialise(other, { makeTrustRoot })).toHaveProperty('refused', expect.stringContaining('master key'))
  })

  it('makes a tenant once, with its token', async () => {
    const input = { idempotencyKey: 'acme-1', name: 'acme', currency: 'EUR' }
    const made = await createTenant(ctx, input)
    expect(made.adminToken).toMatch(/^sla_/)
    expect(await createTenant(ctx, input)).toMatchObject({ tenant: made.tenant, adminToken: null, replayed: true })
    expect(codes(await createTenant(ctx, { idempotencyKey: 'acme-2', name: 'acme' }))).toEqual(['name INVALID_INPUT'])
    expect((await listTenants(ctx)).filter(({ name }) => name === 'acme')).toEqual([{ id: made.tenant, name: 'acme' }])
  })

  it('lets owners of its first tenant operate it, and nobody else', async () => {
    const alone = await testContext(null)
    try {
      const { owner: operator } = await testTenant(alone)
      const { owner } = await testTenant(alone)
      expect(operator.permissions.has('installation:tenants')).toBe(true)
      expect(owner.permissions.has('installation:tenants')).toBe(false)
      const input = { idempotencyKey: 'k', name: 'acme', reason: 'asked for', ownerName: 'ada' }
      const made = await tenantCreate(alone, operator, input)
      expect(made.errors).toEqual([])
      const ada = (await authenticate(alone, made.adminToken!))!
      expect(ada).toMatchObject({ tenant: made.tenant!.id, onBehalfOf: { name: 'ada' } })
      const again = await tenantCreate(alone, operator, input)
      expect(again).toMatchObject({
        tenant: made.tenant,
        adminToken: null,
        replayed: true,
        audit: { id: made.audit!.id },
      })
      expect(codes(await tenantCreate(alone, operator, { ...input, name: 'other' }))).toEqual([
        'idempotencyKey IDEMPOTENCY_KEY_REUSED',
      ])
      const wrong = {
        idempotencyKey: 'w',
        name: 'a b',
        ownerName: 'no name!',
        owner: { issuer: 'i'.repeat(9_999), subject: 's' },
      }
      const told = codes(await tenantCreate(alone, operator, wrong)).map((one) => one.split('.')[0]!.split(' ')[0])
      expect(new Set(told)).toEqual(new Set(['name', 'ownerName', 'owner']))
      const refused = await tenantCreate(alone, owner, { idempotencyKey: 'x', name: 'mine' })
      expect(codes(refused)).toEqual([' NOT_PERMITTED'])
      expect(refused.audit).toMatchObject({ allowed: false, tenant: owner.tenant })
      const names = (await tenants(alone, { first: 2 })).rows.map(({ id }) => id)
      expect(names).toEqual([operator.tenant, owner.tenant])
      expect(await tenants(alone, { first: 2, after: names[1] })).toEqual({ rows: [made.tenant], hasNext: false })
      expect((await tenants(alone, { first: 9, search: '%' })).rows).toEqual([])
    } finally {
      await alone.stop()
    }
  })

  it('lets operators act in another tenant, audited on their behalf, and only them', async () => {
    const alone = await testContext(null)
    try {
      const { owner: operator } = await testTenant(alone)
      const { owner } = await testTenant(alone)
      const made = await tenantCreate(alone, operator, { idempotencyKey: 'k', name: 'acme' })
      const there = (await actAs(alone, operator, 'acme')) as Actor
      expect(there).toMatchObject({ tenant: made.tenant!.id, kind: 'SYSTEM', principal: null })
      expect(there.permissions.has('owner:grant')).toBe(true)
      expect(there.permissions.has('installation:tenants')).toBe(false)
      const { audit } = await declareAll(alone, there, [['team', { name: 'helped' }]])
      expect(audit).toMatchObject({
        tenant: made.tenant!.id,
        actor: { id: 'installation', onBehalfOf: { id: operator.id, onBehalfOf: { id: operator.principal } } },
      })
      expect(await actAs(alone, operator, operator.tenant)).toBe(operator)
      for (const [who, where] of [
        [operator, 'no-such'],
        [owner, 'acme'],
        [owner, 'no-such'],
        [there, owner.tenant],
      ] as const)
        expect(await actAs(alone, who, where)).toBe('NO_SUCH_TENANT')
      const narrow = { ...operator, permissions: new Set<Permission>(['installation:tenants', 'config:read']) }
      expect([...((await actAs(alone, narrow, 'acme')) as Actor).permissions]).toEqual(['config:read'])
      await declareAll(alone, owner, [['tenant', { id: owner.tenant, name: 'acme' }]])
      expect(await actAs(alone, operator, 'acme')).toBe('SEVERAL_SUCH_TENANTS')
      expect(await actAs(alone, owner, 'acme')).toBe(owner)
      expect(await actAs(alone, operator, made.tenant!.id)).toMatchObject({ tenant: made.tenant!.id })
    } finally {
      await alone.stop()
    }
  })
})
