import { and, desc, eq, gt, inArray, lte } from 'drizzle-orm'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import type { Tx } from '../db/database.ts'
import { browserSession } from '../db/tables.ts'
import type { Context } from '../domain/context.ts'
import type { Identity } from '../domain/identities.ts'

/** Whom a browser is signed in as. */
export interface Signed {
  /** Where the principal is at home. */
  tenant: string
  principal: string
  identity: Identity
  /** The tenant that an operator of the installation acts in; null = its own. */
  actsIn: string | null
}

type Kind = 'TICKET' | 'SESSION'

/** Of one principal; beyond the bound its oldest goes. */
export const sessionBounds = {
  TICKET: { lifetimeMs: 15 * 60_000, perPrincipalMax: 20 },
  SESSION: { lifetimeMs: 12 * 3_600_000, perPrincipalMax: 50 },
}

type Needs = Pick<Context, 'db' | 'clock'>

/** The secret part of a one-time link, `/?ticket=…`: whoever opens it first is signed in as that identity. */
export function mintTicket(ctx: Needs, signed: Signed): Promise<string> {
  return ctx.db.withInstallation((tx) => keep(tx, 'TICKET', signed, ctx.clock.now()))
}

/** Exchanges a ticket for a session's secret; undefined where it was used, has expired or never was. */
export function redeemTicket(ctx: Needs, ticket: string): Promise<{ secret: string; lifetimeMs: number } | undefined> {
  const nowMs = ctx.clock.now()
  return ctx.db.withInstallation(async (tx) => {
    // One statement takes it, so that of two replicas that are asked at once one finds it gone.
    const [row] = await tx
      .delete(browserSession)
      .where(live('TICKET', ticket, nowMs))
      .returning()
    if (!row) return undefined
    return { secret: await keep(tx, 'SESSION', signedOf(row), nowMs), lifetimeMs: sessionBounds.SESSION.lifetimeMs }
  })
}

/** Whom the bearer of this secret is signed in as. Whether that is still somebody is not asked here. */
export function findSession(ctx: Needs, secret: string): Promise<Signed | undefined> {
  return ctx.db.withInstallation(async (tx) => {
    const [row] = await tx
      .select()
      .from(browserSession)
      .where(live('SESSION', secret, ctx.clock.now()))
    return row && signedOf(row)
  })
}

/** Signs a browser out. */
export async function endSession(ctx: Needs, secret: string): Promise<void> {
  await ctx.db.withInstallation((tx) => tx.delete(browserSession).where(eq(browserSession.hash, hashKey(secret))))
}

const live = (kind: Kind, secret: string, nowMs: number) =>
  and(
    eq(browserSession.hash, hashKey(secret)),
    eq(browserSession.kind, kind),
    gt(browserSession.expiresAt, new Date(nowMs)),
  )

const signedOf = ({ tenant, principal, issuer, subject, actsIn }: typeof browserSession.$inferSelect): Signed => ({
  ...{ tenant, principal, actsIn },
  identity: { issuer, subject },
})

/** Keeps the hash of a new secret, and forgets what has expired or is beyond the bound. */
async function keep(tx: Tx, kind: Kind, signed: Signed, nowMs: number): Promise<string> {
  const { tenant, principal, identity, actsIn } = signed
  const { lifetimeMs, perPrincipalMax } = sessionBounds[kind]
  const secret = mintKey('sls')
  const times = { createdAt: new Date(nowMs), expiresAt: new Date(nowMs + lifetimeMs) }
  await tx
    .insert(browserSession)
    .values({ ...{ tenant, principal, actsIn, kind }, ...identity, ...times, hash: hashKey(secret) })
  await tx.delete(browserSession).where(lte(browserSession.expiresAt, new Date(nowMs)))
  const own = and(
    eq(browserSession.tenant, tenant),
    eq(browserSession.principal, principal),
    eq(browserSession.kind, kind),
  )
  const older = tx
    .select({ hash: browserSession.hash })
    .from(browserSession)
    .where(own)
    .orderBy(desc(browserSession.createdAt))
    .offset(perPrincipalMax)
  await tx.delete(browserSession).where(and(own, inArray(browserSession.hash, older)))
  return secret
}
