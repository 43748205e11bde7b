import { randomFillSync } from 'node:crypto'

/** What each kind of id begins with, so that a log line can be read without context. */
export const idPrefixes = {
  tenant: 'ten',
  team: 'tea',
  project: 'prj',
  principal: 'prn',
  apiKey: 'key',
  provider: 'prv',
  credential: 'crd',
  model: 'mdl',
  tier: 'tir',
  alias: 'als',
  route: 'rte',
  priceSheet: 'prs',
  budget: 'bud',
  budgetAdjustment: 'adj',
  rateLimit: 'rlm',
  policy: 'pol',
  webhook: 'whk',
  alertRule: 'alr',
  alert: 'alt',
  webhookDelivery: 'whd',
  dataPlane: 'dpl',
  instance: 'ins',
  request: 'req',
  audit: 'aud',
  installation: 'slc',
  correlation: 'cor',
} as const

export type IdKind = keyof typeof idPrefixes

const pool = new Uint8Array(16 * 256)
let poolAt = pool.length
let lastMs = 0
let counter = 0

/**
 * A new id: prefix, underscore, and a UUIDv7 (RFC 9562) as 32 hex digits. Ids minted by one process sort by the order
 * in which they were minted: the 12 bits after the time are a counter within one millisecond.
 */
export function mintId(kind: IdKind, nowMs = Date.now()): string {
  return `${idPrefixes[kind]}_${uuid7Hex(nowMs)}`
}

const idPattern = /^([a-z]{3})_[0-9a-f]{32}$/
const kindOfPrefix = new Map<string, IdKind>(
  Object.entries(idPrefixes).map(([kind, prefix]) => [prefix, kind as IdKind]),
)

/** The kind an id speaks of, or undefined where the text is not an id. */
export function idKind(id: string): IdKind | undefined {
  const match = idPattern.exec(id)
  return match ? kindOfPrefix.get(match[1]!) : undefined
}

/** The 16 bytes behind an id, for binary tables. */
export function idBytes(id: string): Buffer {
  return Buffer.from(id.slice(4), 'hex')
}

/** The id of a kind from its 16 bytes. */
export function idFromBytes(kind: IdKind, bytes: Uint8Array): string {
  return `${idPrefixes[kind]}_${Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('hex')}`
}

/** Random bytes are drawn 256 ids at a time: one system call per id would be felt on the hot path. */
function uuid7Hex(nowMs: number): string {
  if (poolAt === pool.length) {
    randomFillSync(pool)
    poolAt = 0
  }
  if (nowMs > lastMs) {
    lastMs = nowMs
    counter = 0
  } else if (++counter > 0xfff) {
    lastMs += 1
    counter = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  const sub = (0x7000 | counter).toString(16)
  pool[poolAt] = (pool[poolAt]! & 0x3f) | 0x80
  const random = Buffer.from(pool.buffer, poolAt, 8).toString('hex')
  poolAt += 16
  return time + sub + random
}
