import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { declareAll, type TestContext, testContext, testTenant } from '../domain/test-context.ts'
import { type Authenticator, adminToken, bearerOf } from './authenticators.ts'
import { callerOf, isCaller } from './caller.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx?.stop())

const issuer = 'https://id.example'

/** `badge-NAME` proves NAME, `badge-` nobody: what a check of signed tokens will look like from outside. */
const badges: Authenticator = {
  via: 'token',
  prove({ authorization }) {
    const [, subject] = /^badge-(.*)$/.exec(bearerOf(authorization) ?? '') ?? []
    if (subject === undefined) return 'NOT_MINE'
    return subject ? { identity: { issuer, subject } } : 'REFUSED'
  },
}
const nobodyElse: Authenticator = {
  via: 'token',
  prove: () => Promise.reject(new Error('was asked after somebody had decided')),
}

const present = (authorization: string | null) => ({ authorization, cookie: null, address: '127.0.0.1', tenant: null })
const whoIs = async (authorization: string | null, ...list: Authenticator[]) => {
  const found = await callerOf(ctx, list, present(authorization))
  return isCaller(found) ? found.actor : found.extensions.code
}

describe('authenticators', () => {
  it('are asked in order until one decides, for or against', async () => {
    const { owner, adminToken: token } = await testTenant(ctx)
    const subject = owner.tenant
    await declareAll(ctx, owner, [['principal', { name: 'ada', identities: [{ issuer, subject }] }]])
    expect(await whoIs(`Bearer ${token}`, adminToken, nobodyElse)).toMatchObject({ kind: 'API_KEY', id: owner.id })
    expect(await whoIs(`Bearer badge-${subject}`, adminToken, badges, nobodyElse)).toMatchObject({
      ...{ kind: 'SERVICE', name: 'ada', tenant: owner.tenant },
    })
    expect(await whoIs('Bearer badge-', adminToken, badges, nobodyElse)).toBe('UNAUTHENTICATED')
    expect(await whoIs('Bearer badge-nobody', adminToken, badges, nobodyElse)).toBe('UNAUTHENTICATED')
  })

  it('leave a stranger where it is nobody’s business', async () => {
    for (const sent of [null, '', 'Basic YTpi', 'Bearer x', `Bearer sla_${'x'.repeat(40)}`, 'x'.repeat(20_000)])
      expect(await whoIs(sent, adminToken, badges)).toBe('UNAUTHENTICATED')
  })

  it('are asked again for who stays: a principal that leaves is gone', async () => {
    const { owner } = await testTenant(ctx)
    const subject = `${owner.tenant}-2`
    await declareAll(ctx, owner, [['principal', { name: 'ada', identities: [{ issuer, subject }] }]])
    const found = await callerOf(ctx, [badges], present(`badge-${subject}`))
    expect(isCaller(found) && (await found.recheck())).toMatchObject({ name: 'ada' })
    await declareAll(ctx, owner, [['principal', { name: 'ada', identities: [] }]])
    expect(isCaller(found) && (await found.recheck())).toBeUndefined()
  })
})
