import { and, asc, desc, eq, gt, sql } from 'drizzle-orm'
import { digestOf, writeManifest } from '../../air-gap/index.ts'
import type { Resource } from '../../schema/config/index.ts'
import type { KeyDelta, SnapshotManifest } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { credentialSecret, keyDelta, snapshot, tenant as tenantTable } from '../db/tables.ts'
import { compile } from './compile.ts'
import type { Context } from './context.ts'
import { allKeyParts, keysForm, type LastSnapshot, nextKeyParts } from './key-parts.ts'
import { brokenModels, isBroken } from './ledger/model-bounds.ts'
import { everyKind, liveResources } from './resources.ts'
import { contentKeyOf, type SecretsState, secretsPart } from './secrets-part.ts'
import { prune, readParts, writeParts } from './snapshot-parts.ts'
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

const deltasMax = 2_000
/** Another control plane's compile is waited for: a full one of a hundred thousand keys takes seconds. */
const compileMsMax = 60_000
const lookAgainMs = 20
/** One compile of a tenant at a time, over all control planes. */
const compileLock = 5_834_520_011

/** The tenant's configuration compiled at its newest revision; compiled when first asked for, then kept. */
export async function snapshotOf(ctx: Context, tenant: string): Promise<CurrentSnapshot> {
  const kept = async (tx: Tx) => read(tx, ctx, await tenantRow(tx, tenant))
  const build = async (tx: Tx) => {
    const row = await tenantRow(tx, tenant)
    const found = await read(tx, ctx, row)
    return found ?? ((await isOurs(tx, tenant)) ? store(tx, ctx, row) : undefined)
  }
  const beganMs = performance.now()
  while (performance.now() - beganMs < compileMsMax) {
    const found =
      (await ctx.db.withTenant(tenant, kept)) ??
      // One moment for everything that is read: a snapshot is of one revision.
      (await ctx.db.withTenant(tenant, build, { isolation: 'SNAPSHOT' }))
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
  }
  throw new Error(`another control plane compiles ${tenant} for longer than ${compileMsMax / 1_000} s`)
}

/** Whether nobody else compiles this tenant now; holds until the transaction ends. */
async function isOurs(tx: Tx, tenant: string): Promise<boolean> {
  const [row] = await tx.execute<{ ours: boolean }>(
    sql`select pg_try_advisory_xact_lock(hashtextextended(${tenant}, ${compileLock})) as ours`,
  )
  return row!.ours
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

/** Application keys are compiled apart, and of principals only the ids that keys name. */
const compiledWhole = everyKind.filter((kind) => kind !== 'apiKey' && kind !== 'principal')

async function store(tx: Tx, ctx: Context, row: TenantRow): Promise<CurrentSnapshot> {
  const tenant = row.id
  const [nowMs, last] = [ctx.clock.now(), await lastSnapshot(tx, tenant)]
  const resources = await liveResources(tx, tenant, compiledWhole)
  const stored = await tx.select().from(credentialSecret).where(eq(credentialSecret.tenant, tenant))
  const versions = new Map(stored.map(({ credential, version }) => [credential, version]))
  const around = { tx, tenant, nowMs, projectOf: projectsById(resources) }
  const keys = (last && (await nextKeyParts(around, last))) ?? (await allKeyParts(around))
  const broken = await brokenModels(tx, tenant)
  const compiled = compile(row.configRevision, resources, keys.grants, versions, (model) => isBroken(broken, model))
  const config = Buffer.from(JSON.stringify(compiled))
  const namesPersons = compiled.requestLabels.some(({ subject }) => subject)
  const secrets = await secretsPart(tx, ctx, row, resources, stored, namesPersons, last?.secrets)
  const place = { tenant, revision: row.configRevision, deltaNumber: row.deltaLast }
  const named: [string, Buffer][] = [['config', config]]
  if (secrets.bytes) named.push(['secrets', secrets.bytes])
  const { manifest, ...written } = writeManifest({ ...place, parts: new Map(named), kept: keys.listed })
  const createdAt = new Date(nowMs)
  const made = named.map(([, bytes]) => [digestOf(bytes), bytes] as const)
  await writeParts(tx, tenant, new Map([...keys.made, ...made]), createdAt)
  await tx
    .insert(snapshot)
    .values({
      ...{ ...place, contentDigest: written.digest, manifest: written.bytes, createdAt },
      ...{ secretsState: secrets.state, secretsDigest: secrets.bytes && digestOf(secrets.bytes) },
      ...{ grantUses: keys.grantUses, keysForm },
    })
    // Where another transaction was faster this one is run again, and reads.
    .onConflictDoNothing()
  await prune(tx, tenant, manifest)
  return { ...place, contentDigest: written.digest, manifest: written.bytes, contentKey: contentKeyOf(ctx, row) }
}

const projectsById = (resources: Resource[]) =>
  new Map(resources.flatMap((one) => (one.kind === 'project' ? [[one.id, one] as const] : [])))

/** The newest one that is kept, of whichever revision. */
export async function lastSnapshot(
  tx: Tx,
  tenant: string,
): Promise<(LastSnapshot & { secrets: SecretsState }) | undefined> {
  const [last] = await tx
    .select()
    .from(snapshot)
    .where(eq(snapshot.tenant, tenant))
    .orderBy(desc(snapshot.revision))
    .limit(1)
  if (!last) return undefined
  const manifest = JSON.parse(last.manifest.toString()) as SnapshotManifest
  return { ...last, manifest, secrets: { state: last.secretsState, digest: last.secretsDigest } }
}

/** A part's bytes by digest; undefined where this tenant has no such part. */
export async function part(ctx: Context, tenant: string, digest: string): Promise<Buffer | undefined> {
  return ctx.db.withTenant(tenant, async (tx) => (await readParts(tx, tenant, [digest])).get(digest))
}

/** The bytes of a kept snapshot's manifest by its digest; undefined where this tenant has none such. */
export async function manifest(ctx: Context, tenant: string, digest: string): Promise<Buffer | undefined> {
  const [row] = await ctx.db.withTenant(tenant, (tx) =>
    tx
      .select({ manifest: snapshot.manifest })
      .from(snapshot)
      .where(and(eq(snapshot.tenant, tenant), eq(snapshot.contentDigest, digest)))
      .limit(1),
  )
  return row?.manifest
}

/** Key changes after `number`, in order, at most 2,000. */
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
