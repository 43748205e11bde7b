import type { Server } from 'bun'
import { mintId } from '../../schema/ids.ts'
import type { Context } from '../domain/context.ts'
import { readCookie, setCookie } from '../sessions/cookie.ts'
import { isForeign } from '../sessions/origin.ts'
import { endSession, mintTicket, redeemTicket } from '../sessions/sessions.ts'
import { addressOf, callerOf, isCaller, presentedBy } from './caller.ts'
import type { GraphqlOptions } from './operation.ts'
import { refused, refusedCaller } from './refused.ts'

export interface SessionParts {
  ctx: Context
  graphql: GraphqlOptions
  secure: boolean
  /** Name of the session's cookie. */
  cookie: string
}

/** A one-time link: whoever opens it first gets a session, and an address without the ticket. */
export async function signIn({ ctx, cookie, secure }: SessionParts, ticket: string): Promise<Response> {
  const redeemed = await redeemTicket(ctx, ticket)
  const headers = new Headers({ location: redeemed ? '/' : '/?link=used', 'referrer-policy': 'no-referrer' })
  headers.set('cache-control', 'no-store')
  if (redeemed) headers.append('set-cookie', setCookie(cookie, redeemed.secret, redeemed.lifetimeMs, secure))
  return new Response(null, { status: 303, headers })
}

/** `POST /session/ticket` with an admin token mints a link for a browser; a session cannot mint another. */
export async function ticketRoute(
  { ctx, graphql }: SessionParts,
  request: Request,
  server: Server<never>,
): Promise<Response> {
  const requestId = mintId('correlation')
  if (request.method !== 'POST') return new Response('POST only.\n', { status: 405, headers: { allow: 'POST' } })
  if (isForeign(request)) return refused('FOREIGN_ORIGIN', requestId)
  const presented = presentedBy(request.headers, addressOf(request, server))
  const caller = await callerOf(ctx, graphql.authenticators, presented)
  if (!isCaller(caller)) return refusedCaller(caller, requestId)
  const { signedIn, actor, identity, via } = caller
  if (via !== 'token' || signedIn.principal === null) return refused('UNAUTHENTICATED', requestId)
  const actsIn = actor === signedIn ? null : actor.tenant
  const ticket = await mintTicket(ctx, { tenant: signedIn.tenant, principal: signedIn.principal, identity, actsIn })
  return Response.json({ ticket, path: `/?ticket=${ticket}` }, { headers: { 'cache-control': 'no-store' } })
}

/** `DELETE /session` signs a browser out. */
export async function signOut({ ctx, cookie, secure }: SessionParts, request: Request): Promise<Response> {
  if (request.method !== 'DELETE') return new Response('DELETE only.\n', { status: 405, headers: { allow: 'DELETE' } })
  if (isForeign(request)) return refused('FOREIGN_ORIGIN', mintId('correlation'))
  const secret = readCookie(request.headers.get('cookie'), cookie)
  if (secret) await endSession(ctx, secret)
  return new Response(null, { status: 204, headers: { 'set-cookie': setCookie(cookie, '', 0, secure) } })
}
