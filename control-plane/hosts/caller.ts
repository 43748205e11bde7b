import type { Server } from 'bun'
import { GraphQLError } from 'graphql'
import { resourceName } from '../../schema/config/index.ts'
import { type Actor, actorOf } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import type { Identity } from '../domain/identities.ts'
import { actAs } from '../domain/tenants.ts'
import { requestError } from '../graphql/errors.ts'
import type { Authenticator, Presented } from './authenticators.ts'

/** Who sends a request, how it proved it, and in which tenant it acts. */
export interface Caller {
  /** As whom it acts: itself, or the installation on its behalf. */
  actor: Actor
  /** Who signed in. */
  signedIn: Actor
  identity: Identity
  via: Authenticator['via']
  /** Asks again: the proof, the role, and the tenant. Undefined once one of them is no longer good. */
  recheck: () => Promise<Actor | undefined>
}

/** The header, and the connection parameter, by which an operator of the installation names the tenant to act in. */
export const tenantHeader = 'x-sluice-tenant'

/** Why there is no caller: what the request is answered with. */
export type NoCaller = GraphQLError

/** The caller behind what was sent. */
export async function callerOf(
  ctx: Context,
  authenticators: readonly Authenticator[],
  presented: Presented,
): Promise<Caller | NoCaller> {
  const signed = await signIn(ctx, authenticators, presented)
  if (!signed) return requestError('UNAUTHENTICATED')
  const { signedIn, actsIn, ...proof } = signed
  const actor = await actIn(ctx, signedIn, presented.tenant ?? actsIn)
  if (actor instanceof GraphQLError) return actor
  const recheck = async () => {
    const again = await callerOf(ctx, authenticators, presented)
    return isCaller(again) ? again.actor : undefined
  }
  return { ...proof, actor, signedIn, recheck }
}

export const isCaller = (found: Caller | NoCaller): found is Caller => !(found instanceof GraphQLError)

/** The first authenticator whose business it is decides. */
async function signIn(ctx: Context, authenticators: readonly Authenticator[], presented: Presented) {
  for (const { via, prove } of authenticators) {
    const verdict = await prove(presented)
    if (verdict === 'NOT_MINE') continue
    if (verdict === 'REFUSED') return undefined
    const { identity, actsIn = null } = verdict
    const signedIn = await actorOf(ctx, identity, presented.address)
    return signedIn && { signedIn, identity, actsIn, via }
  }
  return undefined
}

async function actIn(ctx: Context, signedIn: Actor, tenant: unknown): Promise<Actor | NoCaller> {
  if (tenant === null || tenant === undefined) return signedIn
  const named = resourceName.safeParse(tenant)
  if (!named.success)
    return requestError('BAD_REQUEST', `${tenantHeader} holds one tenant: its id (ten_…) or its name.`)
  const actor = await actAs(ctx, signedIn, named.data)
  if (actor === 'NO_SUCH_TENANT') return requestError('UNKNOWN_TENANT')
  if (actor === 'SEVERAL_SUCH_TENANTS')
    return requestError('UNKNOWN_TENANT', 'Several tenants have this name; name the one by its id (ten_…).')
  return actor
}

/** What an HTTP request presents. */
export function presentedBy(headers: Headers, address: string | undefined): Presented {
  return {
    authorization: headers.get('authorization'),
    cookie: headers.get('cookie'),
    tenant: headers.get(tenantHeader),
    address,
  }
}

/** What the hello of a socket presents, beside the cookie and the tenant of the handshake. */
export function presentedByHello(handshake: Presented, params: Record<string, unknown> | null | undefined): Presented {
  return {
    ...handshake,
    authorization: params?.authorization ?? null,
    tenant: params?.[tenantHeader] ?? handshake.tenant,
  }
}

/** The address of the other end of the connection. */
export function addressOf(request: Request, server: Server<never>): string | undefined {
  return server.requestIP(request)?.address
}
