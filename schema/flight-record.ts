import { hash } from 'node:crypto'
import type { Codec, Meter, RetryCause } from './config/index.ts'
import type { RefusalCode } from './refusals.ts'

/**
 * What is kept of one exchange, version 1. A hashed record cannot gain a field later, so every field that the Flight Recorder
 * will fill is here from the first record on, null until then. It holds ids, classes, counts, hashes and codes; no content, no
 * names, no addresses. Amounts are exact decimals in quotes, times are Unix milliseconds.
 *
 * Its canonical form is RFC 8785 (JCS). `makeRecord` writes the keys in that order, so that plain JSON.stringify is canonical.
 */
export interface FlightRecord {
  /** The model name that was asked for, cut at 200 characters. */
  alias: string
  aliasId: string | null
  apiKey: string | null
  at: number
  attempts: RecordAttempt[]
  authMethod: 'api_key' | 'none'
  bootId: string
  bundleSequence: number | null
  clientDisconnected: boolean
  configDigest: string
  cost: string
  currency: string
  dataPlane: string
  /** What policies decided, in the order they apply. */
  decisions: RecordDecision[]
  dialect: Codec
  epoch: number
  finishReason: string | null
  humanOverride: null
  id: string
  incident: RecordIncident | null
  instance: string
  level: RecordLevel
  lossy: string[]
  meters: RecordMeter[]
  model: string | null
  monotonicMs: number
  outcome: Outcome
  parent: string | null
  payload: {
    mode: 'NONE' | 'REDACTED' | 'FULL'
    request: string | null
    requestKey: string | null
    response: string | null
    responseKey: string | null
  }
  postings: RecordPosting[]
  previousHash: string
  priceSheet: string | null
  principal: string | null
  project: string | null
  provider: string | null
  refusal: RefusalCode | null
  region: string | null
  requestLabels: Record<string, string>
  reserved: string
  revision: number
  routeReason: string | null
  schemaVersion: 1
  /** Position in the chain of (instance, epoch, tenant), from 0. */
  sequence: number
  snapshotAgeMs: number
  status: number
  streamed: boolean
  task: string | null
  team: string | null
  tenant: string
  tier: string | null
  timing: { firstTokenMs: number | null; gatewayMs: number; totalMs: number }
  traceId: string | null
  /** Version of the gateway's software. */
  version: string
}

/**
 * Something that the operators should hear of. COST_ABOVE_CEILING: the provider billed more than the limits that are declared for
 * its model allow, so that `cost` of one attempt exceeds what was `reserved` for it; the whole cost is charged.
 */
export interface RecordIncident {
  code: 'COST_ABOVE_CEILING'
  /** Exact decimal, of the one attempt. */
  cost: string
  model: string
  /** Exact decimal, of the one attempt. */
  reserved: string
}

export type RecordLevel = 'STRICT' | 'STANDARD' | 'RELAXED'
export type Outcome = 'COMPLETED' | 'REFUSED' | 'FAILED' | 'CANCELLED'
/** CEILING: nobody knows, so the reserved maximum was charged (a crash, a cut stream). */
export type MeterSource = 'REPORTED' | 'ESTIMATED' | 'CEILING'

export interface RecordAttempt {
  at: number
  cause: RetryCause | null
  credential: string | null
  model: string
  status: number | null
  totalMs: number
  upstreamRequestId: string | null
}

export type PolicyVerdict = 'PASSED' | 'FLAGGED' | 'REDACTED' | 'BLOCKED' | 'ERRORED'

/**
 * What one policy said of a request that it covers. FLAGGED: it would have refused (OBSERVE), or some targets were passed over for
 * it. `detail` holds codes and ids, no names and no content.
 */
export interface RecordDecision {
  detail: string | null
  detector: string | null
  detectorHash: string | null
  detectorVersion: string | null
  findings: RecordFinding[]
  mode: 'ENFORCE' | 'OBSERVE'
  policy: string
  /** Bytes that were released, and bytes that the policy really looked at: a content policy's PASSED needs them equal. */
  releasedBytes: number
  scannedBytes: number
  /** Exact decimal. */
  score: string | null
  verdict: PolicyVerdict
}

/** A type and a place, never the text. */
export interface RecordFinding {
  action: 'BLOCK' | 'REDACT' | 'MASK' | 'HASH' | 'TOKENIZE' | 'FLAG'
  direction: 'REQUEST' | 'RESPONSE'
  end: number
  entity: string
  score: string | null
  start: number
}

export interface RecordMeter {
  cost: string
  meter: Meter
  quantity: number
  source: MeterSource
}

/**
 * Money that a record spends from one lease of the instance that wrote it. `leaseEpoch` 0 = from none: the budget only WARNs, so
 * it is posted without being guarded.
 */
export interface RecordPosting {
  amount: string
  budget: string
  leaseEpoch: number
  /** Whom a budget with a counter for each … counted; null = its one counter. */
  subject: string | null
  window: { from: number; to: number }
}

/** Hash of nothing: the `previousHash` of a chain's first record. */
export const chainStart = '0'.repeat(64)

/**
 * The canonical bytes of a record. The caller builds records with their keys in code-unit order and without lone surrogates;
 * for such values JSON.stringify is RFC 8785, at a third of the price of sorting again.
 */
export function canonicalRecord(record: FlightRecord): string {
  return JSON.stringify(record)
}

/** Hex SHA-256 over the canonical form; the next record of the chain names it as `previousHash`. */
export function recordHash(canonical: string): string {
  return hash('sha256', canonical, 'hex')
}
