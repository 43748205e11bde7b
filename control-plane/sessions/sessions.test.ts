import { describe, expect, it } from 'vitest'
import type { Actor } from '../domain/actor.ts'
import { cookieName, readCookie, setCookie } from './cookie.ts'
import { isForeign } from './origin.ts'
import { Sessions, sessionBounds } from './sessions.ts'

const actor: Actor = {
  kind: 'API_KEY',
  id: 'key_1',
  name: 'owner',
  tenant: 'ten_1',
  principal: null,
  permissions: new Set(),
}

const at = (now = 0) => {
  const clock = { time: now, now: () => clock.time }
  return { clock, sessions: new Sessions(clock) }
}

describe('a one-time link', () => {
  it('signs in once', () => {
    const { sessions } = at()
    const ticket = sessions.mint(actor)
    const first = sessions.redeem(ticket)
    expect(sessions.find(first!.secret)?.actor).toBe(actor)
    expect(sessions.redeem(ticket)).toBeUndefined()
  })

  it('expires, and so does the session', () => {
    const { clock, sessions } = at()
    const late = sessions.mint(actor)
    clock.time += sessionBounds.ticketLifetimeMs
    expect(sessions.redeem(late)).toBeUndefined()
    const { secret } = sessions.redeem(sessions.mint(actor))!
    clock.time += sessionBounds.sessionLifetimeMs - 1
    expect(sessions.find(secret)).toBeDefined()
    clock.time += 1
    expect(sessions.find(secret)).toBeUndefined()
  })

  it('is neither a session nor found among tickets by a session', () => {
    const { sessions } = at()
    const ticket = sessions.mint(actor)
    expect(sessions.find(ticket)).toBeUndefined()
    const { secret } = sessions.redeem(ticket)!
    expect(sessions.redeem(secret)).toBeUndefined()
  })

  it('makes room for new ones by dropping the oldest', () => {
    const { sessions } = at()
    const first = sessions.mint(actor)
    for (let count = 0; count < sessionBounds.ticketsMax; count++) sessions.mint(actor)
    expect(sessions.redeem(first)).toBeUndefined()
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
    const request = new Request('http://localhost/', { headers: { cookie: 'xsluice_1=a; sluice_1=b=c; sluice_10=d' } })
    expect(readCookie(request, 'sluice_1')).toBe('b=c')
    expect(readCookie(request, 'sluice_2')).toBeUndefined()
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
