import {
  arrangeContent,
  type Content,
  checkPart,
  digestOf,
  manifestBytesMax,
  readManifest,
} from '../../air-gap/content.ts'
import type { Envelope } from '../../air-gap/envelope.ts'
import { type GapRefusal, isGapRefusal, refuseAtGap } from '../../air-gap/refusal.ts'
import type { SnapshotManifest } from '../../schema/snapshot.ts'

/** Gets a part from the control plane, at most so many bytes; undefined where it cannot be had now. */
export type FetchPart = (digest: string, bytesMax: number) => Promise<Uint8Array | undefined>

/** Where parts are kept. */
export interface PartShelf {
  part(digest: string): Promise<Uint8Array | undefined>
  writePart(digest: string, bytes: Uint8Array): Promise<void>
}

/** The network failed, not the content: to be tried again. */
export interface Unfetched {
  unfetched: string
}

const fetchesAtOnce = 8

/** A content with the manifest's bytes in `parts`, as everything of it by digest. */
export interface GatheredContent extends Content {
  parts: ReadonlyMap<string, Uint8Array>
}

/**
 * All parts of the content that a verified envelope names: those at hand, else from disk, else fetched (and put on disk). Each
 * is checked against its digest as it comes from disk or network, one at a time so that the event loop goes on; a damaged file is
 * fetched again. All or nothing.
 */
export async function gatherContent(
  envelope: Envelope,
  atHand: ReadonlyMap<string, Uint8Array>,
  shelf: PartShelf,
  fetchPart: FetchPart,
): Promise<GatheredContent | GapRefusal | Unfetched> {
  const digest = envelope.contentDigest
  const bytes = await obtainManifest(digest, shelf, fetchPart)
  if (!bytes) return { unfetched: 'The manifest could not be fetched.' }
  const manifest = readManifest(bytes, envelope)
  if (isGapRefusal(manifest)) return manifest
  const parts = new Map<string, Uint8Array>([[digest, bytes]])
  const refusal = await obtainParts(manifest, parts, atHand, shelf, fetchPart)
  if (refusal) return refusal
  const content = arrangeContent(manifest, digest, (name) => parts.get(name))
  return isGapRefusal(content) ? content : { ...content, parts }
}

async function obtainManifest(digest: string, shelf: PartShelf, fetchPart: FetchPart) {
  const kept = await shelf.part(digest)
  if (kept && digestOf(kept) === digest) return kept
  const bytes = await fetchPart(digest, manifestBytesMax)
  // What is not the manifest is left for `readManifest` to refuse, and is not kept.
  if (bytes && digestOf(bytes) === digest) await shelf.writePart(digest, bytes)
  return bytes
}

async function obtainParts(
  manifest: SnapshotManifest,
  parts: Map<string, Uint8Array>,
  atHand: ReadonlyMap<string, Uint8Array>,
  shelf: PartShelf,
  fetchPart: FetchPart,
): Promise<GapRefusal | Unfetched | undefined> {
  const waiting = manifest.parts.values()
  let failed: GapRefusal | Unfetched | undefined
  const work = async () => {
    for (const part of waiting) {
      if (failed) return
      const bytes = atHand.get(part.digest) ?? (await obtainPart(part, shelf, fetchPart))
      if (bytes instanceof Uint8Array) parts.set(part.digest, bytes)
      else failed ??= bytes
    }
  }
  await Promise.all(Array.from({ length: fetchesAtOnce }, work))
  return failed
}

async function obtainPart(
  part: SnapshotManifest['parts'][number],
  shelf: PartShelf,
  fetchPart: FetchPart,
): Promise<Uint8Array | GapRefusal | Unfetched> {
  const kept = await shelf.part(part.digest)
  if (kept && !checkPart(part, kept)) return kept
  const bytes = await fetchPart(part.digest, part.bytes)
  if (!bytes) return { unfetched: `Part ${part.name} could not be fetched.` }
  const refusal = checkPart(part, bytes)
  if (refusal) return refusal
  await shelf.writePart(part.digest, bytes)
  return bytes
}

/** For a start without the control plane: what is not on disk is not there. */
export const fetchNothing: FetchPart = () => Promise.resolve(undefined)

/** Tells a network failure from the rest. */
export function isUnfetched(value: object): value is Unfetched {
  return 'unfetched' in value
}

/** A refusal for content whose parts are not all on disk. */
export function notOnDisk(unfetched: Unfetched): GapRefusal {
  return refuseAtGap('missing_part', `It is not whole on disk. ${unfetched.unfetched}`)
}
