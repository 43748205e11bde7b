import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../adapters/ports/clock-system.ts'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { unlimitedLedger } from '../../adapters/ports/ledger-unlimited.ts'
import { fetchUpstream } from '../../adapters/ports/upstream-fetch.ts'
import { createMetrics } from '../../adapters/standalone/metrics.ts'
import { serveGateway } from '../../adapters/standalone/server.ts'
import type { Limiter } from '../../data-plane/limits/limiter.ts'
import { MemoryLimiter } from '../../data-plane/limits/memory.ts'
import type { Ledger } from '../../data-plane/ports.ts'
import { buildRunning } from '../../data-plane/snapshot/build.ts'
import { Freshness, KeyOverlay, runningSet, runningTenant } from '../../data-plane/snapshot/running-set.ts'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'
import { hashKey, type KeyRow, mintKey, packKeys } from '../../schema/key-table.ts'
import type {
  Grant,
  SnapshotConfig,
  SnapshotPolicy,
  SnapshotRequestLabel,
  SnapshotRoutingPolicy,
} from '../../schema/snapshot.ts'

/** What a test says of the configuration; everything else is a plain default. */
export interface Setup {
  /** Base URL of the provider, `/v1` included. */
  baseUrl: string
  /** Targets of the one route, as model names at the provider; each is a model of its own. */
  targets?: string[]
  strategy?: SnapshotConfig['routes'][number]['strategy']
  weights?: number[]
  retry?: Partial<SnapshotConfig['routes'][number]['retry']>
  timeouts?: Partial<SnapshotConfig['routes'][number]['timeouts']>
  breaker?: SnapshotConfig['routes'][number]['breaker']
  model?: Partial<SnapshotConfig['models'][number]>
  provider?: Partial<SnapshotConfig['providers'][number]>
  /** Several providers: each target's model is of the provider at its own place, the last for all that follow. */
  providers?: Partial<SnapshotConfig['providers'][number]>[]
  grant?: Partial<Grant>
  /** 10⁻¹² per token; null declares no price at all. */
  prices?: { input: bigint; output: bigint } | null
  unpricedCeiling?: string
  key?: { revoked?: boolean; expiresAtMs?: number }
  policies?: SnapshotConfig['policies']
  budgets?: SnapshotConfig['budgets']
  tiers?: SnapshotConfig['tiers']
  /** Who holds the money; without it there is enough for everything. */
  ledger?: Ledger
  rateLimits?: SnapshotConfig['rateLimits']
  limiter?: Limiter
  secret?: string
  /** By credential, where there are several. */
  secrets?: Record<string, string>
  /** What the operator allows; the scripted provider's address unless said otherwise. */
  privateHosts?: string[]
  bodyBytesMax?: number
  alias?: Partial<SnapshotConfig['aliases'][number]>
  /** Any other change, once the rest stands. */
  alter?: (config: SnapshotConfig) => void
  /** 32 bytes; absent = labels of persons cannot be kept. */
  pseudonymKey?: Uint8Array
}

/** A standalone gateway on a random port, with a real journal on disk, running from a snapshot built in memory. */
export async function startGateway(setup: Setup) {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-flow-'))
  const key = mintKey('slk')
  const set = runningSet([memberOf(setup, key)])
  const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'test', version: '0' }
  const recorder = await JournalRecorder.open({ dataDir, identity })
  recorder.openEpoch(1)
  const secret = setup.secret ?? 'sk-provider-secret'
  const upstream = fetchUpstream(
    { secretOf: ({ id }) => ({ expose: () => setup.secrets?.[id] ?? secret, fingerprint: 'f' }) },
    { privateHosts: setup.privateHosts ?? ['127.0.0.1', 'localhost'] },
  )
  const faults: string[] = []
  const gauges = { backlog: () => recorder.backlog, journalLagMs: () => 0, snapshots: () => set, nowMs: Date.now }
  const metrics = createMetrics(gauges, { fault: (sentence) => faults.push(sentence), closed: () => {} })
  const limiter = setup.limiter ?? new MemoryLimiter({ nowMs: () => performance.now() })
  const ports = {
    clock: systemClock,
    snapshots: { current: () => set },
    ledger: setup.ledger ?? unlimitedLedger,
    limiter,
    recorder,
  }
  const bodyBytesMax = setup.bodyBytesMax ?? 32 * 1024 * 1024
  const gateway = serveGateway({
    host: '127.0.0.1',
    port: 0,
    ports,
    upstream,
    metrics,
    bodyBytesMax,
    exchangesMax: 1000,
  })
  return {
    url: gateway.url,
    key,
    faults,
    dataDir,
    recorder,
    /** Every record of the one tenant, waiting until there are so many. */
    records: (count: number) => recordsOf(recorder, set.tenants.keys().next().value!, count),
    chat: (body: unknown, init: RequestInit = {}) => chat(gateway.url, key, body, init),
    async stop() {
      await gateway.drain(1_000)
      await recorder.close()
      rmSync(dataDir, { recursive: true })
    },
  }
}

export type TestGateway = Awaited<ReturnType<typeof startGateway>>

/** Posts a chat completion; a string goes out as it is. */
export function chat(url: string, key: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...init.headers },
  })
}

export const hello = { model: 'house', messages: [{ role: 'user', content: 'Hello' }] }

async function recordsOf(recorder: JournalRecorder, tenant: string, count: number): Promise<FlightRecord[]> {
  const deadlineMs = performance.now() + 10_000
  for (;;) {
    const texts = recorder.next(tenant, 1, 0, { records: 1000, bytes: 1e9 })
    if (texts.length >= count) return texts.map((text) => JSON.parse(text))
    if (performance.now() > deadlineMs) throw new Error(`${texts.length} records, not ${count}`)
    await Bun.sleep(5)
  }
}

function memberOf(setup: Setup, key: string) {
  const config = configOf(setup)
  setup.alter?.(config)
  const row: KeyRow = {
    hash: hashKey(key),
    apiKey: mintId('apiKey'),
    grant: 0,
    revoked: setup.key?.revoked ?? false,
    expiresAtMs: setup.key?.expiresAtMs ?? null,
  }
  const snapshot = buildRunning({
    tenant: config.tenant.id,
    revision: config.revision,
    deltaNumber: 0,
    sequence: 1,
    configDigest: 'd'.repeat(64),
    config: Buffer.from(JSON.stringify(config)),
    shards: packKeys([row]),
    pseudonymKey: setup.pseudonymKey,
  })
  if ('unreadable' in snapshot) throw new Error(snapshot.unreadable)
  const overlay = new KeyOverlay()
  return { tenant: runningTenant(snapshot, overlay, new Freshness(Date.now(), () => performance.now())), overlay }
}

function configOf(setup: Setup): SnapshotConfig {
  const names = setup.targets ?? ['gpt-test']
  return {
    schemaVersion: 1,
    tenant: { id: mintId('tenant'), name: 'acme', currency: 'USD', maxStalenessMs: 86_400_000 },
    revision: 7,
    grants: [
      {
        team: mintId('team'),
        project: mintId('project'),
        principal: mintId('principal'),
        aliases: null,
        requestLabels: {},
        allowedAddresses: [],
        ...setup.grant,
      },
    ],
    aliases: [{ id: mintId('alias'), name: 'house', route: 0, allowLossy: false, deprecation: null, ...setup.alias }],
    routes: [routeOf(setup, names)],
    models: names.map((name, index) => modelOf(setup, name, providerAt(setup, index))),
    providers: (setup.providers ?? [setup.provider ?? {}]).map((given) => providerOf(setup, given)),
    credentials: (setup.providers ?? [{}]).map((_, provider) => ({
      ...{ id: mintId('credential'), provider, kind: 'API_KEY', source: 'STORED', locator: null, version: 1 },
    })),
    priceSheets: sheetsOf(setup, names),
    tiers: setup.tiers ?? [],
    requestLabels: [],
    policies: setup.policies ?? [],
    budgets: setup.budgets ?? [],
    rateLimits: setup.rateLimits ?? [],
  }
}

/** A policy that says nothing but what is given, enforced over the whole tenant. */
export function routingPolicy(
  lists: Partial<SnapshotRoutingPolicy>,
  change: Partial<SnapshotPolicy> = {},
): SnapshotPolicy {
  return {
    ...policyOfKind('ROUTING'),
    spec: {
      ...{ kind: 'ROUTING', allowAliases: null, allowModels: null, allowTiers: null, denyModels: [], regions: null },
      ...lists,
    } as SnapshotRoutingPolicy,
    ...change,
  }
}

/** A label that any value may have, and none needs. */
export function labelOf(key: string, change: Partial<SnapshotRequestLabel> = {}): SnapshotRequestLabel {
  return { key, from: [], required: false, values: null, maxValues: 100, subject: false, ...change }
}

/** A policy over everything, of a kind that may be one that no plane knows. */
export function policyOfKind(kind: string): SnapshotConfig['policies'][number] {
  return {
    ...{ id: mintId('policy'), name: 'house', order: 0, mode: 'ENFORCE', onFailure: 'CLOSED', overridable: false },
    ...{ scope: { kind: 'TENANT' }, when: null, spec: { kind } as never },
  }
}

function routeOf(setup: Setup, names: string[]): SnapshotConfig['routes'][number] {
  return {
    id: mintId('route'),
    strategy: setup.strategy ?? 'PRIORITY',
    targets: names.map((_, model) => ({
      ...{ model, credential: providerAt(setup, model), weight: setup.weights?.[model] ?? 1, when: null },
    })),
    retry: {
      attempts: 3,
      on: ['CONNECT_FAILED', 'TIMEOUT', 'RATE_LIMITED', 'OVERLOADED', 'SERVER_ERROR'],
      backoffMs: 5,
      ...setup.retry,
    },
    timeouts: { firstByteMs: 5_000, idleMs: 5_000, totalMs: 20_000, ...setup.timeouts },
    breaker: setup.breaker ?? { failures: 100, windowMs: 10_000, coolDownMs: 10_000 },
    stickyHeader: null,
  }
}

const providerAt = ({ providers }: Setup, model: number) => Math.min(model, (providers?.length ?? 1) - 1)

function modelOf(setup: Setup, name: string, provider: number): SnapshotConfig['models'][number] {
  return {
    id: mintId('model'),
    name: `model-${name}`,
    provider,
    upstreamName: name,
    region: null,
    contextTokens: 8_000,
    maxOutputTokens: 1_000,
    defaultOutputTokens: null,
    reasoning: false,
    bounds: {
      tokensPerMessage: 16,
      tokensPerTool: 64,
      tokensPerImage: null,
      tokensPerPage: null,
      tokensPerAudioSecond: null,
    },
    ...setup.model,
  }
}

function providerOf(setup: Setup, given: Setup['provider']): SnapshotConfig['providers'][number] {
  return {
    id: mintId('provider'),
    name: 'scripted',
    platform: 'OPENAI_COMPATIBLE',
    codecs: ['OPENAI_CHAT'],
    baseUrl: setup.baseUrl,
    region: null,
    apiVersion: null,
    selfHosted: false,
    headers: {},
    forwardHeaders: [],
    proxy: null,
    caBundle: null,
    ...given,
  }
}

function sheetsOf(setup: Setup, names: string[]): SnapshotConfig['priceSheets'] {
  const { input, output } = setup.prices ?? { input: 150_000n, output: 600_000n }
  const line = (model: number, meter: 'INPUT_TOKENS' | 'OUTPUT_TOKENS', unitPrice: bigint) => ({
    model,
    meter,
    unitPrice: unitPrice.toString(),
    aboveInputTokens: null,
    serviceTier: null,
  })
  const lines =
    setup.prices === null
      ? []
      : names.flatMap((_, model) => [line(model, 'INPUT_TOKENS', input), line(model, 'OUTPUT_TOKENS', output)])
  return [{ id: mintId('priceSheet'), effectiveFromMs: 0, unpricedCeiling: setup.unpricedCeiling ?? null, lines }]
}
