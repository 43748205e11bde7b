import type { Codec, Platform, RetryCause, RouteStrategy } from './config/index.ts'
import type { Meter } from './config/prices.ts'
import type { SnapshotBudget } from './snapshot-budget.ts'
import type { SnapshotRateLimit } from './snapshot-limit.ts'
import type { SnapshotCondition, SnapshotPolicy, SnapshotRequestLabel, SnapshotTier } from './snapshot-policy.ts'

export type * from './snapshot-budget.ts'
export type * from './snapshot-limit.ts'
export type * from './snapshot-policy.ts'

/**
 * What a data plane runs from: one tenant's configuration at one revision, compiled. Everything refers to everything else by
 * position in a list, amounts are unit prices at 10⁻¹² as decimal digits, durations are milliseconds. Keys live in parts of
 * their own, see `key-table.ts`.
 */
export interface SnapshotConfig {
  schemaVersion: 1
  tenant: { id: string; name: string; currency: string; maxStalenessMs: number }
  revision: number
  /** What keys may do, shared by all keys that may do the same. */
  grants: Grant[]
  aliases: SnapshotAlias[]
  routes: SnapshotRoute[]
  models: SnapshotModel[]
  providers: SnapshotProvider[]
  credentials: SnapshotCredential[]
  /** Latest `effectiveFromMs` first. */
  priceSheets: SnapshotPriceSheet[]
  /** In the order of their ids. */
  tiers: SnapshotTier[]
  /** In the order of their keys. */
  requestLabels: SnapshotRequestLabel[]
  /** In the order they apply. */
  policies: SnapshotPolicy[]
  /** In the order of their ids. */
  budgets: SnapshotBudget[]
  /** In the order of their ids. */
  rateLimits: SnapshotRateLimit[]
}

export interface Grant {
  team: string | null
  project: string | null
  principal: string
  /** Ids of aliases; null = every alias. */
  aliases: string[] | null
  requestLabels: Record<string, string>
  /** CIDR ranges; empty = anywhere. */
  allowedAddresses: string[]
}

export interface SnapshotAlias {
  id: string
  /** As asked for; ends in `*` where it matches by prefix. */
  name: string
  route: number
  allowLossy: boolean
  deprecation: { sinceMs: number; removeAfterMs: number | null; use: string | null } | null
}

export interface SnapshotRoute {
  /** Null where an alias names its model without a route. */
  id: string | null
  /** A plane that does not know it does not run the snapshot. */
  strategy: RouteStrategy
  /**
   * `credential` null = any of the provider's, where it has some. `when` = the requests that it is for (BY_TASK); it asks nothing
   * about places.
   */
  targets: { model: number; credential: number | null; weight: number; when: SnapshotCondition | null }[]
  retry: { attempts: number; on: RetryCause[]; backoffMs: number }
  timeouts: { firstByteMs: number; idleMs: number; totalMs: number }
  breaker: { failures: number; windowMs: number; coolDownMs: number }
  /** Lower case. Requests with the same value go to the same target. */
  stickyHeader: string | null
}

export interface SnapshotModel {
  id: string
  name: string
  provider: number
  /** Ends in `*` where the model stands for all names with that prefix. */
  upstreamName: string
  region: string | null
  contextTokens: number | null
  maxOutputTokens: number | null
  defaultOutputTokens: number | null
  /** It may think, and bill for it, without showing it. */
  reasoning: boolean
  /** Its provider billed more than these limits allow: until they are raised, hard budgets refuse it. Absent = it did not. */
  boundsBroken?: boolean
  bounds: {
    tokensPerMessage: number
    tokensPerTool: number
    tokensPerImage: number | null
    tokensPerPage: number | null
    tokensPerAudioSecond: number | null
  }
}

export interface SnapshotProvider {
  id: string
  name: string
  platform: Platform
  codecs: Codec[]
  baseUrl: string | null
  region: string | null
  apiVersion: string | null
  selfHosted: boolean
  headers: Record<string, string>
  forwardHeaders: string[]
  proxy: string | null
  caBundle: string | null
}

export interface SnapshotCredential {
  id: string
  provider: number
  kind: 'API_KEY' | 'BEARER' | 'AWS_KEYS' | 'AWS_WEB_IDENTITY' | 'AZURE_ENTRA' | 'GCP_SERVICE_ACCOUNT' | 'NONE'
  source: 'STORED' | 'ENVIRONMENT' | 'FILE' | 'WORKLOAD_IDENTITY'
  locator: string | null
  version: number
}

export interface SnapshotPriceSheet {
  id: string
  effectiveFromMs: number
  /** Reserved and charged per attempt for a model without a line, at 10⁻¹²; null refuses. */
  unpricedCeiling: string | null
  lines: {
    model: number
    meter: Meter
    unitPrice: string
    aboveInputTokens: number | null
    serviceTier: string | null
  }[]
}

/**
 * The list of a snapshot's parts. The digest of the manifest's bytes is the content digest that an envelope signs; each part
 * is named by the SHA-256 of its bytes, so a plane fetches only the parts it lacks.
 */
export interface SnapshotManifest {
  schemaVersion: 1
  tenant: string
  revision: number
  /** `config`, `keys/00` … `keys/ff` (shards without keys are left out), `secrets`. */
  parts: { name: string; digest: string; bytes: number }[]
  /** Number of the newest key delta that these parts contain. */
  deltaNumber: number
}

/**
 * The `secrets` part: stored credentials by id, and where a label names persons the key of their pseudonyms, each sealed under the
 * content key (AES-256-GCM: nonce, ciphertext, tag).
 */
export type SealedSecrets = Record<string, string>

/** Under this name the secrets part holds 32 bytes in hex, which pseudonyms of persons are made with. */
export const pseudonymsName = 'pseudonyms'

/**
 * A change to one key that does not wait for a compile. Numbered per tenant without gaps; a snapshot states the number it
 * contains. The grant travels whole, since a new key may hold a grant that no snapshot has yet.
 */
export interface KeyDelta {
  number: number
  /** SHA-256 of the key, hex. */
  hash: string
  apiKey: string
  revoked: boolean
  /** Unix milliseconds; null = never. */
  expiresAtMs: number | null
  grant: Grant
}
