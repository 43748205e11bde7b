import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { browserSession } from '../db/tables.ts'
import { type TestContext, testContext } from '../domain/test-context.ts'
import { cookieName, readCookie, setCookie } from './cookie.ts'
import { isForeign } from './origin.ts'
import { endSession, findSession, mintTicket, redeemTicket, type Signed, sessionBounds } from './sessions.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx?.stop())

const somebody = (): Signed => ({
  tenant: 'ten_1',
  principal: `prn_${randomBytes(4).toString('hex')}`,
  identity: { issuer: 'https://id.example', subject: 'ada' },
  actsIn: null,
})
const signedIn = async (signed = somebody()) => (await redeemTicket(ctx, await mintTicket(ctx, signed)))!.secret
const rows = () => ctx.db.withInstallation((tx) => tx.select().from(browserSession))

describe('a one-time link', () => {
  it('signs in once, on whichever replica', async () => {
    const signed = { ...somebody(), actsIn: 'ten_2' }
    const ticket = await mintTicket(ctx, signed)
    const opened = await Promise.all([redeemTicket(ctx, ticket), redeemTicket(ctx, ticket)])
    const [first, ...others] = opened.filter((one) => one !== undefined)
    expect(others).toEqual([])
    expect(await findSession(ctx, first!.secret)).toEqual(signed)
    expect(await redeemTicket(ctx, ticket)).toBeUndefined()
  })

  it('expires, and so does the session; both are then forgotten', async () => {
    const late = await mintTicket(ctx, somebody())
    ctx.clock.nowMs += sessionBounds.TICKET.lifetimeMs
    expect(await redeemTicket(ctx, late)).toBeUndefined()
    const secret = await signedIn()
    ctx.clock.nowMs += sessionBounds.SESSION.lifetimeMs - 1
    expect(await findSession(ctx, secret)).toBeDefined()
    ctx.clock.nowMs += 1
    expect(await findSession(ctx, secret)).toBeUndefined()
    await mintTicket(ctx, somebody())
    expect(await rows()).toHaveLength(1)
  })

  it('is neither a session nor found among tickets by a session', async () => {
    const ticket = await mintTicket(ctx, somebody())
    expect(await findSession(ctx, ticket)).toBeUndefined()
    const { secret } = (await redeemTicket(ctx, ticket))!
    expect(await redeemTicket(ctx, secret)).toBeUndefined()
  })

  it('makes room for new ones by dropping the oldest of the same principal', async () => {
    const [signed, other] = [somebody(), somebody()]
    const first = await mintTicket(ctx, signed)
    const others = await mintTicket(ctx, other)
    for (let count = 0; count < sessionBounds.TICKET.perPrincipalMax; count++) {
      ctx.clock.nowMs += 1
      await mintTicket(ctx, signed)
    }
    expect(await redeemTicket(ctx, first)).toBeUndefined()
    expect(await redeemTicket(ctx, others)).toBeDefined()
  })
})

describe('a session', () => {
  it('ends when it is signed out, and no other with it', async () => {
    const signed = somebody()
    const [here, there] = [await signedIn(signed), await signedIn(signed)]
    await endSession(ctx, here)
    expect(await findSession(ctx, here)).toBeUndefined()
    expect(await findSession(ctx, there)).toEqual(signed)
  })

  it('is kept as a hash: what the table holds opens nothing', async () => {
    const secret = await signedIn()
    const kept = JSON.stringify(await rows())
    expect(kept).not.toContain(secret)
    expect(kept).not.toContain(secret.slice(4))
  })
})

describe('a cookie', () => {
  it('is unreadable to scripts and never leaves its own site', () => {
    expect(setCookie(cookieName(4000, false), 'sls_x', 1_000, false)).toBe(
      'sluice_4000=sls_x; Path=/; Max-Age=1; HttpOnly; SameSite=Strict',
    )
    expect(setCookie(cookieName(4000, true), 'sls_x', 1_000, true)).toMatch(/^__Host-.*; Secure$/)
  })

  it('is found among others and told from its neighbours', () => {
    const header = 'xsluice_1=a; sluice_1=b=c; sluice_10=d'
    expect(readCookie(header, 'sluice_1')).toBe('b=c')
    expect(readCookie(header, 'sluice_2')).toBeUndefined()
  })
})

describe('a foreign page', () => {
  const from = (headers: Record<string, string>) =>
    isForeign(new Request('http://127.0.0.1:4000/graphql', { headers: { host: '127.0.0.1:4000', ...headers } }))

  it('is known by its origin, even on another port of the same host', () => {
    expect(from({ origin: 'http://127.0.0.1:3000' })).toBe(true)
    expect(from({ origin: 'https://evil.test' })).toBe(true)
    expect(from({ origin: 'null' })).toBe(true)
    expect(from({ 'sec-fetch-site': 'same-site' })).toBe(true)
    expect(from({ 'sec-fetch-site': 'cross-site' })).toBe(true)
  })

  it('is not our own page, nor a client that is no browser', () => {
    expect(from({ origin: 'http://127.0.0.1:4000', 'sec-fetch-site': 'same-origin' })).toBe(false)
    expect(from({ 'sec-fetch-site': 'none' })).toBe(false)
    expect(from({})).toBe(false)
  })
})
