import { createPublicKey } from 'node:crypto'
import { and, eq, isNotNull, isNull, lt, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import { mintId } from '../../schema/ids.ts'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import type { Tx } from '../db/database.ts'
import { enrolmentToken, instance } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, record } from './audit.ts'
import type { Context } from './context.ts'
import { draftNew } from './draft.ts'
import { invalidInput, type UserError, type Written } from './errors.ts'
import { desiredRevisionOf, type Instance, type InstanceRow, instanceOf, silentAfterMs, stateOf } from './instances.ts'
import type { Lookup } from './lookup.ts'
import { mintOnce } from './mint.ts'
import { emit } from './outbox.ts'
import { changeOf } from './plan.ts'
import { resourcesByIds } from './resources.ts'
import { writeRevision } from './write.ts'

export * from './instances.ts'

const tokenLifeMs = 24 * 3_600_000

export interface DataPlaneEnrollInput {
  idempotencyKey: string
  name: string
  adapter: 'STANDALONE' | 'ENVOY_EXT_PROC' | 'AIR_GAPPED'
  /** Of a site's enrolment file; online planes send theirs with the token. */
  signingKey?: string | null
  encryptionKey?: string | null
  labels?: Record<string, string> | null
  reason?: string | null
}

export interface Enrolled extends Written {
  dataPlane: Resource<'dataPlane'> | null
  /** `sle_…`, shown once; null on a replay. For a name that exists: a new token for the same fleet. */
  enrollmentToken: string | null
  replayed: boolean
}

/** Declares a fleet and gives the token that its processes enrol with, as often as they are started while it lasts. */
export async function dataPlaneEnroll(ctx: Context, actor: Actor, input: DataPlaneEnrollInput): Promise<Enrolled> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'dataPlane.enroll', key: idempotencyKey, body: fields }
  const { resource, extra, ...written } = await mintOnce<string>(
    ctx,
    actor,
    mint,
    ['plane:enroll'],
    async (tx, lookup, _, errors) => {
      checkSiteKeys(input, errors)
      const made = await declarePlane(tx, ctx, actor, lookup, input, errors)
      if (!made || errors.length > 0) return undefined
      const token = mintKey('sle')
      const now = ctx.clock.now()
      await tx.insert(enrolmentToken).values({
        ...{ tenant: actor.tenant, hash: hashKey(token), dataPlane: made.resource.id },
        ...{ createdAt: new Date(now), expiresAt: new Date(now + tokenLifeMs) },
      })
      if (input.signingKey && input.encryptionKey)
        await addInstance(tx, ctx, actor.tenant, made.resource.id, {
          ...{ signingKey: input.signingKey, encryptionKey: input.encryptionKey },
          ...{ host: null, version: null },
        })
      return { ...made, extra: token }
    },
  )
  return { ...written, dataPlane: resource as Resource<'dataPlane'> | null, enrollmentToken: extra }
}

function checkSiteKeys(input: DataPlaneEnrollInput, errors: UserError[]) {
  const { signingKey, encryptionKey } = input
  if (!signingKey && !encryptionKey) return
  if (!signingKey || !isSigningKey(signingKey))
    errors.push(invalidInput(['signingKey'], 'must be an Ed25519 public key (PEM), given with encryptionKey'))
  if (!encryptionKey || !isEncryptionKey(encryptionKey))
    errors.push(invalidInput(['encryptionKey'], 'must be an age recipient (age1…), given with signingKey'))
}

async function declarePlane(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  lookup: Lookup,
  input: DataPlaneEnrollInput,
  errors: UserError[],
): Promise<{ resource: Resource; audit: AuditRow } | undefined> {
  const handle = handleOf('dataPlane', input.name)
  await lookup.load([handle])
  const known = lookup.find(handle)
  const { reason } = input
  const action = 'dataPlane.enroll'
  if (known?.kind === 'dataPlane') {
    if (known.spec.adapter !== input.adapter)
      return void errors.push(invalidInput(['adapter'], `${handle} is declared as ${known.spec.adapter}`))
    const targets = [{ id: known.id, name: known.name, changes: [] }]
    const audit = await record(tx, ctx, actor, { action, reason, targets })
    await ctx.db.notify(tx, 'records', actor.tenant)
    return { resource: known, audit }
  }
  const { name, adapter, labels } = input
  const draft = await draftNew(lookup, 'dataPlane', { name, adapter, labels }, ctx.clock.now(), errors)
  if (!draft || errors.length > 0) return undefined
  const changes = [changeOf(draft, (id) => id)]
  const { audit, resources } = await writeRevision(tx, ctx, actor, [draft], { action, reason, changes })
  return { resource: resources[0]!, audit }
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
  tenant: string
}

/** Exchanges an enrolment token for an identity; the refusal is a sentence. The same keys again give the same instance. */
export async function redeemToken(ctx: Context, redemption: Redemption): Promise<Redeemed | { refused: string }> {
  if (!isSigningKey(redemption.signingKey)) return { refused: 'The signing key is not an Ed25519 public key in PEM.' }
  if (!isEncryptionKey(redemption.encryptionKey)) return { refused: 'The encryption key is not an age recipient.' }
  return ctx.db.withInstallation(async (tx) => {
    const [token] = await tx
      .select()
      .from(enrolmentToken)
      .where(eq(enrolmentToken.hash, hashKey(redemption.token)))
    if (!token || token.expiresAt.getTime() <= ctx.clock.now())
      return { refused: 'The enrolment token is unknown or has expired; make a new one with dataPlaneEnroll.' }
    const { tenant, dataPlane } = token
    const [known] = await tx
      .select()
      .from(instance)
      .where(and(eq(instance.tenant, tenant), eq(instance.signingKey, redemption.signingKey)))
    if (known) return sameInstance(known, dataPlane, redemption)
    const id = await addInstance(tx, ctx, tenant, dataPlane, redemption)
    await tx
      .update(enrolmentToken)
      .set({ uses: sql`${enrolmentToken.uses} + 1` })
      .where(and(eq(enrolmentToken.tenant, tenant), eq(enrolmentToken.hash, token.hash)))
    await tellJoined(tx, ctx, tenant, dataPlane, id)
    return { instance: id, dataPlane, tenant }
  })
}

function sameInstance(known: InstanceRow, dataPlane: string, asked: Redemption): Redeemed | { refused: string } {
  const same = known.dataPlane === dataPlane && known.encryptionKey === asked.encryptionKey && !known.retiredAt
  if (!same) return { refused: 'This signing key belongs to another instance; let this one make its own keys.' }
  return { instance: known.id, dataPlane, tenant: known.tenant }
}

async function tellJoined(tx: Tx, ctx: Context, tenant: string, dataPlane: string, id: string) {
  const [plane] = await resourcesByIds(tx, tenant, [dataPlane])
  const actor: Actor = {
    ...{ kind: 'DATA_PLANE', id, name: plane?.name ?? dataPlane, tenant },
    ...{ principal: null, permissions: new Set() },
  }
  const targets = [{ id: dataPlane, name: plane?.name ?? dataPlane, changes: [] }]
  const audit = await record(tx, ctx, actor, { action: 'dataPlane.join', targets })
  await emit(tx, tenant, ctx.clock.now(), { kind: 'DATA_PLANE_CHANGED', dataPlane }, audit.sequence)
  await ctx.db.notify(tx, 'records', tenant)
  await ctx.db.notify(tx, 'planes', tenant)
}

async function addInstance(
  tx: Tx,
  ctx: Context,
  tenant: string,
  dataPlane: string,
  keys: { signingKey: string; encryptionKey: string; host: string | null; version: string | null },
): Promise<string> {
  const now = ctx.clock.now()
  const id = mintId('instance', now)
  const { signingKey, encryptionKey, host, version } = keys
  await tx.insert(instance).values({
    ...{ tenant, id, dataPlane, signingKey, encryptionKey, host, version },
    enrolledAt: new Date(now),
  })
  return id
}

function isSigningKey(pem: string): boolean {
  try {
    return createPublicKey(pem).asymmetricKeyType === 'ed25519' && !pem.includes('PRIVATE')
  } catch {
    return false
  }
}

const isEncryptionKey = (recipient: string) => /^age1[a-z0-9]{50,120}$/.test(recipient)

/** Across tenants: who a link says it is. */
export async function findInstance(ctx: Context, id: string): Promise<Instance | undefined> {
  return ctx.db.withInstallation(async (tx) => {
    const row = await instanceRow(tx, id)
    return row && instanceOf(row, await desiredRevisionOf(tx, row.tenant), ctx.clock.now())
  })
}

async function instanceRow(tx: Tx, id: string): Promise<InstanceRow | undefined> {
  const [row] = await tx.select().from(instance).where(eq(instance.id, id))
  return row
}

/** A link opened: the next epoch of this instance, larger than every one before. The old epoch's records are still taken. */
export async function openEpoch(
  ctx: Context,
  id: string,
  hello: { bootId: string; host: string; version: string },
): Promise<number> {
  return ctx.db.withInstallation(async (tx) => {
    const now = new Date(ctx.clock.now())
    const [row] = await tx
      .update(instance)
      .set({
        ...{ bootId: hello.bootId, host: hello.host, version: hello.version },
        ...{ startedAt: now, lastSeenAt: now, connectedAt: now, recordsThrough: null },
        epoch: sql`${instance.epoch} + 1`,
      })
      .where(eq(instance.id, id))
      .returning()
    if (!row) throw new Error(`there is no instance ${id}`)
    await tellState(tx, ctx, row, true)
    return row.epoch
  })
}

export interface Heartbeat {
  sentAtMs: number
  applied: { tenant: string; revision: number; deltaNumber: number; snapshotAgeMs: number }[]
  recordsThroughMs: number | null
}

const int4Max = 2_147_483_647

/** Notes a heartbeat; a change of state becomes an event. */
export async function seen(ctx: Context, id: string, heartbeat: Heartbeat): Promise<void> {
  await ctx.db.withInstallation(async (tx) => {
    const before = await instanceRow(tx, id)
    if (!before) return
    const nowMs = ctx.clock.now()
    const offsetMs = Math.round(heartbeat.sentAtMs - nowMs)
    const applied = heartbeat.applied.find(({ tenant }) => tenant === before.tenant)
    // Records carry the plane's clock, and so does this; but nothing is settled that lies in the future here.
    const through = Math.min(heartbeat.recordsThroughMs ?? heartbeat.sentAtMs, nowMs)
    const [row] = await tx
      .update(instance)
      .set({
        lastSeenAt: new Date(nowMs),
        connectedAt: before.connectedAt ?? new Date(nowMs),
        clockOffsetMs: Math.max(-int4Max, Math.min(int4Max, offsetMs)),
        recordsThrough: new Date(through),
        ...(applied && {
          activeRevision: applied.revision,
          deltaNumber: applied.deltaNumber,
          snapshotAgeMs: applied.snapshotAgeMs,
        }),
      })
      .where(eq(instance.id, id))
      .returning()
    await tellState(tx, ctx, row!, row!.activeRevision !== before.activeRevision)
  })
}

/** Its link closed. */
export async function gone(ctx: Context, id: string): Promise<void> {
  await ctx.db.withInstallation(async (tx) => {
    const [row] = await tx.update(instance).set({ connectedAt: null }).where(eq(instance.id, id)).returning()
    if (row) await tellState(tx, ctx, row, false)
  })
}

/** Tells of instances that have fallen silent: nothing arrives from them that could. Run every now and then. */
export async function tellSilent(ctx: Context): Promise<void> {
  await ctx.db.withInstallation(async (tx) => {
    const before = new Date(ctx.clock.now() - silentAfterMs)
    const silent = await tx
      .select()
      .from(instance)
      .where(and(isNull(instance.retiredAt), isNotNull(instance.connectedAt), lt(instance.lastSeenAt, before)))
    for (const row of silent) await tellState(tx, ctx, row, false)
  })
}

async function tellState(tx: Tx, ctx: Context, row: InstanceRow, anyway: boolean) {
  const nowMs = ctx.clock.now()
  const state = stateOf(row, await desiredRevisionOf(tx, row.tenant), nowMs)
  if (state === row.toldState && !anyway) return
  await tx.update(instance).set({ toldState: state }).where(eq(instance.id, row.id))
  await emit(tx, row.tenant, nowMs, { kind: 'DATA_PLANE_CHANGED', dataPlane: row.dataPlane })
  await ctx.db.notify(tx, 'records', row.tenant)
}
