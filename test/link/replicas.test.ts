import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { describeRoot, sealRoot } from '../../air-gap/trust-root.ts'
import type { Installation } from '../../control-plane/domain/installation.ts'
import { PartTokens } from '../../control-plane/link/part-tokens.ts'
import { onlineKeyOf, type RootedInstallation } from '../../control-plane/link/trust.ts'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import { unrulyRelay } from '../prove/parts/unruly-relay.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, makeFolder, type Plane, startControlPlane, startPlane, until } from './house.ts'

afterEach(endAll)

const revisionOf = (plane: Plane, tenant: string) => plane.store.current().tenants.get(tenant)?.snapshot.revision
const configDigestOf = (plane: Plane, tenant: string) =>
  plane.store.current().tenants.get(tenant)!.snapshot.configDigest

async function beginTwo() {
  const domain = new DomainDouble()
  const installation = await makeInstallation(Date.now())
  const [first, second] = [startControlPlane(domain, installation), startControlPlane(domain, installation)]
  return { domain, installation, first, second }
}

const statusOf = async (url: string, digest: string, token: string) => {
  const answer = await fetch(`${url}/plane/v1/parts/${digest}`, { headers: { authorization: `Bearer ${token}` } })
  await answer.arrayBuffer()
  return answer.status
}

describe('parts', () => {
  it('are given by any control plane of the installation, whichever of them holds the link', async () => {
    const { domain, first, second } = await beginTwo()
    const relay = unrulyRelay([second.url], [first.url])
    const plane = await startPlane({ url: relay.url, dataDir: makeFolder(), tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant))
    domain.changeConfig()
    await until('the next one', () => revisionOf(plane, domain.tenant) === 2)
    expect(plane.said).toEqual([])
    await plane.stop()
    relay.close()
  })

  it('are refused with the token of an older link, of a plane that is retired or silent, or of another installation', async () => {
    const { domain, installation, first, second } = await beginTwo()
    const plane = await startPlane({ url: first.url, dataDir: makeFolder(), tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant))
    const digest = configDigestOf(plane, domain.tenant)
    const instance = domain.instances.get(plane.identity.instance)!
    const tokens = new PartTokens(onlineKeyOf(installation))
    const bearer = { instance: instance.id, epoch: instance.epoch }
    const good = tokens.issue(bearer)
    expect(await statusOf(second.url, digest, good)).toBe(200)
    expect(await statusOf(second.url, 'f'.repeat(64), good)).toBe(404)

    const others = new PartTokens(onlineKeyOf(await makeInstallation(Date.now())))
    const forged = good.replace(`.${bearer.epoch}.`, `.${bearer.epoch + 1}.`)
    for (const token of [others.issue(bearer), forged, `${good}x`, tokens.issue({ ...bearer, epoch: 0 })])
      expect([token, await statusOf(second.url, digest, token)]).toEqual([token, 401])

    const third = startControlPlane(domain, installation)
    domain.instances.set(instance.id, { ...instance, lastSeenAt: new Date(Date.now() - 60_000) })
    expect(await statusOf(third.url, digest, good)).toBe(401)
    const fourth = startControlPlane(domain, installation)
    domain.instances.set(instance.id, { ...instance, serves: [] })
    expect(await statusOf(fourth.url, digest, good)).toBe(401)
  })
})

describe('two control planes', () => {
  it('give one content one number, so that a plane may change from one to the other at any time', async () => {
    const { domain, first, second } = await beginTwo()
    const dataDir = makeFolder()
    for (const [turn, { url }] of [first, second, first, second].entries()) {
      const plane = await startPlane({ url, dataDir, tenant: domain.tenant })
      await plane.link.opened()
      domain.changeConfig()
      await until(`revision ${turn + 2}`, () => revisionOf(plane, domain.tenant) === turn + 2)
      expect(plane.said).toEqual([])
      await plane.stop()
    }
  })
})

describe('a link', () => {
  it('that breaks before its welcome is noted as gone', async () => {
    const { domain, first } = await beginTwo()
    const { openEpoch } = domain
    const gate = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    domain.openEpoch = async (...given) => {
      asked.resolve()
      await gate.promise
      return openEpoch(...given)
    }
    const plane = await startPlane({ url: first.url, dataDir: makeFolder(), tenant: domain.tenant })
    await asked.promise
    await plane.stop()
    await Bun.sleep(50)
    gate.resolve()
    await until('the note', () => domain.goneLinks.some(({ instance }) => instance === plane.identity.instance))
  })

  it('of an instance that is retired ends at once, and is not opened again', async () => {
    const { domain, first } = await beginTwo()
    const plane = await startPlane({ url: first.url, dataDir: makeFolder(), tenant: domain.tenant })
    await plane.link.opened()
    domain.retire(plane.identity.instance)
    await until('the goodbye', () => plane.said.some((said) => said.includes('was retired')))
    await until('the refusal', () => plane.link.status().trouble?.includes('not enrolled here'))
  })

  it('brings a revocation even where the snapshot that holds it too cannot be taken', async () => {
    const { domain, first } = await beginTwo()
    const key = mintKey('slk')
    domain.setKey(key, false)
    const plane = await startPlane({ url: first.url, dataDir: makeFolder(), tenant: domain.tenant })
    const found = () => plane.store.current().lookupKey(hashKey(key))
    await until('the key', found)
    domain.spoil = (bytes) => Buffer.alloc(bytes.byteLength)
    domain.setKey(key, true)
    domain.changeConfig()
    await until('the revocation', () => found()?.revoked)
    expect(revisionOf(plane, domain.tenant)).toBe(1)
  })

  it('hands on the rotations of the trust root, and is opened by a key that only the newest root names', async () => {
    const domain = new DomainDouble()
    const { before, after } = rotation(await makeInstallation(Date.now()))
    const dataDir = makeFolder()
    const old = startControlPlane(domain, before)
    const plane = await startPlane({ url: old.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant))
    await old.stop()
    startControlPlane(domain, after, old.port)
    await until('the new root', () => plane.identity.root().document.version === 2)
    domain.changeConfig()
    await until('a snapshot under it', () => revisionOf(plane, domain.tenant) === 2)
  })
})

/** An installation before and after its root and online keys were replaced; the old online key goes on for a while. */
function rotation(of: Installation): { before: Installation; after: RootedInstallation } {
  const [oldRoot, newRoot, newOnline] = [0, 1, 2].map(() => generateKeyPairSync('ed25519'))
  const oldOnline = createPrivateKey(of.onlineKey.privateKey)
  const describe = (version: number, root: typeof oldRoot, online: (typeof oldOnline)[]) =>
    describeRoot({
      installation: of.id,
      version,
      expiresAtMs: Date.now() + 86_400_000,
      roles: { root: { keys: [root!.privateKey], threshold: 1 }, online: { keys: online, threshold: 1 } },
    })
  const first = sealRoot(describe(1, oldRoot, [oldOnline]), [oldRoot!.privateKey])
  const second = sealRoot(describe(2, newRoot, [oldOnline, newOnline!.privateKey]), [
    oldRoot!.privateKey,
    newRoot!.privateKey,
  ])
  const onlineKey = {
    privateKey: newOnline!.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: newOnline!.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
  return {
    before: { ...of, trustRoot: first },
    after: { ...of, trustRoot: second, trustRoots: [first, second], onlineKey },
  }
}
