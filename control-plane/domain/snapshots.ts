import type { KeyDelta } from '../../schema/snapshot.ts'
import type { Context } from './context.ts'

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

/** The tenant's configuration compiled at its newest revision; compiled when first asked for, then kept. */
export async function snapshotOf(ctx: Context, tenant: string): Promise<CurrentSnapshot> {
  void ctx, tenant
  throw new Error('not built yet')
}

/** A part's bytes by digest; undefined where this tenant has no such part. */
export async function part(ctx: Context, tenant: string, digest: string): Promise<Buffer | undefined> {
  void ctx, tenant, digest
  throw new Error('not built yet')
}

/** Key changes after `number`, in order, at most 10,000. */
export async function deltasSince(ctx: Context, tenant: string, number: number): Promise<KeyDelta[]> {
  void ctx, tenant, number
  throw new Error('not built yet')
}

/** The next sequence number for an envelope of this tenant, never given twice. */
export async function nextEnvelopeSequence(ctx: Context, tenant: string): Promise<number> {
  void ctx, tenant
  throw new Error('not built yet')
}
