import { hash, randomBytes } from 'node:crypto'
import { idBytes, idFromBytes } from './ids.ts'

/**
 * Keys of a snapshot: 256 shards by the first byte of the key's SHA-256, each a flat table of 64-byte rows sorted by hash and
 * read in place, since 100,000 keys as objects would stall the event loop when a snapshot is swapped.
 *
 * Row: hash (32) · key id (16) · grant index (u32 LE) · flags (u32 LE, 1 = revoked) · expiry (f64 LE, Unix ms, 0 = never).
 */
export const keyRowBytes = 64

export interface KeyRow {
  /** SHA-256 of the whole key. */
  hash: Uint8Array
  apiKey: string
  grant: number
  revoked: boolean
  expiresAtMs: number | null
}

/** `slk_` (application) or `sla_` (admin) and 240 random bits. */
export function mintKey(prefix: 'slk' | 'sla' | 'sle' | 'sls'): string {
  return `${prefix}_${randomBytes(30).toString('base64url')}`
}

/** What is stored of a key. A plain hash is enough: 240 random bits cannot be guessed, so nothing is gained by stretching. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer')
}

/** First characters of a key, shown so that people can tell keys apart. */
export function keyPrefix(key: string): string {
  return key.slice(0, 10)
}

/** The name of a shard among a snapshot's parts: `keys/00` … `keys/ff`. */
export function shardName(first: number): string {
  return `keys/${first.toString(16).padStart(2, '0')}`
}

/** Shards by first byte of the hash; a shard without keys is absent. */
export function packKeys(rows: KeyRow[]): Map<number, Uint8Array> {
  const shards = new Map<number, KeyRow[]>()
  for (const row of rows) {
    const shard = shards.get(row.hash[0]!)
    if (shard) shard.push(row)
    else shards.set(row.hash[0]!, [row])
  }
  return new Map([...shards].map(([first, shard]) => [first, packShard(shard)]))
}

/** One shard from rows whose hashes begin with the same byte, in any order. */
export function packShard(rows: readonly KeyRow[]): Uint8Array {
  const bytes = Buffer.alloc(rows.length * keyRowBytes)
  const sorted = rows.toSorted((a, b) => Buffer.compare(a.hash, b.hash))
  sorted.forEach((row, index) => {
    const at = index * keyRowBytes
    bytes.set(row.hash, at)
    bytes.set(idBytes(row.apiKey), at + 32)
    bytes.writeUInt32LE(row.grant, at + 48)
    bytes.writeUInt32LE(row.revoked ? 1 : 0, at + 52)
    bytes.writeDoubleLE(row.expiresAtMs ?? 0, at + 56)
  })
  return bytes
}

/** Every row of a shard, by hash. Their hashes are views of the shard. */
export function readShard(shard: Uint8Array): KeyRow[] {
  return Array.from({ length: shard.byteLength / keyRowBytes }, (_, row) => readRow(shard, row * keyRowBytes))
}

/** True where the bytes are a well-formed shard: whole rows, strictly ascending, all with that first byte. */
export function isShard(bytes: Uint8Array, first: number): boolean {
  if (bytes.byteLength % keyRowBytes !== 0) return false
  for (let at = 0; at < bytes.byteLength; at += keyRowBytes) {
    if (bytes[at] !== first) return false
    if (at > 0 && Buffer.compare(bytes.subarray(at - keyRowBytes, at - 32), bytes.subarray(at, at + 32)) >= 0)
      return false
  }
  return true
}

/** Finds a key's row by its hash: a binary search over the shard's bytes. */
export function findKey(shard: Uint8Array, hash: Uint8Array): KeyRow | undefined {
  let low = 0
  let high = shard.byteLength / keyRowBytes - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const order = compareAt(shard, middle * keyRowBytes, hash)
    if (order === 0) return readRow(shard, middle * keyRowBytes)
    if (order < 0) low = middle + 1
    else high = middle - 1
  }
  return undefined
}

/** The rows of one key, in all shards: a walk over everything, for who knows its id and not its hash. */
export function rowsOfKey(shards: Iterable<Uint8Array>, apiKey: string): KeyRow[] {
  const id = idBytes(apiKey)
  const rows: KeyRow[] = []
  for (const shard of shards)
    for (let at = 0; at < shard.byteLength; at += keyRowBytes)
      if (id.equals(shard.subarray(at + 32, at + 48))) rows.push(readRow(shard, at))
  return rows
}

function compareAt(shard: Uint8Array, at: number, hash: Uint8Array): number {
  for (let index = 0; index < 32; index++) {
    const difference = shard[at + index]! - hash[index]!
    if (difference !== 0) return difference
  }
  return 0
}

function readRow(shard: Uint8Array, at: number): KeyRow {
  const view = new DataView(shard.buffer, shard.byteOffset + at, keyRowBytes)
  const expiry = view.getFloat64(56, true)
  return {
    hash: shard.subarray(at, at + 32),
    apiKey: idFromBytes('apiKey', shard.subarray(at + 32, at + 48)),
    grant: view.getUint32(48, true),
    revoked: (view.getUint32(52, true) & 1) === 1,
    expiresAtMs: expiry === 0 ? null : expiry,
  }
}
