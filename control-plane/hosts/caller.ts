import type { Server } from 'bun'
import { type Actor, authenticate } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import { readCookie } from '../sessions/cookie.ts'
import { reloadActor } from '../sessions/reload.ts'
import { sessionsOf } from '../sessions/sessions.ts'

/** Who sends a request, and how it proved it. */
export interface Caller {
  actor: Actor
  via: 'token' | 'session'
  /** Asks again; undefined once the token or the session is no longer good. */
  recheck: () => Promise<Actor | undefined>
}

/** `Bearer sla_…`, or the bare token as sockets send it. */
export function bearerOf(authorization: unknown): string | undefined {
  if (typeof authorization !== 'string' || authorization.length > 1_000) return undefined
  const [, token] = /^(?:Bearer +)?([\w.~+/=-]+)$/i.exec(authorization.trim()) ?? []
  return token
}

/** The caller behind an admin token. */
export async function callerByToken(ctx: Context, token: string, address?: string): Promise<Caller | undefined> {
  const recheck = () => authenticate(ctx, token, address)
  const actor = await recheck()
  return actor && { actor, via: 'token', recheck }
}

/** The caller behind a browser's cookie. */
export async function callerByCookie(ctx: Context, request: Request, cookie: string): Promise<Caller | undefined> {
  const secret = readCookie(request, cookie)
  if (!secret) return undefined
  const recheck = async () => {
    const session = sessionsOf(ctx).find(secret)
    return session && reloadActor(ctx, session.actor)
  }
  const actor = await recheck()
  return actor && { actor, via: 'session', recheck }
}

/** A token is believed first; one that is wrong is not made good by a cookie. */
export async function callerOf(
  ctx: Context,
  request: Request,
  cookie: string,
  address?: string,
): Promise<Caller | undefined> {
  const authorization = request.headers.get('authorization')
  if (authorization === null) return callerByCookie(ctx, request, cookie)
  const token = bearerOf(authorization)
  return token ? callerByToken(ctx, token, address) : undefined
}

/** The address of the other end of the connection. */
export function addressOf(request: Request, server: Server<never>): string | undefined {
  return server.requestIP(request)?.address
}
