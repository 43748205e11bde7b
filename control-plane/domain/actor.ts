import { BlockList, isIP } from 'node:net'
import { and, eq } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import { apiKeySecret } from '../db/tables.ts'
import { DatabaseUnavailable } from '../db/trouble.ts'
import type { Context } from './context.ts'
import { findIdentity, type Identity, identityOfToken, tokenIssuer } from './identities.ts'
import { keyPermissions, rolePermissions } from './privileges.ts'
import { resourcesByIds } from './resources.ts'
import { operatesInstallation } from './tenant-lock.ts'

export type ActorKind = 'PERSON' | 'SERVICE' | 'API_KEY' | 'DATA_PLANE' | 'SYSTEM'

/** Who acts, derived from what was authenticated and never from input. */
export interface Actor {
  kind: ActorKind
  id: string
  name: string
  tenant: string
  /** The principal behind it; null for data planes and the system itself. */
  principal: string | null
  permissions: ReadonlySet<Permission>
  /** Set where its tenant operates the installation. */
  operates?: boolean
  /** For a key: the principal whose key it is. For an operator in another tenant: who it really is. */
  onBehalfOf?: Actor
}

const tokenPattern = /^sla_[A-Za-z0-9_-]{40}$/
/** "Last used" is told to the minute, so that reading is not also a write each time. */
const usedResolutionMs = 60_000

/**
 * The actor behind an admin token (`sla_…`). Undefined where it is unknown, revoked or expired, where its principal was
 * archived, or where the key is bound to addresses and `address` is not one of them.
 */
export async function authenticate(ctx: Context, token: string, address?: string): Promise<Actor | undefined> {
  return isAdminToken(token) ? actorOf(ctx, identityOfToken(token), address) : undefined
}

export const isAdminToken = (token: string) => tokenPattern.test(token)

/** Who an identity is here, as it is now; undefined where it is nobody, or nobody any more. */
export async function actorOf(ctx: Context, identity: Identity, address?: string): Promise<Actor | undefined> {
  if (identity.issuer !== tokenIssuer) return ctx.db.withInstallation((tx) => actorOfPrincipal(tx, identity))
  const nowMs = ctx.clock.now()
  const hash = Buffer.from(identity.subject, 'hex')
  const found = await ctx.db.withInstallation((tx) => actorOfToken(tx, hash, nowMs, address))
  if (found) await noteUse(ctx, found.secret, nowMs)
  return found?.actor
}

async function actorOfToken(tx: Tx, hash: Buffer, nowMs: number, address: string | undefined) {
  const [secret] = await tx.select().from(apiKeySecret).where(eq(apiKeySecret.hash, hash))
  if (!secret || secret.revokedAt || (secret.expiresAt && secret.expiresAt.getTime() <= nowMs)) return undefined
  const [key, tenant] = await resourcesByIds(tx, secret.tenant, [secret.apiKey, secret.tenant])
  if (key?.kind !== 'apiKey' || tenant?.kind !== 'tenant' || !isUsable(key, nowMs, address)) return undefined
  const [principal] = await resourcesByIds(tx, secret.tenant, [key.spec.principal])
  if (principal?.kind !== 'principal' || principal.archivedAt) return undefined
  const operates = await operatesInstallation(tx, secret.tenant)
  const actor = keyActor(key, principalActor(tenant, principal, operates), keyPermissions(tenant, key, operates))
  return { secret, actor }
}

/** Somebody that another issuer vouches for acts as itself, with what its role brings. */
async function actorOfPrincipal(tx: Tx, identity: Identity): Promise<Actor | undefined> {
  const found = await findIdentity(tx, identity)
  if (!found) return undefined
  const [principal, tenant] = await resourcesByIds(tx, found.tenant, [found.principal, found.tenant])
  if (principal?.kind !== 'principal' || principal.archivedAt || tenant?.kind !== 'tenant') return undefined
  return principalActor(tenant, principal, await operatesInstallation(tx, found.tenant))
}

function isUsable(key: Resource<'apiKey'>, nowMs: number, address: string | undefined): boolean {
  if (key.archivedAt || key.spec.kind !== 'ADMIN') return false
  if (key.spec.expiresAt && Date.parse(key.spec.expiresAt) <= nowMs) return false
  return key.spec.allowedAddresses.length === 0 || isWithin(key.spec.allowedAddresses, address)
}

/** True where an address is in one of the CIDR ranges; an unknown address is in none. */
function isWithin(ranges: string[], address: string | undefined): boolean {
  const plain = address?.startsWith('::ffff:') ? address.slice(7) : address
  const family = isIP(plain ?? '')
  if (!plain || family === 0) return false
  const list = new BlockList()
  for (const range of ranges) {
    const [base, bits] = range.split('/')
    const type = isIP(base!) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(base!, type)
    else list.addSubnet(base!, Number(bits), type)
  }
  return list.check(plain, family === 6 ? 'ipv6' : 'ipv4')
}

/** In a transaction of its own: who signs in where nothing can be written may still read. */
async function noteUse(ctx: Context, secret: typeof apiKeySecret.$inferSelect, nowMs: number) {
  if (secret.lastUsedAt && nowMs - secret.lastUsedAt.getTime() < usedResolutionMs) return
  const note = (tx: Tx) =>
    tx
      .update(apiKeySecret)
      .set({ lastUsedAt: new Date(nowMs) })
      .where(and(eq(apiKeySecret.tenant, secret.tenant), eq(apiKeySecret.hash, secret.hash)))
  await ctx.db.withInstallation(note).catch((error: unknown) => {
    if (!(error instanceof DatabaseUnavailable)) throw error
  })
}

function principalActor(tenant: Resource<'tenant'>, principal: Resource<'principal'>, operates: boolean): Actor {
  return {
    ...{ kind: principal.spec.kind, id: principal.id, name: principal.name },
    ...{ tenant: tenant.id, principal: principal.id, operates },
    permissions: rolePermissions(tenant, principal.id, operates),
  }
}

function keyActor(key: Resource<'apiKey'>, whose: Actor, permissions: Actor['permissions']): Actor {
  const { tenant, principal, operates } = whose
  return { kind: 'API_KEY', id: key.id, name: key.name, tenant, principal, operates, permissions, onBehalfOf: whose }
}

/** Who answers for what an actor does: the operator, where the installation acts for it in another tenant. */
export function accountable(actor: Actor): Actor {
  return actor.kind === 'SYSTEM' && actor.onBehalfOf ? actor.onBehalfOf : actor
}

/** The control plane itself, where no one asked: first start, timers. */
export function systemActor(tenant: string): Actor {
  return { kind: 'SYSTEM', id: 'system', name: 'Sluice', tenant, principal: null, permissions: new Set() }
}
