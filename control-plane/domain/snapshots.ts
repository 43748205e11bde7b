import { createHash } from 'node:crypto'
import { and, asc, desc, eq, gt, inArray, lt } from 'drizzle-orm'
import { digestOf, sealSecret, writeManifest } from '../../air-gap/index.ts'
import type { Resource } from '../../schema/config/index.ts'
import { type KeyDelta, pseudonymsName, type SnapshotManifest } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { credentialSecret, keyDelta, snapshot, snapshotPart, tenant as tenantTable } from '../db/tables.ts'
import { compile, type KeySecret } from './compile.ts'
import type { Context } from './context.ts'
import { contentKeyUse, secretUse } from './credentials.ts'
import { endOf, secretsOf } from './key-secrets.ts'
import { pseudonymKey } from './pseudonyms.ts'
import { chunks, everyKind, liveResources } from './resources.ts'
import { advanceTenant, lockTenant, type TenantRow } from './tenant-lock.ts'

export interface CurrentSnapshot {
  tenant: string
  revision: number
  /** Number of the newest key delta these parts contain. */
  deltaNumber: number
  /** SHA-256 of the manifest's bytes, hex. */
  contentDigest: string
  /** JSON of a SnapshotManifest, as bytes: exactly these are digested. */
  manifest: Buffer
  /** Opens the secrets part; 32 bytes, to be wrapped for each plane. Never logged. */
  contentKey: Buffer
}

const deltasMax = 10_000
/** Revisions whose parts are kept: a plane may still be fetching an older one. */
const snapshotsKept = 20
/** For so long a revoked or outdated secret is answered by name and not as unknown. */
const endedSecretsKeptMs = 30 * 86_400_000

/** The tenant's configuration compiled at its newest revision; compiled when first asked for, then kept. */
export async function snapshotOf(ctx: Context, tenant: string): Promise<CurrentSnapshot> {
  const kept = await ctx.db.withTenant(tenant, async (tx) => {
    const row = await tenantRow(tx, tenant)
    return read(tx, ctx, row)
  })
  if (kept) return kept
  const build = async (tx: Tx) => {
    const row = await tenantRow(tx, tenant)
    return (await read(tx, ctx, row)) ?? (await store(tx, ctx, row))
  }
  // One moment for everything that is read: a snapshot is of one revision.
  return ctx.db.withTenant(tenant, build, { isolation: 'SNAPSHOT' })
}

async function tenantRow(tx: Tx, tenant: string): Promise<TenantRow> {
  const [row] = await tx.select().from(tenantTable).where(eq(tenantTable.id, tenant))
  if (!row) throw new Error(`there is no tenant ${tenant}`)
  return row
}

async function read(tx: Tx, ctx: Context, row: TenantRow): Promise<CurrentSnapshot | undefined> {
  const [kept] = await tx
    .select()
    .from(snapshot)
    .where(and(eq(snapshot.tenant, row.id), eq(snapshot.revision, row.configRevision)))
  if (!kept) return undefined
  const { tenant, revision, deltaNumber, contentDigest, manifest } = kept
  return { tenant, revision, deltaNumber, contentDigest, manifest, contentKey: contentKeyOf(ctx, row) }
}

function contentKeyOf(ctx: Context, row: TenantRow): Buffer {
  const key = ctx.vault.open(contentKeyUse(row.id), row.sealedContentKey)
  if (!key) throw new Error(`the content key of ${row.id} does not open under this master key`)
  return key
}

async function store(tx: Tx, ctx: Context, row: TenantRow): Promise<CurrentSnapshot> {
  const tenant = row.id
  const resources = await liveResources(tx, tenant, everyKind)
  const stored = await tx.select().from(credentialSecret).where(eq(credentialSecret.tenant, tenant))
  const versions = new Map(stored.map(({ credential, version }) => [credential, version]))
  const keys = await keySecrets(tx, tenant, resources, ctx.clock.now())
  const { config, shards } = compile(row.configRevision, resources, keys, versions)
  const parts = new Map<string, Uint8Array>([['config', Buffer.from(JSON.stringify(config))], ...shards])
  const namesPersons = config.requestLabels.some(({ subject }) => subject)
  const secrets = await secretsPart(tx, ctx, row, resources, stored, namesPersons)
  if (secrets.bytes) parts.set('secrets', secrets.bytes)
  const { bytes: manifest, digest } = writeManifest({
    ...{ tenant, revision: row.configRevision, deltaNumber: row.deltaLast },
    parts,
  })
  const createdAt = new Date(ctx.clock.now())
  for (const part of parts.values()) {
    const written = { tenant, digest: digestOf(part), bytes: Buffer.from(part), createdAt }
    await tx.insert(snapshotPart).values(written).onConflictDoNothing()
  }
  const place = { tenant, revision: row.configRevision, deltaNumber: row.deltaLast, contentDigest: digest }
  const secretsDigest = secrets.bytes ? digestOf(secrets.bytes) : null
  await tx.insert(snapshot).values({ ...place, manifest, secretsState: secrets.state, secretsDigest, createdAt })
  await prune(tx, tenant)
  return { ...place, manifest, contentKey: contentKeyOf(ctx, row) }
}

async function keySecrets(tx: Tx, tenant: string, resources: Resource[], nowMs: number): Promise<KeySecret[]> {
  const keys = new Map(resources.flatMap((one) => (one.kind === 'apiKey' ? [[one.id, one] as const] : [])))
  const secrets = await secretsOf(tx, tenant, [...keys.keys()])
  return secrets.flatMap((secret) => {
    const expiresAtMs = endOf(keys.get(secret.apiKey)!, secret)
    const ended = Math.min(
      secret.revokedAt?.getTime() ?? Number.POSITIVE_INFINITY,
      expiresAtMs ?? Number.POSITIVE_INFINITY,
    )
    if (ended < nowMs - endedSecretsKeptMs) return []
    return [{ apiKey: secret.apiKey, hash: secret.hash, revoked: secret.revokedAt !== null, expiresAtMs }]
  })
}

/** Sealing is not repeatable, so the part is made anew only where a secret, or the key they are under, has changed. */
async function secretsPart(
  tx: Tx,
  ctx: Context,
  row: TenantRow,
  resources: Resource[],
  stored: (typeof credentialSecret.$inferSelect)[],
  namesPersons: boolean,
): Promise<{ state: string; bytes: Buffer | null }> {
  const wanted = new Set(
    resources.flatMap((one) => (one.kind === 'credential' && one.spec.source === 'STORED' ? [one.id] : [])),
  )
  const sealed = stored.filter(({ credential }) => wanted.has(credential))
  sealed.sort((a, b) => (a.credential < b.credential ? -1 : 1))
  const versions = sealed.map(({ credential, version }) => [credential, version])
  const held = namesPersons ? [...versions, [pseudonymsName, 1]] : versions
  const state = createHash('sha256').update(row.sealedContentKey).update(JSON.stringify(held)).digest('hex')
  if (held.length === 0) return { state, bytes: null }
  const [last] = await tx
    .select({ digest: snapshot.secretsDigest, state: snapshot.secretsState })
    .from(snapshot)
    .where(eq(snapshot.tenant, row.id))
    .orderBy(desc(snapshot.revision))
    .limit(1)
  const same = last?.state === state && last.digest ? await readPart(tx, row.id, last.digest) : undefined
  if (same) return { state, bytes: same }
  const contentKey = contentKeyOf(ctx, row)
  const entries = sealed.map(({ credential, version, sealed: bytes }): [string, string] => {
    const secret = ctx.vault.open(secretUse(credential, version), bytes)
    if (!secret) throw new Error(`the secret of ${credential} does not open under this master key`)
    return [credential, sealSecret(contentKey, row.id, credential, secret.toString())]
  })
  if (namesPersons)
    entries.push([pseudonymsName, sealSecret(contentKey, row.id, pseudonymsName, pseudonymKey(ctx, row.id))])
  return { state, bytes: Buffer.from(JSON.stringify(Object.fromEntries(entries))) }
}

/** Forgets old revisions, and parts that no kept revision names. */
async function prune(tx: Tx, tenant: string) {
  const newest = await tx
    .select({ revision: snapshot.revision, manifest: snapshot.manifest })
    .from(snapshot)
    .where(eq(snapshot.tenant, tenant))
    .orderBy(desc(snapshot.revision))
    .limit(snapshotsKept)
  const oldest = newest.at(-1)
  if (!oldest || newest.length < snapshotsKept) return
  const removed = await tx
    .delete(snapshot)
    .where(and(eq(snapshot.tenant, tenant), lt(snapshot.revision, oldest.revision)))
    .returning({ manifest: snapshot.manifest })
  const named = (rows: { manifest: Buffer }[]) =>
    rows.flatMap(({ manifest }) => (JSON.parse(manifest.toString()) as SnapshotManifest).parts.map((one) => one.digest))
  const kept = new Set(named(newest))
  const unused = [...new Set(named(removed))].filter((digest) => !kept.has(digest))
  for (const some of chunks(unused))
    await tx.delete(snapshotPart).where(and(eq(snapshotPart.tenant, tenant), inArray(snapshotPart.digest, some)))
}

async function readPart(tx: Tx, tenant: string, digest: string): Promise<Buffer | undefined> {
  const [row] = await tx
    .select({ bytes: snapshotPart.bytes })
    .from(snapshotPart)
    .where(and(eq(snapshotPart.tenant, tenant), eq(snapshotPart.digest, digest)))
  return row?.bytes
}

/** A part's bytes by digest; undefined where this tenant has no such part. */
export async function part(ctx: Context, tenant: string, digest: string): Promise<Buffer | undefined> {
  return ctx.db.withTenant(tenant, (tx) => readPart(tx, tenant, digest))
}

/** Key changes after `number`, in order, at most 10,000. */
export async function deltasSince(ctx: Context, tenant: string, number: number): Promise<KeyDelta[]> {
  const rows = await ctx.db.withTenant(tenant, (tx) =>
    tx
      .select({ body: keyDelta.body })
      .from(keyDelta)
      .where(and(eq(keyDelta.tenant, tenant), gt(keyDelta.number, number)))
      .orderBy(asc(keyDelta.number))
      .limit(deltasMax),
  )
  return rows.map(({ body }) => body as KeyDelta)
}

/** The next sequence number for an envelope of this tenant, never given twice. */
export async function nextEnvelopeSequence(ctx: Context, tenant: string): Promise<number> {
  return ctx.db.withTenant(tenant, async (tx) => {
    const envelopeLast = (await lockTenant(tx, tenant)).envelopeLast + 1
    await advanceTenant(tx, tenant, { envelopeLast })
    return envelopeLast
  })
}
