import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CheckProvider } from '../../adapters/ports/provider-check/checker.ts'
import { type Database, openDatabase } from '../../control-plane/db/database.ts'
import { providerCheck as checkRows } from '../../control-plane/db/tables.ts'
import { type Actor, authenticate } from '../../control-plane/domain/actor.ts'
import { apply } from '../../control-plane/domain/apply.ts'
import { listAudit } from '../../control-plane/domain/audit.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { createTenant, type Installation, initialise } from '../../control-plane/domain/installation.ts'
import { dataPlaneEnroll } from '../../control-plane/domain/planes.ts'
import { providerCheck } from '../../control-plane/domain/provider-check.ts'
import { snapshotOf } from '../../control-plane/domain/snapshots.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { linkDomain } from '../../control-plane/link/domain.ts'
import { makeTrustRoot } from '../../control-plane/link/trust.ts'
import { checkedModelsMax, type ProviderFinding, planeMessage } from '../../schema/link.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, makeFolder, startControlPlane, startPlane, until } from './house.ts'

const works: ProviderFinding = { ok: true, status: 200, latencyMs: 12, detail: null, models: ['gpt-5'] }

describe('over the link', () => {
  afterEach(endAll)

  async function begin(checkProvider?: CheckProvider) {
    const domain = new DomainDouble()
    const control = startControlPlane(domain, await makeInstallation(Date.now()))
    const plane = await startPlane({ url: control.url, dataDir: makeFolder(), tenant: domain.tenant, checkProvider })
    await plane.link.opened()
    await until('the snapshot', () => plane.store.current().tenants.size > 0)
    return { domain, control, plane }
  }

  it('a gateway is asked for what its snapshot declares, and what it finds goes back under the same id', async () => {
    const asked: Parameters<CheckProvider>[0][] = []
    const { domain, plane, control } = await begin(async (ask) => {
      asked.push(ask)
      return works
    })
    domain.askChecks('one', 'two')
    await until('the findings', () => domain.findings.length === 2)
    const { tenant, credential, revision } = domain
    expect(asked.map(({ timeoutMs: _, ...rest }) => rest)).toEqual(
      ['one', 'two'].map((id) => ({ id, tenant, provider: 'prv_1', credential, revision })),
    )
    const instance = plane.identity.instance
    expect(domain.findings).toEqual(['one', 'two'].map((id) => ({ instance, id, finding: works })))
    expect([...control.said, ...plane.said]).toEqual([])
  })

  it('one that does not say it can is not asked, and its link goes on', async () => {
    const { domain, plane } = await begin()
    domain.askChecks('one')
    domain.changeConfig()
    await until('a newer snapshot', () => plane.store.current().tenants.get(domain.tenant)?.snapshot.revision === 2)
    expect(domain.checks.map(({ id }) => id)).toEqual(['one'])
    expect(plane.said).toEqual([])
  })

  it('a check that does not end holds up nothing, and ends with the link', async () => {
    const ended = Promise.withResolvers<void>()
    const { domain, plane } = await begin(async (_, closing) => {
      await new Promise((resolve) => closing.addEventListener('abort', resolve))
      ended.resolve()
      return works
    })
    domain.askChecks('one')
    domain.changeConfig()
    await until('a newer snapshot', () => plane.store.current().tenants.get(domain.tenant)?.snapshot.revision === 2)
    await plane.stop()
    await ended.promise
    expect(domain.findings).toEqual([])
  })

  it('a finding has bounds, and a hello may name abilities that are not known here', () => {
    const models = Array.from({ length: checkedModelsMax + 1 }, (_, at) => `model-${at}`)
    const said = (finding: object) => planeMessage.safeParse({ type: 'providerChecked', id: 'x', tenant: 't', finding })
    expect(said({ ...works, models: models.slice(1) }).success).toBe(true)
    expect(said({ ...works, models }).success).toBe(false)
    expect(said({ ...works, detail: 'x'.repeat(501) }).success).toBe(false)
    const hello = {
      ...{
        type: 'hello',
        linkVersion: 1,
        instance: 'i',
        version: '1',
        host: 'h',
        bootId: 'b',
        rootVersion: 1,
        held: [],
      },
      ...{ nonce: 'n'.repeat(16), signature: 's' },
    }
    expect(planeMessage.safeParse(hello).success).toBe(true)
    expect(planeMessage.safeParse({ ...hello, can: ['providerCheck', 'somethingNewer'] }).success).toBe(true)
  })
})

describe('with the real domain', () => {
  let db: Database
  let ctx: Context
  let installation: Installation
  let actor: Actor

  beforeAll(async () => {
    db = await openDatabase({ dataDir: 'memory://' })
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
    actor = (await authenticate(ctx, created.adminToken!))!
    const declared = await apply(ctx, actor, {
      resources: [
        { kind: 'provider', input: { name: 'openai', platform: 'OPENAI', baseUrl: 'https://api.example.test/v1' } },
        { kind: 'provider', input: { name: 'other', platform: 'ECHO' } },
        { kind: 'credential', input: { name: 'openai', provider: 'provider/openai', source: 'STORED' } },
        { kind: 'credential', input: { name: 'newer', provider: 'provider/openai', source: 'STORED' } },
      ],
      ifRevision: (await snapshotOf(ctx, actor.tenant)).revision,
      dryRun: false,
    })
    expect(declared.errors).toEqual([])
  })
  afterAll(async () => {
    await endAll()
    await db?.close()
  })
  afterEach(endAll)

  let serial = 0
  async function startFleet(name: string, url: string, checkProvider?: CheckProvider) {
    const input = { idempotencyKey: `fleet-${serial++}`, name, adapter: 'STANDALONE' as const }
    const fleet = await dataPlaneEnroll(ctx, actor, input)
    expect(fleet.errors).toEqual([])
    const about = { url, dataDir: makeFolder(), tenant: actor.tenant, token: fleet.enrollmentToken!, checkProvider }
    const plane = await startPlane(about)
    await plane.link.opened()
    return fleet.dataPlane!.id
  }
  const rows = () => db.withTenant(actor.tenant, (tx) => tx.select().from(checkRows))
  const audited = async () =>
    (await ctx.db.withTenant(actor.tenant, (tx) => listAudit(tx, actor.tenant, { first: 50 }))).rows.filter(
      ({ action }) => action === 'provider.check',
    )

  it('is refused in words where no gateway is connected, or what is named does not belong together', async () => {
    const none = await providerCheck(ctx, actor, { provider: 'provider/openai' })
    expect(none.errors).toMatchObject([{ type: 'NoGateway', message: expect.stringContaining('No gateway') }])
    expect(none.ok).toBe(false)
    const mixed = await providerCheck(ctx, actor, { provider: 'provider/other', credential: 'credential/openai' })
    expect(mixed.errors).toMatchObject([{ type: 'InvalidInput', path: ['credential'] }])
    const may = { ...actor, permissions: new Set(['config:read'] as const) }
    const refused = await providerCheck(ctx, may, { provider: 'provider/nowhere' })
    expect(refused.errors).toMatchObject([{ type: 'NotPermitted', permission: 'config:write' }])
    expect((await audited()).map(({ allowed }) => allowed)).toEqual([false])
  })

  it('is made by a gateway whose link another control plane holds, audited, and leaves nothing behind', async () => {
    const [, second] = [0, 1].map(() => startControlPlane(linkDomain(ctx), installation))
    const asked: Parameters<CheckProvider>[0][] = []
    const dataPlane = await startFleet('edge', second!.url, async (ask) => {
      asked.push(ask)
      return works
    })
    const checked = await providerCheck(ctx, actor, { provider: 'provider/openai' })
    expect(checked).toMatchObject({ ...works, errors: [], dataPlane, audit: { action: 'provider.check' } })
    const [entry] = await audited()
    expect(entry!.targets.map(({ name }) => name)).toEqual(['openai', 'openai'])
    expect(asked[0]!.revision).toBe((await snapshotOf(ctx, actor.tenant)).revision)
    // The oldest credential, as a route without one takes it.
    expect(entry!.targets[1]!.id).toBe(asked[0]!.credential!)
    expect(await rows()).toEqual([])
  })

  it('is made by the fleet that is named, and by no other', async () => {
    const { url } = startControlPlane(linkDomain(ctx), installation)
    await startFleet('north', url, async () => ({ ...works, models: ['north'] }))
    const south = await startFleet('south', url, async () => ({ ...works, models: ['south'] }))
    for (let turn = 0; turn < 4; turn++) {
      const input = { provider: 'provider/openai', credential: 'credential/newer', dataPlane: 'data-plane/south' }
      expect(await providerCheck(ctx, actor, input)).toMatchObject({ models: ['south'], dataPlane: south })
    }
  })

  it('says that no gateway can where only older ones are connected', async () => {
    const { url } = startControlPlane(linkDomain(ctx), installation)
    await startFleet('older', url)
    const checked = await providerCheck(ctx, actor, { provider: 'provider/openai', dataPlane: 'data-plane/older' })
    expect(checked.errors).toMatchObject([{ type: 'NoGateway', message: expect.stringContaining('older version') }])
    expect(await rows()).toEqual([])
  })

  it('has a bound on how many are under way, and one gateway answers for no other', async () => {
    const control = startControlPlane(linkDomain(ctx), installation)
    const gate = Promise.withResolvers<ProviderFinding>()
    await startFleet('slow', control.url, () => gate.promise)
    const input = { provider: 'provider/openai', dataPlane: 'data-plane/slow' }
    const many = Array.from({ length: 9 }, () => providerCheck(ctx, actor, input))
    const taken = async () => (await rows()).filter(({ instance }) => instance !== null)
    while ((await taken()).length < 8) await Bun.sleep(10)
    const [row] = await taken()
    await linkDomain(ctx).noteFinding('ins_other', { tenant: actor.tenant, id: row!.id, finding: works })
    expect((await rows()).every(({ finding }) => finding === null)).toBe(true)
    gate.resolve(works)
    const answers = await Promise.all(many)
    expect(answers.filter(({ ok }) => ok)).toHaveLength(8)
    expect(answers.find(({ ok }) => !ok)!.errors).toMatchObject([{ type: 'LimitReached', limit: 8 }])
  })
})
