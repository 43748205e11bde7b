import { and, eq, inArray, lt, sql } from 'drizzle-orm'
import type { SnapshotManifest } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { snapshot, snapshotPart } from '../db/tables.ts'
import { chunks } from './resources.ts'

/** Revisions whose parts are kept: a plane may still be fetching an older one. */
const snapshotsKept = 20
/** Of a hundred thousand keys one shard has 25 KB. */
const partsPerStatement = 16

/** Bytes by digest, of those that are there. */
export async function readParts(tx: Tx, tenant: string, digests: readonly string[]): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  for (const some of chunks(digests, partsPerStatement)) {
    const rows = await tx
      .select({ digest: snapshotPart.digest, bytes: snapshotPart.bytes })
      .from(snapshotPart)
      .where(and(eq(snapshotPart.tenant, tenant), inArray(snapshotPart.digest, some)))
    for (const { digest, bytes } of rows) found.set(digest, bytes)
  }
  return found
}

/** Keeps parts, by digest; those that are there stay. */
export async function writeParts(
  tx: Tx,
  tenant: string,
  parts: ReadonlyMap<string, Uint8Array>,
  createdAt: Date,
): Promise<void> {
  const rows = [...parts].map(([digest, bytes]) => ({ tenant, digest, bytes: Buffer.from(bytes), createdAt }))
  for (const some of chunks(rows, partsPerStatement)) await tx.insert(snapshotPart).values(some).onConflictDoNothing()
}

/** Forgets old revisions, and parts that no kept revision names; `newest` is the one that was just made. */
export async function prune(tx: Tx, tenant: string, newest: SnapshotManifest): Promise<void> {
  const [oldest] = await tx
    .select({ revision: snapshot.revision })
    .from(snapshot)
    .where(eq(snapshot.tenant, tenant))
    .orderBy(sql`${snapshot.revision} desc`)
    .offset(snapshotsKept - 1)
    .limit(1)
  if (!oldest) return
  const removed = await tx
    .delete(snapshot)
    .where(and(eq(snapshot.tenant, tenant), lt(snapshot.revision, oldest.revision)))
    .returning({ manifest: snapshot.manifest })
  const current = new Set(newest.parts.map(({ digest }) => digest))
  const leaving = new Set(
    removed
      .flatMap(({ manifest }) => (JSON.parse(manifest.toString()) as SnapshotManifest).parts)
      .flatMap(({ digest }) => (current.has(digest) ? [] : [digest])),
  )
  // Manifests stay in the database: twenty of them are half a megabyte, and few parts leave at once.
  const named = sql`exists (select 1 from ${snapshot} where ${snapshot.tenant} = ${tenant}
    and position(convert_to(${snapshotPart.digest}, 'UTF8') in ${snapshot.manifest}) > 0)`
  for (const some of chunks([...leaving], partsPerStatement))
    await tx
      .delete(snapshotPart)
      .where(and(eq(snapshotPart.tenant, tenant), inArray(snapshotPart.digest, some), sql`not ${named}`))
}
