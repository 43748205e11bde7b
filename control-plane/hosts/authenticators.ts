import { isAdminToken } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import { type Identity, identityOfToken } from '../domain/identities.ts'
import { readCookie } from '../sessions/cookie.ts'
import { findSession } from '../sessions/sessions.ts'

/** What somebody sends to be known by, over HTTP or in the hello of a socket. */
export interface Presented {
  /** `Bearer …`; sockets may send it bare. Null = nothing was sent. */
  authorization: unknown
  /** The Cookie header. */
  cookie: string | null
  address: string | undefined
  /** `x-sluice-tenant`: where it wants to act. Null = at home. */
  tenant: unknown
}

/** Proven who, and where it acts where that goes with the proof; not mine = the next one is asked; refused = no other is. */
export type Verdict = { identity: Identity; actsIn?: string | null } | 'NOT_MINE' | 'REFUSED'

/** One way to prove who one is. A control plane has a list of them, asked in order. */
export interface Authenticator {
  /** A session may send the documents of its page only. */
  via: 'token' | 'session'
  prove(presented: Presented): Verdict | Promise<Verdict>
}

/** `sla_…`. What else a bearer may hold is for others. */
export const adminToken: Authenticator = {
  via: 'token',
  prove({ authorization }) {
    const token = bearerOf(authorization)
    return token && isAdminToken(token) ? { identity: identityOfToken(token) } : 'NOT_MINE'
  },
}

/** A browser's cookie. It does not make up for an Authorization that proved nothing. */
export function browserSession(ctx: Context, cookieName: string): Authenticator {
  return {
    via: 'session',
    async prove({ authorization, cookie }) {
      const secret = authorization === null && readCookie(cookie, cookieName)
      if (!secret) return 'NOT_MINE'
      return (await findSession(ctx, secret)) ?? 'REFUSED'
    },
  }
}

const bearerCharactersMax = 16_384

/** The credential of `Bearer …`, or the bare one as sockets send it. */
export function bearerOf(authorization: unknown): string | undefined {
  if (typeof authorization !== 'string' || authorization.length > bearerCharactersMax) return undefined
  const [, token] = /^(?:Bearer +)?([\w.~+/=-]+)$/i.exec(authorization.trim()) ?? []
  return token
}
