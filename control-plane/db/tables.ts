import { type SQL, sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  jsonb,
  numeric,
  pgPolicy,
  pgRole,
  pgSequence,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from 'drizzle-orm/pg-core'

/** Bytes; both drivers give a Uint8Array, the domain always sees a Buffer. */
const bytea = customType<{ data: Buffer; driverData: Uint8Array }>({
  dataType: () => 'bytea',
  fromDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
})

const at = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })
const count = (name: string) => bigint(name, { mode: 'number' })
const tenantId = () => text('tenant').notNull()
/** Money as an exact decimal: 10⁻¹² of the tenant's currency. */
const amount = (name: string) => numeric(name, { precision: 38, scale: 12 })

/** The roles that transactions speak as. They own nothing; `roles.ts` makes them, since a role belongs to the whole server. */
export const tenantRole = pgRole('sluice_tenant').existing()
export const installationRole = pgRole('sluice_installation').existing()

/**
 * The second wall behind each query's own condition. The setting of a transaction that ended reads as '' and not as null. The
 * role is asked for by name, since who may become a role has its policies too.
 */
const walls = (column: SQL = sql`tenant`) => {
  const own = sql`${column} = nullif(current_setting('app.tenant', true), '') and current_user = 'sluice_tenant'`
  const all = sql`current_user = 'sluice_installation'`
  return [
    pgPolicy('own_tenant', { for: 'all', to: tenantRole, using: own, withCheck: own }),
    pgPolicy('installation', { for: 'all', to: installationRole, using: all, withCheck: all }),
  ]
}

/** One row, made at first start. Tenants have no business with it: it has no policy and no grant for them. */
export const installation = pgTable('installation', {
  id: text('id').primaryKey(),
  createdAt: at('created_at').notNull(),
  /** A known text sealed by the master key, so that a wrong key is noticed at start and not at the first request. */
  masterCheck: bytea('master_check').notNull(),
  /** The signed trust root that planes pin, as JSON. */
  trustRoot: jsonb('trust_root').notNull(),
  sealedRootKey: bytea('sealed_root_key').notNull(),
  sealedOnlineKey: bytea('sealed_online_key').notNull(),
})

/** The row that every write of a tenant locks; it hands out the numbers that must have no gap. */
export const tenant = pgTable(
  'tenant',
  {
    id: text('id').primaryKey(),
    createdAt: at('created_at').notNull(),
    configRevision: count('config_revision').notNull().default(0),
    auditNext: count('audit_next').notNull().default(0),
    auditHash: text('audit_hash').notNull(),
    /** Number of the newest key delta; 0 = none. */
    deltaLast: count('delta_last').notNull().default(0),
    envelopeLast: count('envelope_last').notNull().default(0),
    /** Opens the snapshot's secrets part; changed whenever a secret changes. */
    sealedContentKey: bytea('sealed_content_key').notNull(),
    /** The installation's first tenant: its owners operate the installation. */
    operates: boolean('operates').notNull().default(false),
  },
  () => walls(sql`id`),
)

/** Everything that is declared, of every kind. `spec` is what the kind's zod declaration gives, with references by id. */
export const resource = pgTable(
  'resource',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    kind: text('kind').notNull(),
    name: text('name').notNull(),
    labels: jsonb('labels').$type<Record<string, string>>().notNull(),
    spec: jsonb('spec').$type<Record<string, unknown>>().notNull(),
    revision: count('revision').notNull(),
    createdAt: at('created_at').notNull(),
    updatedAt: at('updated_at').notNull(),
    archivedAt: at('archived_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    uniqueIndex('resource_name').on(table.tenant, table.kind, table.name).where(sql`archived_at is null`),
    index('resource_kind').on(table.tenant, table.kind, table.id),
    index('resource_revision').on(table.tenant, table.kind, table.revision),
  ],
)

export const resourceHistory = pgTable(
  'resource_history',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    revision: count('revision').notNull(),
    kind: text('kind').notNull(),
    name: text('name').notNull(),
    labels: jsonb('labels').$type<Record<string, string>>().notNull(),
    spec: jsonb('spec').$type<Record<string, unknown>>().notNull(),
    archived: boolean('archived').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.id, table.revision] })],
)

/** Who names whom, kept beside the specs so that "still referenced" and impact are index lookups. */
export const resourceReference = pgTable(
  'resource_reference',
  {
    tenant: tenantId(),
    fromId: text('from_id').notNull(),
    path: text('path').notNull(),
    toId: text('to_id').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.fromId, table.path] }),
    index('resource_reference_to').on(table.tenant, table.toId),
  ],
)

/** The secrets of a key: one, or two while it is being rotated. Only hashes. */
export const apiKeySecret = pgTable(
  'api_key_secret',
  {
    tenant: tenantId(),
    apiKey: text('api_key').notNull(),
    hash: bytea('hash').notNull(),
    prefix: text('prefix').notNull(),
    createdAt: at('created_at').notNull(),
    /** End of the overlap, once it was rotated away. The key's own expiry is in its spec. */
    expiresAt: at('expires_at'),
    /** Set when a newer secret has taken this one's place. */
    rotatedAt: at('rotated_at'),
    revokedAt: at('revoked_at'),
    lastUsedAt: at('last_used_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.apiKey, table.hash] }),
    uniqueIndex('api_key_secret_hash').on(table.hash),
  ],
)

/** How principals sign in. One (issuer, subject) is one principal over all tenants, so it also tells the tenant. */
export const identity = pgTable(
  'identity',
  {
    tenant: tenantId(),
    /** SHA-256 of issuer and subject, which together may be longer than an index takes. */
    digest: bytea('digest').notNull(),
    issuer: text('issuer').notNull(),
    subject: text('subject').notNull(),
    principal: text('principal').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.digest] }),
    uniqueIndex('identity_once').on(table.digest),
    index('identity_principal').on(table.tenant, table.principal),
  ],
)

/** Browsers that are signed in, and one-time links that have not been opened. `tenant` is where the principal is at home. */
export const browserSession = pgTable(
  'browser_session',
  {
    tenant: tenantId(),
    /** SHA-256 of what the browser holds. */
    hash: bytea('hash').notNull(),
    kind: text('kind').$type<'TICKET' | 'SESSION'>().notNull(),
    principal: text('principal').notNull(),
    /** Whose identity it carries; what that may do is looked up at each request. */
    issuer: text('issuer').notNull(),
    subject: text('subject').notNull(),
    /** The tenant an operator of the installation acts in. */
    actsIn: text('acts_in'),
    createdAt: at('created_at').notNull(),
    expiresAt: at('expires_at').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.hash] }),
    uniqueIndex('browser_session_hash').on(table.hash),
    index('browser_session_principal').on(table.tenant, table.principal, table.createdAt),
    index('browser_session_expiry').on(table.expiresAt),
  ],
)

export const credentialSecret = pgTable(
  'credential_secret',
  {
    tenant: tenantId(),
    credential: text('credential').notNull(),
    version: integer('version').notNull(),
    sealed: bytea('sealed').notNull(),
    fingerprint: text('fingerprint').notNull(),
    rotatedAt: at('rotated_at').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.credential] })],
)

export const idempotency = pgTable(
  'idempotency',
  {
    tenant: tenantId(),
    /** Whose key it is: what others used says nothing to it. */
    principal: text('principal').notNull(),
    key: text('key').notNull(),
    operation: text('operation').notNull(),
    bodyDigest: text('body_digest').notNull(),
    result: jsonb('result').notNull(),
    firstUsedAt: at('first_used_at').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.principal, table.key] }),
    index('idempotency_age').on(table.tenant, table.firstUsedAt),
  ],
)

/** `body` is the leaf: canonical JSON, hashed and chained. What may not be in a leaf stands beside it. */
export const auditEntry = pgTable(
  'audit_entry',
  {
    tenant: tenantId(),
    sequence: count('sequence').notNull(),
    id: text('id').notNull(),
    at: at('at').notNull(),
    revision: count('revision'),
    actorId: text('actor_id').notNull(),
    action: text('action').notNull(),
    targetIds: jsonb('target_ids').$type<string[]>().notNull(),
    correlation: text('correlation').notNull(),
    allowed: boolean('allowed').notNull(),
    body: text('body').notNull(),
    /** Names, texts and personal fields: erasable without touching the chain. */
    beside: jsonb('beside').notNull(),
    previousHash: text('previous_hash').notNull(),
    hash: text('hash').notNull(),
    /** Number in the tenant's log; null until the sequencer gave it. */
    number: count('number'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.sequence] }),
    uniqueIndex('audit_entry_id').on(table.tenant, table.id),
    index('audit_entry_pending').on(table.tenant, table.sequence).where(sql`number is null`),
  ],
)

/** Events for streams. Inserted pending with the change they tell of; the sequencer gives them their place. */
export const outboxEvent = pgTable(
  'outbox_event',
  {
    tenant: tenantId(),
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity(),
    kind: text('kind').notNull(),
    at: at('at').notNull(),
    body: jsonb('body').notNull(),
    /** The audit entry it belongs to; its number becomes the event's. */
    auditSequence: count('audit_sequence'),
    number: count('number'),
    sub: count('sub'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    uniqueIndex('outbox_event_position').on(table.tenant, table.number, table.sub),
    index('outbox_event_pending').on(table.tenant, table.id).where(sql`number is null`),
  ],
)

export const keyDelta = pgTable(
  'key_delta',
  {
    tenant: tenantId(),
    number: count('number').notNull(),
    at: at('at').notNull(),
    body: jsonb('body').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.number] })],
)

export const snapshot = pgTable(
  'snapshot',
  {
    tenant: tenantId(),
    revision: count('revision').notNull(),
    deltaNumber: count('delta_number').notNull(),
    contentDigest: text('content_digest').notNull(),
    /** The exact bytes whose digest an envelope signs. */
    manifest: bytea('manifest').notNull(),
    /** Which secrets, under which content key, the secrets part holds: the same ones keep the same part. */
    secretsState: text('secrets_state').notNull(),
    secretsDigest: text('secrets_digest'),
    /** For each grant of the configuration, how many key rows hold it: what nobody holds is free for the next revision's. */
    grantUses: jsonb('grant_uses').$type<number[]>().notNull(),
    /** What compiled its keys: the next revision takes over only what the same would make. */
    keysForm: text('keys_form').notNull(),
    createdAt: at('created_at').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.revision] })],
)

/** Parts are shared by revisions of one tenant; tenant first, so that nobody learns of another's by guessing a digest. */
export const snapshotPart = pgTable(
  'snapshot_part',
  {
    tenant: tenantId(),
    digest: text('digest').notNull(),
    bytes: bytea('bytes').notNull(),
    createdAt: at('created_at').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.digest] })],
)

export const enrolmentToken = pgTable(
  'enrolment_token',
  {
    tenant: tenantId(),
    hash: bytea('hash').notNull(),
    dataPlane: text('data_plane').notNull(),
    createdAt: at('created_at').notNull(),
    expiresAt: at('expires_at').notNull(),
    uses: integer('uses').notNull().default(0),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.hash] }),
    // One token may stand in several tenants, each with a row of its own.
    index('enrolment_token_hash').on(table.hash),
    index('enrolment_token_plane').on(table.tenant, table.dataPlane),
  ],
)

/** One process of a data plane, with a row in each tenant that it serves: same id, keys and epoch in all of them. */
export const instance = pgTable(
  'instance',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    dataPlane: text('data_plane').notNull(),
    signingKey: text('signing_key').notNull(),
    encryptionKey: text('encryption_key').notNull(),
    host: text('host'),
    version: text('version'),
    epoch: count('epoch').notNull().default(0),
    bootId: text('boot_id'),
    enrolledAt: at('enrolled_at').notNull(),
    startedAt: at('started_at'),
    lastSeenAt: at('last_seen_at'),
    /** Set while its link is open. */
    connectedAt: at('connected_at'),
    retiredAt: at('retired_at'),
    activeRevision: count('active_revision'),
    deltaNumber: count('delta_number'),
    snapshotAgeMs: count('snapshot_age_ms'),
    clockOffsetMs: integer('clock_offset_ms'),
    recordsThrough: at('records_through'),
    /** How it counts rate limits: SHARES, SHARED_STORE; null = not at all, or not any more. */
    limitSharing: text('limit_sharing'),
    /** The state last told in an event, so that each change is told once. */
    toldState: text('told_state'),
    /** When it last ended a report of every lease that it holds. */
    leasesReportedAt: at('leases_reported_at'),
    /** When its leases, all of them, were last given up for lost. */
    writtenOffAt: at('written_off_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    index('instance_id').on(table.id),
    index('instance_plane').on(table.tenant, table.dataPlane),
  ],
)

/**
 * Checks of providers under way: the control plane that is asked and the one that holds the gateway's link may be two. A row
 * lives for seconds.
 */
export const providerCheck = pgTable(
  'provider_check',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    provider: text('provider').notNull(),
    credential: text('credential'),
    /** Of the configuration to be checked. */
    revision: count('revision').notNull(),
    askedAt: at('asked_at').notNull(),
    /** The fleet that is wanted, then the one that took it; null = any. */
    dataPlane: text('data_plane'),
    /** Who makes the call; null = nobody yet. */
    instance: text('instance'),
    finding: jsonb('finding'),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.id] })],
)

/**
 * How rate limits are dealt among a tenant's instances: every control plane deals by this row alone, locked, so that all of them
 * agree. A deal is settled when nobody is waited for.
 */
export const limitDeal = pgTable(
  'limit_deal',
  {
    tenant: tenantId().primaryKey(),
    deal: count('deal').notNull(),
    /** Who has a part once it is settled, in the order of the parts. */
    target: jsonb('target').$type<string[]>().notNull(),
    /** Who may have something of a deal before. */
    holders: jsonb('holders').$type<string[]>().notNull(),
    /** Who has not said yet that it has no more than the least of both. */
    waiting: jsonb('waiting').$type<string[]>().notNull(),
    /** Nobody had anything before. */
    fresh: boolean('fresh').notNull(),
    dealtAt: at('dealt_at').notNull(),
  },
  () => walls(),
)

/** Where the control plane's copy of a chain ends. This row is the whole of deduplication. */
export const chainHead = pgTable(
  'chain_head',
  {
    tenant: tenantId(),
    instance: text('instance').notNull(),
    epoch: count('epoch').notNull(),
    sequence: count('sequence').notNull(),
    hash: text('hash').notNull(),
    updatedAt: at('updated_at').notNull(),
    quarantinedAt: at('quarantined_at'),
    reason: text('reason'),
    /** Two histories came under its name: the instance is granted nothing any more. */
    forked: boolean('forked').notNull().default(false),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.instance, table.epoch] })],
)

/** One value per batch of records. A sequence and not a row: ingesting one chain must not wait for another. */
export const recordArrival = pgSequence('record_arrival')

export const flightRecord = pgTable(
  'flight_record',
  {
    tenant: tenantId(),
    instance: text('instance').notNull(),
    epoch: count('epoch').notNull(),
    sequence: count('sequence').notNull(),
    id: text('id').notNull(),
    hash: text('hash').notNull(),
    /** One per batch, growing per tenant: pending records are numbered by arrival, then sequence. */
    arrival: count('arrival').notNull(),
    /** By the control plane's clock; the table is partitioned by it. */
    receivedAt: at('received_at').notNull(),
    /** Number in the tenant's log; null until the sequencer gave it. */
    number: count('number'),
    at: at('at').notNull(),
    team: text('team'),
    project: text('project'),
    principal: text('principal'),
    apiKey: text('api_key'),
    provider: text('provider'),
    model: text('model'),
    aliasId: text('alias_id'),
    alias: text('alias').notNull(),
    tier: text('tier'),
    dataPlane: text('data_plane').notNull(),
    traceId: text('trace_id'),
    outcome: text('outcome').notNull(),
    refusal: text('refusal'),
    requestLabels: jsonb('request_labels').$type<Record<string, string>>().notNull(),
    cost: amount('cost').notNull(),
    /** The exact canonical JSON that was hashed. */
    body: text('body').notNull(),
  },
  (table) => [
    ...walls(),
    // A partitioned table's keys hold what it is partitioned by. Once-only is the work of `chain_head`.
    primaryKey({ columns: [table.tenant, table.instance, table.epoch, table.sequence, table.receivedAt] }),
    index('flight_record_id').on(table.tenant, table.id),
    uniqueIndex('flight_record_number').on(table.tenant, table.number, table.receivedAt),
    index('flight_record_pending').on(table.tenant, table.arrival, table.sequence).where(sql`number is null`),
    index('flight_record_at').on(table.tenant, table.at, table.id),
    index('flight_record_exhausted').on(table.tenant, table.at).where(sql`refusal = 'budget_exhausted'`),
    index('flight_record_project').on(table.tenant, table.project, table.at),
    index('flight_record_api_key').on(table.tenant, table.apiKey, table.at),
  ],
)

/** The whole tuple that spending is attributed to; '' where a record names none. */
const dimensions = () => ({
  team: text('team').notNull(),
  project: text('project').notNull(),
  principal: text('principal').notNull(),
  apiKey: text('api_key').notNull(),
  provider: text('provider').notNull(),
  model: text('model').notNull(),
  alias: text('alias').notNull(),
  tier: text('tier').notNull(),
  dataPlane: text('data_plane').notNull(),
  requestLabels: jsonb('request_labels').$type<Record<string, string>>().notNull(),
})

const measures = () => ({
  cost: amount('cost').notNull(),
  requests: count('requests').notNull(),
  refused: count('refused').notNull(),
  failed: count('failed').notNull(),
  tokens: count('tokens').notNull(),
  inputTokens: count('input_tokens').notNull(),
  cachedInputTokens: count('cached_input_tokens').notNull(),
  outputTokens: count('output_tokens').notNull(),
  /** Requests per latency bucket, see `domain/latency.ts`. */
  latency: jsonb('latency').$type<number[]>().notNull(),
})

/** One row per full tuple of dimensions and minute, hour or day. */
export const spendRollup = pgTable(
  'spend_rollup',
  {
    tenant: tenantId(),
    interval: text('interval').$type<'MINUTE' | 'HOUR' | 'DAY'>().notNull(),
    at: at('at').notNull(),
    /** Digest of the dimensions, so that the key is short whatever the labels hold. */
    tuple: text('tuple').notNull(),
    ...dimensions(),
    ...measures(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.interval, table.at, table.tuple] })],
)

/** What one run of the sequencer added: records `first` … `number` of the log, per tuple and minute. */
export const spendTick = pgTable(
  'spend_tick',
  {
    tenant: tenantId(),
    number: count('number').notNull(),
    first: count('first').notNull(),
    /** By the control plane's clock; the table is partitioned by it. */
    writtenAt: at('written_at').notNull(),
    at: at('at').notNull(),
    tuple: text('tuple').notNull(),
    ...dimensions(),
    ...measures(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.number, table.at, table.tuple, table.writtenAt] }),
    index('spend_tick_written').on(table.tenant, table.writtenAt),
  ],
)

/** What happened that somebody is to know. Open until its condition ended; one open row per condition, whoever looks. */
export const alert = pgTable(
  'alert',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    /** Names rule, subject and level of the condition, so that it is raised once. */
    condition: text('condition').notNull(),
    /** Null: told without a rule. */
    rule: text('rule'),
    trigger: text('trigger').notNull(),
    severity: text('severity').notNull(),
    /** Id of a resource, where it is about one. */
    subject: text('subject'),
    raisedAt: at('raised_at').notNull(),
    summary: text('summary').notNull(),
    /** What the judgement was made from, as texts. */
    figures: jsonb('figures').$type<Record<string, string>>().notNull(),
    resolvedAt: at('resolved_at'),
    acknowledgedAt: at('acknowledged_at'),
    acknowledgedBy: jsonb('acknowledged_by'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    uniqueIndex('alert_open').on(table.tenant, table.condition).where(sql`resolved_at is null`),
    index('alert_resolved').on(table.tenant, table.resolvedAt),
  ],
)

/** Secrets that a webhook's deliveries are signed with: one, or two while it is being rotated. */
export const webhookSecret = pgTable(
  'webhook_secret',
  {
    tenant: tenantId(),
    webhook: text('webhook').notNull(),
    version: integer('version').notNull(),
    sealed: bytea('sealed').notNull(),
    createdAt: at('created_at').notNull(),
    /** End of the overlap, once it was rotated away. */
    expiresAt: at('expires_at'),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.webhook, table.version] })],
)

/** What is to be sent, and was: the outbox of webhooks. Written in the transaction of the event it tells of. */
export const webhookDelivery = pgTable(
  'webhook_delivery',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    webhook: text('webhook').notNull(),
    event: text('event').notNull(),
    /** Row of outbox_event; null for a test. */
    eventId: count('event_id'),
    at: at('at').notNull(),
    /** The exact text that is signed, the same at each attempt; null until the first, when the event has its place. */
    body: text('body'),
    attempts: integer('attempts').notNull().default(0),
    /** Null once it is over. While an attempt is under way: when another may be made should this one be lost. */
    nextAt: at('next_at'),
    lastAttemptAt: at('last_attempt_at'),
    /** Of the last answer; null where there was none. */
    status: integer('status'),
    /** Why there was no good answer, as one of a few words. */
    fault: text('fault'),
    deliveredAt: at('delivered_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    index('webhook_delivery_due').on(table.nextAt).where(sql`next_at is not null`),
    index('webhook_delivery_webhook').on(table.tenant, table.webhook, table.id),
    index('webhook_delivery_age').on(table.at),
  ],
)

/** How far a tenant's log has come. `lastSub` counts events that follow `lastNumber` without a leaf of their own. */
export const logState = pgTable(
  'log_state',
  {
    tenant: text('tenant').primaryKey(),
    lastNumber: count('last_number').notNull().default(-1),
    lastSub: count('last_sub').notNull().default(0),
    /** Events up to here are no longer kept. */
    eventsPruned: count('events_pruned').notNull().default(-1),
    recordsPruned: count('records_pruned').notNull().default(-1),
    ticksPruned: count('ticks_pruned').notNull().default(-1),
  },
  () => walls(),
)

const windowBounds = () => ({
  /** Unix milliseconds of the control plane's clock. */
  windowFrom: count('window_from').notNull(),
  windowTo: count('window_to').notNull(),
})
/** '' = the budget has one counter for its whole scope. */
const subject = () => text('subject').notNull()

/**
 * What a grant locks. The limit is what is declared. `committed` is the sum over the counter's leases of granted − returned −
 * overrun − aged: what a grant is held to. A ROLLING period has one row over all time.
 */
export const budgetCounter = pgTable(
  'budget_counter',
  {
    tenant: tenantId(),
    budget: text('budget').notNull(),
    subject: subject(),
    ...windowBounds(),
    createdAt: at('created_at').notNull(),
    /** As declared when it was last written: what a window that is over is carried over by. */
    limit: amount('limit_amount').notNull(),
    adjustments: amount('adjustments').notNull().default('0'),
    committed: amount('committed').notNull().default('0'),
    overruns: amount('overruns').notNull().default('0'),
    released: amount('released').notNull().default('0'),
    /** Set once what was left of it went to a later window. */
    carriedAt: at('carried_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.budget, table.subject, table.windowFrom, table.windowTo] }),
    index('budget_counter_ended').on(table.windowTo).where(sql`carried_at is null`),
  ],
)

/**
 * Money that an instance may spend under one counter. Of the totals `granted` is the control plane's, `returned` the instance's
 * and `posted` that of its records; none is ever lowered. Epoch 0 holds what was posted from no lease.
 */
export const lease = pgTable(
  'lease',
  {
    tenant: tenantId(),
    budget: text('budget').notNull(),
    subject: subject(),
    /** Of a ROLLING period a sub-window. */
    ...windowBounds(),
    instance: text('instance').notNull(),
    epoch: count('epoch').notNull(),
    /** Its counter is the one over all time. */
    rolling: boolean('rolling').notNull(),
    createdAt: at('created_at').notNull(),
    granted: amount('granted').notNull().default('0'),
    returned: amount('returned').notNull().default('0'),
    posted: amount('posted').notNull().default('0'),
    /** What of it went beyond limit and adjustments. */
    overrun: amount('overrun').notNull().default('0'),
    /** What of it counts no longer, since its sub-window left the ring; set from then on. */
    aged: amount('aged').notNull().default('0'),
    agedAt: at('aged_at'),
    /** While set, granted − returned − posted is presumed spent. */
    writtenOffAt: at('written_off_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({
      // biome-ignore format: the key reads as one list
      columns: [table.tenant, table.budget, table.subject, table.windowFrom, table.windowTo, table.instance, table.epoch],
    }),
    index('lease_instance').on(table.tenant, table.instance),
    index('lease_open')
      .on(table.tenant, table.budget, table.subject)
      .where(sql`granted <> returned + posted or overrun <> 0 or (rolling and aged_at is null)`),
    index('lease_unaged').on(table.windowTo).where(sql`rolling and aged_at is null`),
    index('lease_exceeded').on(table.tenant).where(sql`epoch > 0 and posted > granted - returned`),
  ],
)

/** Money added to a counter, or taken from it where negative. `endedAt` = it counts no longer. */
export const budgetAdjustment = pgTable(
  'budget_adjustment',
  {
    tenant: tenantId(),
    id: text('id').notNull(),
    budget: text('budget').notNull(),
    subject: subject(),
    ...windowBounds(),
    at: at('at').notNull(),
    kind: text('kind').$type<'MANUAL' | 'CARRIED' | 'TAKEN_OVER'>().notNull(),
    amount: amount('amount').notNull(),
    reason: text('reason').notNull(),
    /** As in the audit log; null = the control plane itself. */
    actor: jsonb('actor'),
    expiresAt: at('expires_at'),
    endedAt: at('ended_at'),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    index('budget_adjustment_budget').on(table.tenant, table.budget, table.id),
    index('budget_adjustment_expiry').on(table.expiresAt).where(sql`ended_at is null`),
  ],
)

export const ledgerEntryKinds = [
  ...['OVERRUN', 'COVERED', 'AGED', 'RESTORED', 'WRITTEN_OFF', 'RELEASED', 'FORK', 'CARRIED'],
  ...['TAKEN_OVER', 'ADJUSTED', 'ADJUSTMENT_ENDED'],
] as const

/** What happened to a counter beside grants, returns and postings. Nothing here is edited; a correction is a new entry. */
export const ledgerEntry = pgTable(
  'ledger_entry',
  {
    tenant: tenantId(),
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity(),
    at: at('at').notNull(),
    kind: text('kind').$type<(typeof ledgerEntryKinds)[number]>().notNull(),
    budget: text('budget').notNull(),
    subject: subject(),
    ...windowBounds(),
    /** Whose lease it is about, where it is about one. */
    instance: text('instance'),
    epoch: count('epoch'),
    amount: amount('amount').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    index('ledger_entry_budget').on(table.tenant, table.budget, table.id),
  ],
)

/** What was last told of a counter in an event. The sequencer alone writes it, under the log's lock. */
export const budgetTold = pgTable(
  'budget_told',
  {
    tenant: tenantId(),
    budget: text('budget').notNull(),
    subject: subject(),
    ...windowBounds(),
    limit: amount('limit_amount').notNull(),
    adjustments: amount('adjustments').notNull(),
    committed: amount('committed').notNull(),
    overruns: amount('overruns').notNull(),
    released: amount('released').notNull(),
    /** Records were posted to it since. */
    moved: boolean('moved').notNull(),
    /** By the database's clock, since it is a pace; null = never. */
    toldAt: at('told_at'),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.budget, table.subject] })],
)

/** Money that an instance is to be asked back for. The control plane that holds its link takes the row; it lives for moments. */
export const leaseRecall = pgTable(
  'lease_recall',
  {
    tenant: tenantId(),
    id: bigint('id', { mode: 'number' }).generatedAlwaysAsIdentity(),
    instance: text('instance').notNull(),
    budget: text('budget').notNull(),
    subject: subject(),
    amount: amount('amount').notNull(),
    /** Until then also what comes free is wanted. */
    untilAt: at('until_at').notNull(),
  },
  (table) => [
    ...walls(),
    primaryKey({ columns: [table.tenant, table.id] }),
    index('lease_recall_instance').on(table.tenant, table.instance),
    index('lease_recall_age').on(table.untilAt),
  ],
)

/** One row per tenant whose books came from a backup: nothing is granted until every instance has said what it holds. */
export const ledgerRecovery = pgTable(
  'ledger_recovery',
  { tenant: text('tenant').primaryKey(), since: at('since').notNull() },
  () => walls(),
)

/** Models that cost more than their declared bounds allow. The row holds for the model as it was declared at `revision`. */
export const modelBounds = pgTable(
  'model_bounds',
  {
    tenant: tenantId(),
    model: text('model').notNull(),
    revision: count('revision').notNull(),
    at: at('at').notNull(),
    /** Id of the record that showed it. */
    record: text('record').notNull(),
  },
  (table) => [...walls(), primaryKey({ columns: [table.tenant, table.model] })],
)
