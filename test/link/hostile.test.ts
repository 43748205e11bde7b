import { generateKeyPairSync } from 'node:crypto'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterEach, describe, expect, it } from 'vitest'
import { linkFrameBytesMax, linkVersion } from '../../schema/link.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, makeFolder, startControlPlane, startPlane, until } from './house.ts'
import { hello, open, rawLink } from './raw-link.ts'

afterEach(endAll)

/** An instance whose keys the test holds, so that it can say anything. */
async function begin(encryptionKey?: string) {
  const domain = new DomainDouble()
  const control = startControlPlane(domain, await makeInstallation(Date.now()))
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const redeemed = await domain.redeemToken({
    token: domain.token,
    signingKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    encryptionKey: encryptionKey ?? (await identityToRecipient(await generateX25519Identity())),
    ...{ host: 'h', version: '1' },
  })
  if ('refused' in redeemed) throw new Error(redeemed.refused)
  const well = await startPlane({ url: control.url, dataDir: makeFolder(), tenant: domain.tenant })
  await well.link.opened()
  return { domain, control, instance: redeemed.instance, key: privateKey, well }
}

const records = (domain: DomainDouble, change: object = {}) => ({
  ...{ type: 'records', tenant: domain.tenant, epoch: 1, from: 0, records: ['{}'] },
  ...change,
})

/** A well-behaved plane beside it has one link all the while, and its records are taken. */
async function untouched({ well, domain }: Awaited<ReturnType<typeof begin>>) {
  expect(well.link.status()).toMatchObject({ state: 'open', epoch: 1 })
  well.journal.append(3)
  expect(await well.link.flush(5_000)).toBe(true)
  expect(domain.records.get('1')?.length).toBe(3)
}

describe('a plane that is not who it says', () => {
  it('is refused with a signature of another key, with a hello that was heard before, and audited once', async () => {
    const world = await begin()
    const { domain, control, instance, key } = world
    const first = await rawLink(control)
    const heard = await hello(first, instance, key)
    await first.wait('welcome')
    const replay = await rawLink(control)
    await replay.wait('challenge')
    replay.send(heard)
    await replay.wait('goodbye')
    for (let attempt = 0; attempt < 5; attempt++) {
      const link = await rawLink(control)
      await hello(link, instance, generateKeyPairSync('ed25519').privateKey)
      expect((await link.wait('goodbye')).reason).toContain('not enrolled here')
    }
    expect(domain.instances.get(instance)!.epoch).toBe(1)
    expect(domain.refusals).toEqual([{ instance, code: 'not_enrolled', times: 1 }])
    await untouched(world)
  })

  it('of an instance that nobody enrolled leaves no trace in any log', async () => {
    const { domain, control, key } = await begin()
    const link = await rawLink(control)
    await hello(link, 'ins_nobody', key)
    await link.wait('goodbye')
    expect(domain.refusals).toEqual([])
  })
})

describe('a plane of another version of the link', () => {
  it('is taken one version apart, both ways, and refused beyond', async () => {
    const { domain, control, instance, key } = await begin()
    for (const spoken of [linkVersion - 1, linkVersion + 1])
      expect((await open(control, instance, key, { linkVersion: spoken })).epoch).toBeGreaterThan(0)
    const { epoch } = domain.instances.get(instance)!
    for (const spoken of [linkVersion - 2, linkVersion + 2]) {
      const link = await rawLink(control)
      await hello(link, instance, key, { linkVersion: spoken })
      expect((await link.wait('goodbye')).reason).toContain(`speaks version ${spoken}`)
    }
    expect(domain.instances.get(instance)!.epoch).toBe(epoch)
    expect(domain.refusals).toEqual([{ instance, code: 'version', times: 1 }])
  })

  it('may say what this one does not know, and leave out what it does', async () => {
    const { control, domain, instance, key } = await begin()
    const { link, epoch } = await open(control, instance, key)
    link.send({ type: 'of a later version', anything: 1 })
    const sentAtMs = Date.now()
    link.send({ type: 'heartbeat', sentAtMs, applied: [], recordsThroughMs: null, later: true })
    expect(await link.wait('heartbeatAck')).toMatchObject({ sentAtMs })
    expect(domain.instances.get(instance)!.epoch).toBe(epoch)
  })
})

describe('a plane that misbehaves once its link is open', () => {
  it('has its link ended for what cannot be read, is too large, or is said twice', async () => {
    const world = await begin()
    const { domain, control, instance, key } = world
    const said = [
      ['malformed', 'nonsense'],
      ['malformed', { type: 'heartbeat' }],
      ['malformed', { type: 'records', tenant: domain.tenant, epoch: 1, from: 0, records: [] }],
      ['too_large', 'x'.repeat(linkFrameBytesMax + 1)],
    ] as const
    for (const [code, message] of said) {
      const { link } = await open(control, instance, key)
      link.send(message)
      await until(`an end for ${code}`, link.isClosed)
    }
    await until('the audit', () => domain.refusals.length === 2)
    expect(domain.refusals.map(({ code }) => code).sort()).toEqual(['malformed', 'too_large'])
    await untouched(world)
  })

  it('has its link ended where it does not wait for answers, whatever it sends', async () => {
    const world = await begin()
    const { domain, control, instance, key } = world
    const gate = Promise.withResolvers<void>()
    const { acceptRecords } = domain
    domain.acceptRecords = async (...given) => {
      await gate.promise
      return acceptRecords(...given)
    }
    const { link } = await open(control, instance, key)
    const large = records(domain, { records: Array.from({ length: 7 }, () => 'x'.repeat(999_999)) })
    for (let batch = 0; batch < 4 && !link.isClosed(); batch++) link.send(large)
    await until('the end', link.isClosed)
    gate.resolve()
    domain.acceptRecords = acceptRecords
    await until('the audit', () => domain.refusals.some(({ code }) => code === 'too_large'))
    await untouched(world)
  })

  it('fills no log: what it is refused for again is one line with a count, ten minutes later', async () => {
    const { domain, control, instance, key } = await begin()
    domain.acceptRecords = async () => ({ refused: true, head: null, reason: 'this instance serves no such tenant' })
    const { link } = await open(control, instance, key)
    for (let times = 0; times < 50; times++) link.send(records(domain, { tenant: 'tnt_other' }))
    await until('the refusals', () => link.heard.filter(({ type }) => type === 'recordsRefused').length === 50)
    expect(domain.refusals).toEqual([{ instance, code: 'records', times: 1 }])
  })
})

describe('a plane whose encryption key is none', () => {
  it('gets no snapshot, and keeps none from the others', async () => {
    const { domain, control, instance, key, well } = await begin('age1')
    const { link } = await open(control, instance, key)
    expect((await link.wait('goodbye')).reason).toContain('encryption key')
    domain.changeConfig()
    await until('the change', () => well.store.current().tenants.get(domain.tenant)?.snapshot.revision === 2)
  })
})

describe('a plane that asks for parts', () => {
  it('of a tenant that it does not serve gets nothing, by whichever control plane it asks', async () => {
    const { domain, control, instance, key, well } = await begin()
    const { link } = await open(control, instance, key)
    await link.wait('snapshot')
    const { partToken } = await link.wait('welcome')
    await until('a snapshot', () => well.store.current().tenants.has(domain.tenant))
    const digest = well.store.current().tenants.get(domain.tenant)!.snapshot.configDigest
    const status = async (tenant: string) => {
      const answer = await fetch(`${control.url}/plane/v1/parts/${digest}?tenant=${tenant}`, {
        headers: { authorization: `Bearer ${partToken}` },
      })
      await answer.arrayBuffer()
      return answer.status
    }
    expect(await status(domain.tenant)).toBe(200)
    expect(await status('ten_other')).toBe(404)
    link.close()
    await until('its end', () => domain.goneLinks.length > 0)
    expect(await status(domain.tenant)).toBe(200)
    expect(await status('ten_other')).toBe(404)
  })
})

describe('a link whose instance has a newer one on another control plane', () => {
  it('ends at its next heartbeat, and says nothing of the instance when it goes', async () => {
    const { domain, control, instance, key } = await begin()
    const { link, epoch } = await open(control, instance, key)
    // As another control plane would.
    await domain.openEpoch(instance, { bootId: 'b', host: 'h', version: '1' })
    link.send({ type: 'heartbeat', sentAtMs: Date.now(), applied: [], recordsThroughMs: null })
    expect((await link.wait('goodbye')).reason).toContain('A newer link')
    await until('its end', () => domain.goneLinks.length > 0)
    expect(domain.goneLinks).toEqual([{ instance, epoch }])
  })
})
