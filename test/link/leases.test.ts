import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterEach, describe, expect, it } from 'vitest'
import { dataPlaneEnroll, redeemToken } from '../../control-plane/domain/planes.ts'
import { findResource } from '../../control-plane/domain/resources.ts'
import { declareAll, testContext, testTenant } from '../../control-plane/domain/test-context.ts'
import { linkDomain } from '../../control-plane/link/domain.ts'
import { leaseCallsMax } from '../../control-plane/link/plane-session.ts'
import type { LeaseAnswer, LeaseCall, LeaseRecall } from '../../schema/link-lease.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, startControlPlane, until } from './house.ts'
import { open, type RawLink } from './raw-link.ts'

afterEach(endAll)

const keysOf = async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const signingKey = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const encryptionKey = await identityToRecipient(await generateX25519Identity())
  return { key: privateKey, about: { signingKey, encryptionKey, host: 'h', version: '1' } }
}

async function enrol(domain: DomainDouble): Promise<{ instance: string; key: KeyObject }> {
  const { key, about } = await keysOf()
  const redeemed = await domain.redeemToken({ token: domain.token, ...about })
  if ('refused' in redeemed) throw new Error(redeemed.refused)
  return { instance: redeemed.instance, key }
}

async function begin() {
  const domain = new DomainDouble()
  const installation = await makeInstallation(Date.now())
  const control = startControlPlane(domain, installation)
  const { instance, key } = await enrol(domain)
  const { link } = await open(control, instance, key)
  return { domain, installation, control, instance, key, link }
}

const callOf = (tenant: string, change: Partial<LeaseCall> = {}): LeaseCall => ({
  ...{ type: 'leaseCall', call: 1, tenant, leases: [], whole: false, wants: [], waitMs: 0 },
  ...change,
})

const heardOf = (link: RawLink, type: string) => link.heard.filter((message) => message.type === type)

describe('a lease call', () => {
  it('is answered while records wait to be taken, and while another call waits for money', async () => {
    const { domain, link } = await begin()
    const never = Promise.withResolvers<never>()
    domain.acceptRecords = () => never.promise
    const { answerLease } = domain
    domain.answerLease = (name, call) => (call.call === 1 ? never.promise : answerLease(name, call))
    link.send({ type: 'records', tenant: domain.tenant, epoch: 1, from: 0, records: ['{}'] })
    link.send(callOf(domain.tenant))
    link.send(callOf(domain.tenant, { call: 2 }))
    expect(await link.wait('leaseAnswer')).toMatchObject({ call: 2, tenant: domain.tenant })
  })

  it('is one too many where so many wait already: the link ends, and it is audited', async () => {
    const { domain, link, instance } = await begin()
    domain.answerLease = () => Promise.withResolvers<never>().promise
    for (let call = 0; call <= leaseCallsMax; call++) link.send(callOf(domain.tenant, { call }))
    expect((await link.wait('goodbye')).reason).toContain('More lease calls')
    expect(domain.refusals).toEqual([{ instance, code: 'too_large', times: 1 }])
  })

  it('that cannot be true, or asks for money of a tenant that it does not serve, ends the link and is audited', async () => {
    const { domain, control, link, instance, key } = await begin()
    domain.answerLease = async () => ({ fault: 'It reported a lease that was never granted.' })
    link.send(callOf(domain.tenant))
    expect((await link.wait('goodbye')).reason).toContain('never granted')
    expect(domain.refusals).toEqual([{ instance, code: 'leases', times: 1 }])
    const { link: second } = await open(control, instance, key)
    const want = { budget: 'bud_1', subject: null, missing: '1', perSecond: '0', next: false }
    second.send(callOf('ten_other', { wants: [want] }))
    expect((await second.wait('goodbye')).reason).toContain('does not serve')
  })
})

describe('a recall', () => {
  it('goes to the plane that holds the money, by the control plane that holds its link, once', async () => {
    const { domain, installation, link, instance } = await begin()
    const other = startControlPlane(domain, installation)
    const neighbour = await enrol(domain)
    const { link: second } = await open(other, neighbour.instance, neighbour.key)
    const ask = { budget: 'bud_a', subject: null, amount: '5', forMs: 1_000 }
    domain.askBack({ instance, ...ask }, { instance: neighbour.instance, ...ask, amount: '6' })
    expect(await link.wait('leaseRecall')).toEqual({ type: 'leaseRecall', tenant: domain.tenant, asks: [ask] })
    expect(await second.wait('leaseRecall')).toMatchObject({ asks: [{ amount: '6' }] })
    expect([heardOf(link, 'leaseRecall').length, heardOf(second, 'leaseRecall').length]).toEqual([1, 1])
  })
})

describe('two control planes', () => {
  it('bring money from a plane of the one to a plane of the other', async () => {
    const ctx = await testContext(null)
    const { owner } = await testTenant(ctx)
    const limit = { amount: '100', currency: 'USD' }
    await declareAll(ctx, owner, [['budget', { name: 'b', scope: owner.tenant, limit, period: 'DAY' }]])
    const budget = await ctx.db.withTenant(owner.tenant, async (tx) => {
      return (await findResource(tx, owner.tenant, 'budget/b'))!.id
    })
    const enrolled = await dataPlaneEnroll(ctx, owner, { idempotencyKey: 'e', name: 'edge', adapter: 'STANDALONE' })
    const installation = await makeInstallation(Date.now())
    const links: RawLink[] = []
    for (let number = 0; number < 2; number++) {
      const { key, about } = await keysOf()
      const redeemed = await redeemToken(ctx, { token: enrolled.enrollmentToken!, ...about })
      if ('refused' in redeemed) throw new Error(redeemed.refused)
      links.push((await open(startControlPlane(linkDomain(ctx), installation), redeemed.instance, key)).link)
    }
    const [rich, poor] = links as [RawLink, RawLink]
    const want = { budget, subject: null, perSecond: '0', next: false }
    rich.send(callOf(owner.tenant, { wants: [{ ...want, missing: '95' }] }))
    const granted = (await rich.wait('leaseAnswer')) as unknown as LeaseAnswer
    poor.send(callOf(owner.tenant, { wants: [{ ...want, missing: '25' }], waitMs: 8_000 }))
    const recall = (await rich.wait('leaseRecall')) as unknown as LeaseRecall
    expect(recall.asks).toMatchObject([{ budget, subject: null, amount: '20' }])
    const { posted: _, notBefore: __, ...held } = granted.leases[0]!
    rich.send(callOf(owner.tenant, { call: 2, leases: [{ ...held, returned: '20' }] }))
    await until(
      'both answers',
      () => heardOf(rich, 'leaseAnswer').length === 2 && heardOf(poor, 'leaseAnswer').length === 1,
    )
    expect(heardOf(poor, 'leaseAnswer')).toMatchObject([{ refused: null, leases: [{ granted: '25' }] }])
    await endAll()
    await ctx.stop()
  })
})
