import { createPublicKey } from 'node:crypto'
import { and, eq, gt, inArray, isNotNull, isNull, sql } from 'drizzle-orm'
import { mintId } from '../../schema/ids.ts'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import type { Tx } from '../db/database.ts'
import { enrolmentToken, instance } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { record } from './audit.ts'
import type { Context } from './context.ts'
import type { InstanceRow } from './instances.ts'
import { emit } from './outbox.ts'
import { resourcesByIds } from './resources.ts'

const tokenLifeMs = 24 * 3_600_000

/** A token with which processes join this data plane; they serve these tenants. Kept once in each of them. */
export async function mintEnrolmentToken(tx: Tx, ctx: Context, tenants: string[], dataPlane: string): Promise<string> {
  const token = mintKey('sle')
  const now = ctx.clock.now()
  const kept = { hash: hashKey(token), dataPlane, createdAt: new Date(now), expiresAt: new Date(now + tokenLifeMs) }
  await tx.insert(enrolmentToken).values(tenants.map((tenant) => ({ tenant, ...kept })))
  return token
}

export interface Redemption {
  token: string
  /** Ed25519 public key, PEM (SPKI). */
  signingKey: string
  /** age recipient (`age1…`). */
  encryptionKey: string
  host: string
  version: string
}

export interface Redeemed {
  instance: string
  dataPlane: string
  /** Those that it serves. */
  tenants: string[]
}

/** Exchanges an enrolment token for an identity; the refusal is a sentence. The same keys again give the same instance. */
export async function redeemToken(ctx: Context, redemption: Redemption): Promise<Redeemed | { refused: string }> {
  if (!isSigningKey(redemption.signingKey)) return { refused: 'The signing key is not an Ed25519 public key in PEM.' }
  if (!isEncryptionKey(redemption.encryptionKey)) return { refused: 'The encryption key is not an age recipient.' }
  return ctx.db.withInstallation(async (tx) => {
    const hash = hashKey(redemption.token)
    const ofToken = and(eq(enrolmentToken.hash, hash), gt(enrolmentToken.expiresAt, new Date(ctx.clock.now())))
    const tokens = await tx.select().from(enrolmentToken).where(ofToken).orderBy(enrolmentToken.tenant)
    const dataPlane = tokens[0]?.dataPlane
    if (!dataPlane)
      return { refused: 'The enrolment token is unknown or has expired; make a new one with dataPlaneEnroll.' }
    const tenants = tokens.map(({ tenant }) => tenant)
    const known = await tx
      .select()
      .from(instance)
      .where(and(inArray(instance.tenant, tenants), eq(instance.signingKey, redemption.signingKey)))
    if (known.length > 0) return sameInstance(known, dataPlane, redemption)
    const id = await addInstance(tx, ctx, tenants, dataPlane, redemption)
    await tx
      .update(enrolmentToken)
      .set({ uses: sql`${enrolmentToken.uses} + 1` })
      .where(and(inArray(enrolmentToken.tenant, tenants), eq(enrolmentToken.hash, hash)))
    for (const tenant of tenants) await tellJoined(tx, ctx, tenant, dataPlane, id)
    return { instance: id, dataPlane, tenants }
  })
}

function sameInstance(known: InstanceRow[], dataPlane: string, asked: Redemption): Redeemed | { refused: string } {
  const { id } = known[0]!
  const same = known.every(
    (row) =>
      row.id === id && row.dataPlane === dataPlane && row.encryptionKey === asked.encryptionKey && !row.retiredAt,
  )
  if (!same) return { refused: 'This signing key belongs to another instance; let this one make its own keys.' }
  return { instance: id, dataPlane, tenants: known.map(({ tenant }) => tenant) }
}

async function tellJoined(tx: Tx, ctx: Context, tenant: string, dataPlane: string, id: string) {
  const [plane] = await resourcesByIds(tx, tenant, [dataPlane])
  const actor: Actor = {
    ...{ kind: 'DATA_PLANE', id, name: plane?.name ?? dataPlane, tenant },
    ...{ principal: null, permissions: new Set() },
  }
  const targets = [{ id: dataPlane, name: plane?.name ?? dataPlane, changes: [] }]
  const audit = await record(tx, ctx, actor, { action: 'dataPlane.join', targets })
  await emit(tx, tenant, ctx.clock.now(), { kind: 'DATA_PLANE_CHANGED', dataPlane }, { auditSequence: audit.sequence })
  await ctx.db.notify(tx, 'records', tenant)
  await ctx.db.notify(tx, 'planes', tenant)
}

/** One process, with a row in each tenant that it serves: what concerns a tenant stands in the tenant's own. */
export async function addInstance(
  tx: Tx,
  ctx: Context,
  tenants: string[],
  dataPlane: string,
  keys: { signingKey: string; encryptionKey: string; host: string | null; version: string | null },
): Promise<string> {
  const now = ctx.clock.now()
  const id = mintId('instance', now)
  const { signingKey, encryptionKey, host, version } = keys
  const made = { id, dataPlane, signingKey, encryptionKey, host, version, enrolledAt: new Date(now) }
  await tx.insert(instance).values(tenants.map((tenant) => ({ tenant, ...made })))
  return id
}

/** The processes of a data plane that serve `tenant` serve `further` from now on, too. */
export async function joinInstances(tx: Tx, ctx: Context, dataPlane: string, tenant: string, further: string) {
  const members = and(eq(instance.tenant, tenant), eq(instance.dataPlane, dataPlane), isNull(instance.retiredAt))
  const rows = await tx.select().from(instance).where(members).for('update')
  const unknown = {
    activeRevision: null,
    deltaNumber: null,
    snapshotAgeMs: null,
    recordsThrough: null,
    toldState: null,
  }
  const joined = rows.map((row) => ({ ...row, ...unknown, tenant: further }))
  if (joined.length === 0) return
  // Those that the tenant put out, and whose data plane it has restored since, serve it again.
  const again = {
    target: [instance.tenant, instance.id],
    set: { retiredAt: null },
    setWhere: isNotNull(instance.retiredAt),
  }
  const fresh = await tx.insert(instance).values(joined).onConflictDoUpdate(again).returning({ id: instance.id })
  for (const { id } of fresh) await tellJoined(tx, ctx, further, dataPlane, id)
}

export function isSigningKey(pem: string): boolean {
  try {
    return createPublicKey(pem).asymmetricKeyType === 'ed25519' && !pem.includes('PRIVATE')
  } catch {
    return false
  }
}

export const isEncryptionKey = (recipient: string) => /^age1[a-z0-9]{50,120}$/.test(recipient)
