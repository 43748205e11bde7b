import { and, eq, gt, gte, isNull, lt, or, sql } from 'drizzle-orm'
import { digestOf } from '../../air-gap/index.ts'
import packageJson from '../../package.json' with { type: 'json' }
import type { Resource } from '../../schema/config/index.ts'
import { type KeyRow, packShard, readShard, shardName } from '../../schema/key-table.ts'
import type { Grant, SnapshotConfig, SnapshotManifest } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { apiKeySecret, keyDelta, resource } from '../db/tables.ts'
import { grantOf } from './compile.ts'
import { GrantTable } from './grant-table.ts'
import { type KeySecret, keySecretPages } from './key-rows.ts'
import { endOf } from './key-secrets.ts'
import { slices } from './slices.ts'
import { readParts } from './snapshot-parts.ts'

type Part = SnapshotManifest['parts'][number]

/** The newest snapshot of a tenant, from which the next one takes over what did not change. */
export interface LastSnapshot {
  revision: number
  deltaNumber: number
  manifest: SnapshotManifest
  grantUses: number[]
  keysForm: string
  createdAt: Date
}

/** By what keys are compiled here: the version, and the members of a grant. What something else compiled is not taken over. */
export const keysForm = `${packageJson.version} ${Object.keys(grantOf({ spec: {} as never }, undefined))}`

/** The keys of a snapshot: the grants for its configuration, and its shards. */
export interface KeyParts {
  grants: Grant[]
  /** For each grant, how many rows hold it. */
  grantUses: number[]
  /** Shards for the manifest: made ones, and those that stay as they are. */
  listed: Part[]
  /** Bytes of the made ones, by digest. */
  made: Map<string, Uint8Array>
}

/** What all keys of one snapshot are compiled with. */
interface Around {
  tx: Tx
  tenant: string
  projectOf: ReadonlyMap<string, Resource<'project'>>
  nowMs: number
}

/** More changed keys than this are cheaper to compile from the beginning. */
const changedKeysMax = 5_000
const dayMs = 86_400_000
/** For so long a revoked or outdated secret is answered by name and not as unknown. */
const endedSecretsKeptDays = 30

/** Secrets that ended before this are forgotten. It goes on once a day, so that on most days nothing leaves by itself. */
const forgottenBefore = (nowMs: number) => (Math.floor(nowMs / dayMs) - endedSecretsKeptDays) * dayMs

/** All keys, read from the beginning. */
export async function allKeyParts(around: Around): Promise<KeyParts> {
  const { tx, tenant, nowMs } = around
  const grants = new GrantTable()
  const shards = new Map<number, KeyRow[]>()
  for await (const page of keySecretPages(tx, tenant, { endedSinceMs: forgottenBefore(nowMs) })) {
    for (const secret of page) addTo(shards, rowOf(secret, grants, around))
  }
  const { listed, made } = await packAll(shards)
  return { ...grants.list(), listed, made }
}

/**
 * The same from the last snapshot and what changed since: a hundred thousand keys take seconds to read, a change of one is a shard
 * of 25 KB. Undefined where everything is to be read anew.
 */
export async function nextKeyParts(around: Around, last: LastSnapshot): Promise<KeyParts | undefined> {
  if (last.keysForm !== keysForm) return undefined
  const { tx, tenant } = around
  const changed = await changedKeys(around, last)
  const grants = changed && (await lastGrants(around, last))
  if (!changed || !grants) return undefined
  const secrets: KeySecret[] = []
  const endedSinceMs = forgottenBefore(last.createdAt.getTime())
  if (changed.size > 0)
    for await (const page of keySecretPages(tx, tenant, { keys: [...changed], endedSinceMs })) secrets.push(...page)
  const touched = new Set(secrets.map(({ hash }) => hash[0]!))
  const before = await readShards(around, last, touched)
  if (!before) return undefined
  const shards = new Map<number, KeyRow[]>([...touched].map((first) => [first, []]))
  for (const row of before) {
    if (!changed.has(row.apiKey)) addTo(shards, row)
    else if (!grants.release(row.grant)) return undefined
  }
  for (const secret of secrets) addTo(shards, rowOf(secret, grants, around))
  const { listed, made } = await packAll(shards)
  const replaced = new Set([...touched].map(shardName))
  const kept = last.manifest.parts.filter(({ name }) => name.startsWith('keys/') && !replaced.has(name))
  return { ...grants.list(), listed: [...kept, ...listed], made }
}

/** The row of a secret; undefined where it has none (any more). */
function rowOf(secret: KeySecret, grants: GrantTable, { projectOf, nowMs }: Around): KeyRow | undefined {
  if (secret.archivedAt) return undefined
  const { apiKey, hash, spec, revokedAt } = secret
  const expiresAtMs = endOf(secret, secret)
  const endedMs = Math.min(revokedAt?.getTime() ?? Number.POSITIVE_INFINITY, expiresAtMs ?? Number.POSITIVE_INFINITY)
  if (endedMs < forgottenBefore(nowMs)) return undefined
  const grant = grants.hold(grantOf(secret, spec.project ? projectOf.get(spec.project) : undefined))
  return { hash, apiKey, grant, revoked: revokedAt !== null, expiresAtMs }
}

function addTo(shards: Map<number, KeyRow[]>, row: KeyRow | undefined): void {
  if (!row) return
  const shard = shards.get(row.hash[0]!)
  if (shard) shard.push(row)
  else shards.set(row.hash[0]!, [row])
}

/** Shards as parts; those without a key are none. */
async function packAll(shards: ReadonlyMap<number, KeyRow[]>): Promise<Pick<KeyParts, 'listed' | 'made'>> {
  const slice = slices()
  const listed: Part[] = []
  const made = new Map<string, Uint8Array>()
  for (const [first, rows] of shards) {
    if (rows.length === 0) continue
    const bytes = packShard(rows)
    const digest = digestOf(bytes)
    listed.push({ name: shardName(first), digest, bytes: bytes.byteLength })
    made.set(digest, bytes)
    await slice()
  }
  return { listed, made }
}

/** Keys whose rows may differ from the last snapshot's: written, with other secrets, or to be forgotten. Undefined = too many. */
async function changedKeys({ tx, tenant, nowMs }: Around, last: LastSnapshot): Promise<Set<string> | undefined> {
  const limit = changedKeysMax + 1
  const written = await tx
    .select({ id: resource.id })
    .from(resource)
    .where(and(eq(resource.tenant, tenant), eq(resource.kind, 'apiKey'), gt(resource.revision, last.revision)))
    .limit(limit)
  const told = await tx
    .selectDistinct({ id: sql<string>`${keyDelta.body} ->> 'apiKey'` })
    .from(keyDelta)
    .where(and(eq(keyDelta.tenant, tenant), gt(keyDelta.number, last.deltaNumber)))
    .limit(limit)
  const window = { from: forgottenBefore(last.createdAt.getTime()), until: forgottenBefore(nowMs) }
  const ended = window.from < window.until ? await keysEndedIn(tx, tenant, window, limit) : []
  const changed = new Set([...written, ...told, ...ended].map(({ id }) => id))
  return changed.size > changedKeysMax ? undefined : changed
}

/** Keys of which a secret, or all by the key's own expiry, ended in that time. Reads every key, but once a day at most. */
async function keysEndedIn(tx: Tx, tenant: string, { from, until }: { from: number; until: number }, limit: number) {
  const [since, before] = [new Date(from), new Date(until)]
  const { revokedAt, expiresAt } = apiKeySecret
  const secretEnded = or(
    and(gte(revokedAt, since), lt(revokedAt, before)),
    and(gte(expiresAt, since), lt(expiresAt, before)),
  )
  const bySecret = await tx
    .selectDistinct({ id: apiKeySecret.apiKey })
    .from(apiKeySecret)
    .where(and(eq(apiKeySecret.tenant, tenant), secretEnded))
    .limit(limit)
  const end = sql`(${resource.spec} ->> 'expiresAt')::timestamptz`
  const live = and(eq(resource.tenant, tenant), eq(resource.kind, 'apiKey'), isNull(resource.archivedAt))
  const byKey = await tx
    .select({ id: resource.id })
    .from(resource)
    .where(and(live, sql`${end} >= ${since.toISOString()}`, sql`${end} < ${before.toISOString()}`))
    .limit(limit)
  return [...bySecret, ...byKey]
}

/** The last snapshot's grants. A project that moved to another team takes them along: no shard changes by it. */
async function lastGrants({ tx, tenant, projectOf }: Around, last: LastSnapshot): Promise<GrantTable | undefined> {
  const digest = last.manifest.parts.find(({ name }) => name === 'config')!.digest
  const bytes = (await readParts(tx, tenant, [digest])).get(digest)
  if (!bytes) return undefined
  const { grants } = JSON.parse(bytes.toString()) as SnapshotConfig
  const current = grants.map((grant) => {
    const project = grant.project === null ? undefined : projectOf.get(grant.project)
    return { ...grant, team: project?.spec.team ?? null }
  })
  return new GrantTable(current, last.grantUses)
}

/** Rows of these shards of the last snapshot; undefined where a part is not there any more. */
async function readShards(
  { tx, tenant }: Around,
  { manifest }: LastSnapshot,
  touched: ReadonlySet<number>,
): Promise<KeyRow[] | undefined> {
  const names = new Set([...touched].map(shardName))
  const digests = manifest.parts.flatMap(({ name, digest }) => (names.has(name) ? [digest] : []))
  const parts = await readParts(tx, tenant, digests)
  if (digests.some((digest) => !parts.has(digest))) return undefined
  const slice = slices()
  const rows: KeyRow[] = []
  for (const digest of digests) {
    for (const row of readShard(parts.get(digest)!)) rows.push(row)
    await slice()
  }
  return rows
}
