import { createHash } from 'node:crypto'
import { z } from 'zod'
import { isShard } from '../schema/key-table.ts'
import type { SnapshotManifest } from '../schema/snapshot.ts'
import { type GapRefusal, refuseAtGap } from './refusal.ts'

/** `config`, `secrets`, and the 256 shards of keys. */
export const partsMax = 258
export const manifestBytesMax = 256 * 1024
export const partBytesMax = 128 * 1024 * 1024
export const contentBytesMax = 512 * 1024 * 1024

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const count = z.int().min(0)
const manifestShape = z.strictObject({
  schemaVersion: z.literal(1),
  tenant: z.string().min(1).max(64),
  revision: count,
  // Names first: they become file names, so nothing but these is a name.
  parts: z
    .array(
      z.strictObject({
        name: z.string().regex(/^(config|secrets|keys\/[0-9a-f]{2})$/),
        digest,
        bytes: z.int().min(0).max(partBytesMax),
      }),
    )
    .max(partsMax),
  deltaNumber: count,
})

/** A snapshot's parts as bytes, each checked against the manifest. */
export interface Content {
  manifest: SnapshotManifest
  digest: string
  config: Uint8Array
  /** By first byte of the key's hash. */
  shards: ReadonlyMap<number, Uint8Array>
  /** Null where no stored credential travels with this content. */
  secrets: Uint8Array | null
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/**
 * Lists parts in the order of their names; the digest of these bytes is the content's. `kept` are parts that an earlier manifest
 * listed and that did not change.
 */
export function writeManifest(options: {
  tenant: string
  revision: number
  deltaNumber: number
  parts: ReadonlyMap<string, Uint8Array>
  kept?: SnapshotManifest['parts']
}): { manifest: SnapshotManifest; bytes: Buffer; digest: string } {
  const manifest: SnapshotManifest = {
    schemaVersion: 1,
    tenant: options.tenant,
    revision: options.revision,
    parts: [
      ...[...options.parts].map(([name, bytes]) => ({ name, digest: digestOf(bytes), bytes: bytes.byteLength })),
      ...(options.kept ?? []),
    ].sort((a, b) => (a.name < b.name ? -1 : 1)),
    deltaNumber: options.deltaNumber,
  }
  const bytes = Buffer.from(JSON.stringify(manifest))
  return { manifest, bytes, digest: digestOf(bytes) }
}

/** What a signed envelope says its content is. */
export interface ContentClaim {
  tenant: string
  contentDigest: string
  revision: number
  deltaNumber: number
}

/** Reads a manifest whose digest a verified envelope names. The digest is compared before a byte is parsed. */
export function readManifest(bytes: Uint8Array, claim: ContentClaim): SnapshotManifest | GapRefusal {
  if (bytes.byteLength > manifestBytesMax)
    return refuseAtGap('too_large', `The manifest is larger than ${manifestBytesMax} bytes.`)
  if (digestOf(bytes) !== claim.contentDigest)
    return refuseAtGap('wrong_digest', 'The manifest is not the one that the envelope names.')
  const parsed = manifestShape.safeParse(parseJson(bytes))
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') || 'its form'
    return refuseAtGap('malformed', `The manifest cannot be read: ${at} is not as it must be.`)
  }
  return checkManifest(parsed.data, claim)
}

function checkManifest(manifest: SnapshotManifest, claim: ContentClaim): SnapshotManifest | GapRefusal {
  const { parts } = manifest
  if (new Set(parts.map((part) => part.name)).size !== parts.length)
    return refuseAtGap('malformed', 'The manifest names a part twice.')
  if (!parts.some((part) => part.name === 'config'))
    return refuseAtGap('missing_part', 'The manifest names no configuration.')
  if (parts.reduce((sum, part) => sum + part.bytes, 0) > contentBytesMax)
    return refuseAtGap('too_large', `The parts are larger than ${contentBytesMax} bytes in sum.`)
  if (manifest.tenant !== claim.tenant)
    return refuseAtGap('wrong_tenant', 'The manifest is of another tenant than its envelope.')
  if (manifest.revision !== claim.revision || manifest.deltaNumber !== claim.deltaNumber)
    return refuseAtGap('malformed', 'The manifest is of another revision than its envelope.')
  return manifest
}

/** Whether the bytes are the part: length first, then digest, and whether a shard of keys is one. */
export function checkPart(part: SnapshotManifest['parts'][number], bytes: Uint8Array): GapRefusal | undefined {
  const { name } = part
  if (bytes.byteLength !== part.bytes)
    return refuseAtGap('wrong_digest', `Part ${name} has ${bytes.byteLength} bytes instead of ${part.bytes}.`)
  if (digestOf(bytes) !== part.digest)
    return refuseAtGap('wrong_digest', `Part ${name} is not the one that the manifest names.`)
  const first = shardOf(name)
  if (first !== undefined && !isShard(bytes, first))
    return refuseAtGap('malformed', `Part ${name} is not a table of keys.`)
  return undefined
}

/** Checks every part and puts them together; all or nothing. Holds up the event loop for some 25 ms with 100,000 keys. */
export function assembleContent(
  manifest: SnapshotManifest,
  digest: string,
  find: (digest: string) => Uint8Array | undefined,
): Content | GapRefusal {
  for (const part of manifest.parts) {
    const bytes = find(part.digest)
    const refusal = bytes && checkPart(part, bytes)
    if (refusal) return refusal
  }
  return arrangeContent(manifest, digest, find)
}

/** Puts together parts that were checked one by one. */
export function arrangeContent(
  manifest: SnapshotManifest,
  digest: string,
  find: (digest: string) => Uint8Array | undefined,
): Content | GapRefusal {
  const shards = new Map<number, Uint8Array>()
  const named = new Map<string, Uint8Array>()
  for (const { name, digest: partDigest } of manifest.parts) {
    const bytes = find(partDigest)
    if (!bytes) return refuseAtGap('missing_part', `Part ${name} is missing.`)
    const first = shardOf(name)
    if (first === undefined) named.set(name, bytes)
    else shards.set(first, bytes)
  }
  return { manifest, digest, config: named.get('config')!, shards, secrets: named.get('secrets') ?? null }
}

/** The first byte of the hashes in a part of keys; undefined for the other parts. */
function shardOf(name: string): number | undefined {
  return name.startsWith('keys/') ? Number.parseInt(name.slice(5), 16) : undefined
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    return undefined
  }
}
