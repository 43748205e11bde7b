import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openInstance } from '../../adapters/ports/instance-identity.ts'
import { credentialSecrets } from '../../adapters/ports/secrets-credentials.ts'
import { recordHash } from '../../schema/flight-record.ts'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, makeFolder, type Plane, startControlPlane, startPlane, until } from './house.ts'

afterEach(endAll)

const begin = async () => {
  const domain = new DomainDouble()
  const installation = await makeInstallation(Date.now())
  return { domain, installation, control: startControlPlane(domain, installation), dataDir: makeFolder() }
}
const lookup = (plane: Plane, key: string) => plane.store.current().lookupKey(hashKey(key))
const revisionOf = (plane: Plane, tenant: string) => plane.store.current().tenants.get(tenant)?.snapshot.revision

describe('a plane that enrols', () => {
  it('gets a link, an epoch and its snapshot, and can open what is stored for it', async () => {
    const { domain, control, dataDir } = await begin()
    const key = mintKey('slk')
    domain.setKey(key, false)
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    await until('the snapshot', () => lookup(plane, key))
    expect(plane.link.status()).toMatchObject({ state: 'open', epoch: 1, trouble: null })
    expect(lookup(plane, key)).toMatchObject({ revoked: false, grant: { project: 'prj_1' } })
    const [credential] = plane.store.current().tenants.get(domain.tenant)!.snapshot.credentials
    const secrets = credentialSecrets({
      sealedSecretOf: (of) => plane.store.sealedSecretOf(of),
      clock: performance as never,
    })
    const secret = secrets.secretOf(credential!)
    expect('expose' in secret && secret.expose()).toBe('sk-upstream')
    await until('a heartbeat that tells of it', () =>
      domain.heartbeats.some(({ applied }) => applied[0]?.revision === 1),
    )
    expect(control.said).toEqual([])
  })

  it('keeps its keys to itself and its data directory to one process', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant))
    expect(statSync(join(dataDir, 'instance.key')).mode & 0o777).toBe(0o600)
    const second = await openInstance({ dataDir, controlUrl: control.url, token: null, host: 'test', version: '0.1.0' })
    expect(second).toEqual({ refused: `The data directory ${dataDir} is already open in this process.` })
    const written = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
    for (const file of written)
      expect(readFileSync(join(file.parentPath, file.name)).includes('sk-upstream'), file.name).toBe(false)
  })

  it('is refused with a wrong token, in one sentence that does not hold it', async () => {
    const { control, dataDir } = await begin()
    const options = { dataDir, controlUrl: control.url, host: 'test', version: '0.1.0' }
    expect(await openInstance({ ...options, token: 'sle_wrong' })).toEqual({
      refused: 'The enrolment token is not valid.',
    })
    expect(await openInstance({ ...options, token: null })).toMatchObject({
      refused: expect.stringContaining('SLUICE_PLANE_TOKEN'),
    })
  })

  it('says so when there is no control plane', async () => {
    const options = {
      dataDir: makeFolder(),
      controlUrl: 'http://127.0.0.1:1',
      token: 'sle_right',
      host: 'test',
      version: '0.1.0',
    }
    expect(await openInstance({ ...options, enrolWaitMs: 300 })).toMatchObject({
      refused: expect.stringContaining('could not be asked'),
    })
  })
})

describe('a change', () => {
  it('of a key is in force at once, while a compile still runs', async () => {
    const { domain, control, dataDir } = await begin()
    const [old, issued] = [mintKey('slk'), mintKey('slk')]
    domain.setKey(old, false)
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => lookup(plane, old))
    let finish = () => {}
    domain.compiling = new Promise((resolve) => (finish = resolve))
    domain.revision += 1
    const beganMs = performance.now()
    domain.setKey(old, true)
    domain.setKey(issued, false)
    await until('the revocation', () => lookup(plane, old)?.revoked)
    await until('the new key', () => lookup(plane, issued))
    console.log(`revocation and new key in force after ${(performance.now() - beganMs).toFixed(0)} ms`)
    expect(revisionOf(plane, domain.tenant)).toBe(1)
    await until('its confirmation', () => domain.heartbeats.some(({ applied }) => applied[0]?.deltaNumber === 3))
    finish()
    await until('the compiled snapshot', () => revisionOf(plane, domain.tenant) === 2)
    expect(lookup(plane, old)?.revoked).toBe(true)
    expect(lookup(plane, issued)?.revoked).toBe(false)
  })

  it('of the configuration swaps the snapshot, and fetches only the parts that are new', async () => {
    const { domain, control, dataDir } = await begin()
    for (let made = 0; made < 20; made++) domain.setKey(mintKey('slk'), false)
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant) === 1)
    const before = plane.store.current()
    let served = 0
    domain.spoil = (bytes) => {
      served += 1
      return bytes
    }
    domain.changeConfig()
    await until('the next', () => revisionOf(plane, domain.tenant) === 2)
    expect(served).toBe(1)
    expect(before.tenants.get(domain.tenant)!.snapshot.revision).toBe(1)
    // Parts of the snapshot before are not kept for ever: manifest, config, secrets and the shards remain.
    const kept = readdirSync(join(dataDir, 'snapshots', 'parts'))
    expect(kept.length).toBe(new Set(kept).size)
    expect(kept.length).toBeLessThanOrEqual(3 + 20)
  })

  it('whose parts were tampered with on the way is refused; the last good snapshot stays', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant) === 1)
    domain.spoil = (bytes) => Buffer.from(bytes.toString().replace('acme', 'evil'))
    domain.changeConfig()
    await until('the refusal', () => plane.said.some((said) => said.includes('wrong_digest')))
    expect(revisionOf(plane, domain.tenant)).toBe(1)
    domain.spoil = (bytes) => bytes
    domain.changeConfig()
    await until('a good one', () => revisionOf(plane, domain.tenant) === 3)
  })
})

describe('records', () => {
  it('are delivered once each and in order, over links that break', async () => {
    const { domain, installation, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    plane.journal.append(1_200)
    await until('the first records', () => (domain.records.get('1')?.length ?? 0) > 0)
    // Cut in the middle: what was taken but not acknowledged is sent again and must not count twice.
    await control.stop()
    plane.journal.append(300)
    startControlPlane(domain, installation, control.port)
    await until('the second link', () => plane.link.status().epoch === 2)
    plane.journal.append(50)
    expect(await plane.link.flush(10_000)).toBe(true)
    const [first, second] = [domain.records.get('1')!, domain.records.get('2')!]
    expect([first.length, second.length]).toEqual([1_500, 50])
    for (const chain of [first, second])
      chain.forEach((text, index) => {
        const { sequence, previousHash } = JSON.parse(text)
        expect(sequence).toBe(index)
        if (index > 0) expect(previousHash).toBe(recordHash(chain[index - 1]!))
      })
    expect(plane.journal.refusals).toEqual([])
  })

  it('of many large batches stay within the bound, and all arrive', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    plane.journal.append(60, 400_000)
    expect(await plane.link.flush(20_000)).toBe(true)
    expect(domain.records.get('1')!.length).toBe(60)
    expect(plane.link.status().epoch).toBe(1)
  })

  it('of a chain that forks are refused and not sent again and again', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    plane.journal.append(1)
    await plane.link.flush(5_000)
    domain.records.set('1', ['{"another":"head"}'])
    plane.journal.append(1)
    await until('the refusal', () => plane.journal.refusals.length > 0)
    plane.journal.append(1)
    await Bun.sleep(100)
    expect(plane.journal.refusals).toEqual([{ epoch: 1, head: null }])
    expect(plane.link.status().state).toBe('open')
  })
})

describe('without the control plane', () => {
  it('a plane starts from disk, a revoked key stays revoked, and the age goes on until it expires', async () => {
    const { domain, control, dataDir } = await begin()
    const [kept, revoked] = [mintKey('slk'), mintKey('slk')]
    domain.setKey(kept, false)
    domain.setKey(revoked, false)
    const first = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => lookup(first, revoked))
    domain.setKey(revoked, true)
    await until('the revocation', () => lookup(first, revoked)?.revoked)
    await first.stop()
    await control.stop()

    let nowMs = Date.now()
    const second = await startPlane({ url: control.url, dataDir, tenant: domain.tenant, nowMs: () => nowMs })
    expect(second.identity.incarnation).toBe(2)
    expect(lookup(second, kept)?.revoked).toBe(false)
    expect(lookup(second, revoked)?.revoked).toBe(true)
    const { tenant } = lookup(second, kept)!
    expect(tenant.isExpired(nowMs)).toBe(false)
    nowMs += 61_000
    expect(tenant.isExpired(nowMs)).toBe(true)
    // And a clock set back does not bring it back.
    nowMs -= 500_000
    expect(tenant.isExpired(nowMs)).toBe(true)
  })

  it('a snapshot that was damaged on disk is not run, and is fetched again when there is a link', async () => {
    const { domain, control, dataDir } = await begin()
    const first = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(first, domain.tenant))
    await first.stop()
    const parts = join(dataDir, 'snapshots', 'parts')
    for (const name of readdirSync(parts)) {
      const bytes = readFileSync(join(parts, name))
      if (bytes.includes('"acme"')) writeFileSync(join(parts, name), bytes.toString().replace('acme', 'evil'))
    }
    const second = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    expect(second.said.some((said) => said.includes('cannot be used'))).toBe(true)
    await until('the snapshot again', () => revisionOf(second, domain.tenant))
    expect(second.store.current().tenants.get(domain.tenant)!.snapshot.tenant.name).toBe('acme')
  })
})

describe('trust', () => {
  it('is not given to another control plane at the same address', async () => {
    const { domain, control, dataDir } = await begin()
    const first = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(first, domain.tenant))
    await first.stop()
    await control.stop()
    startControlPlane(domain, await makeInstallation(Date.now()), control.port)
    domain.changeConfig()
    const second = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the mistrust', () => second.link.status().trouble?.includes('not the control plane'))
    expect(revisionOf(second, domain.tenant)).toBe(1)
    expect(second.link.status().epoch).toBeNull()
  })

  it('is not given to an instance that is unknown, retired or signs with another key', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    const [instance] = domain.instances.values()
    await plane.stop()
    const tryAgain = async () => {
      const again = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
      await until('a refusal', () => again.link.status().trouble !== null)
      const { trouble } = again.link.status()
      await again.stop()
      return trouble
    }
    const sentence = 'This instance is not enrolled here. Enrol it again with a new token.'
    domain.instances.set(instance!.id, { ...instance!, serves: [] })
    expect(await tryAgain()).toBe(sentence)
    const other = (await makeInstallation(Date.now())).onlineKey.publicKey
    domain.instances.set(instance!.id, { ...instance!, signingKey: other })
    expect(await tryAgain()).toBe(sentence)
    domain.instances.clear()
    expect(await tryAgain()).toBe(sentence)
  })

  it('holds for one link of an instance at a time: a newer one ends the older', async () => {
    const { domain, control, dataDir } = await begin()
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await plane.link.opened()
    // Somebody copied the data directory to another machine.
    const copied = makeFolder()
    cpSync(dataDir, copied, { recursive: true, filter: (path) => !path.endsWith('.lock') })
    const copy = await startPlane({ url: control.url, dataDir: copied, tenant: domain.tenant })
    await copy.link.opened()
    expect(copy.link.status().epoch).toBe(2)
    await until('the goodbye', () => plane.said.some((said) => said.includes('A newer link of this instance')))
  })
})

describe('parts', () => {
  it('are given only with the token of an open link, and only those it was told of', async () => {
    const { domain, control, dataDir } = await begin()
    const get = (digest: string, token?: string) =>
      fetch(`${control.url}/plane/v1/parts/${digest}`, token ? { headers: { authorization: `Bearer ${token}` } } : {})
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the snapshot', () => revisionOf(plane, domain.tenant))
    const digest = plane.store.current().tenants.get(domain.tenant)!.snapshot.configDigest
    expect((await get(digest)).status).toBe(401)
    expect((await get(digest, 'guess')).status).toBe(401)
    const unknown = createHash('sha256').update('x').digest('hex')
    expect((await get(unknown, 'guess')).status).toBe(401)
    expect((await fetch(`${control.url}/plane/v1/parts/../../etc/passwd`)).status).toBe(404)
    expect((await fetch(`${control.url}/plane/v1/other`)).status).toBe(404)
  })
})

describe('the door', () => {
  const speak = (url: string, frames: (string | Uint8Array<ArrayBuffer>)[]) =>
    new Promise<string[]>((resolve) => {
      const heard: string[] = []
      const socket = new WebSocket(`${url.replace('http', 'ws')}/plane/v1/link`)
      socket.onmessage = ({ data }) => {
        heard.push(String(data))
        if (heard.length === 1) for (const frame of frames) socket.send(frame)
      }
      socket.onclose = () => resolve(heard)
    })

  it('is shut on who speaks out of turn, in another form, or too much at once', async () => {
    const { control } = await begin()
    const heartbeat = JSON.stringify({ type: 'heartbeat', sentAtMs: 1, applied: [], recordsThroughMs: null })
    const reasons: [string | Uint8Array<ArrayBuffer>, string][] = [
      [heartbeat, 'begins with hello'],
      ['not json', 'could not be read'],
      ['null', 'could not be read'],
      ['{"type":"hello"}', 'could not be read'],
      [new Uint8Array(4), 'Only text'],
    ]
    for (const [frame, reason] of reasons) {
      const heard = await speak(control.url, [frame])
      expect(heard.map((text) => JSON.parse(text).type)).toEqual(['challenge', 'goodbye'])
      expect(JSON.parse(heard[1]!).reason).toContain(reason)
    }
  })

  it('passes over messages that only a newer peer knows', async () => {
    const { control } = await begin()
    const heard = await speak(control.url, ['{"type":"fromTheFuture"}', '"bye"'])
    expect(JSON.parse(heard.at(-1)!).reason).toContain('could not be read')
  })

  it('is shut on pages, and on enrolments that are too large or broken', async () => {
    const { control } = await begin()
    const post = (body: string) => fetch(`${control.url}/plane/v1/enroll`, { method: 'POST', body })
    expect((await fetch(`${control.url}/plane/v1/link`, { headers: { origin: 'https://evil.test' } })).status).toBe(403)
    expect((await fetch(`${control.url}/plane/v1/link`)).status).toBe(426)
    expect((await fetch(`${control.url}/plane/v1/enroll`)).status).toBe(405)
    expect((await post('x'.repeat(10_000))).status).toBe(413)
    expect((await post('{')).status).toBe(400)
    const keys = { host: 'h', version: '0.1.0', token: 'sle_right', encryptionKey: 'age1x' }
    expect((await post(JSON.stringify({ ...keys, signingKey: 'x' }))).status).toBe(400)
  })
})
