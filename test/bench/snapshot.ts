import { buildRunning } from '../../data-plane/snapshot/build.ts'
import type { RunningSet } from '../../data-plane/snapshot/running.ts'
import { Freshness, KeyOverlay, runningSet, runningTenant } from '../../data-plane/snapshot/running-set.ts'
import type { Codec } from '../../schema/config/index.ts'
import { mintId } from '../../schema/ids.ts'
import { hashKey, mintKey, packKeys } from '../../schema/key-table.ts'
import type { SnapshotConfig } from '../../schema/snapshot.ts'
import type { SnapshotBudget } from '../../schema/snapshot-budget.ts'
import { alias, upstreamModel } from './payload.ts'

/** A small tenant as a gateway runs it: one priced model at one provider behind one alias, and a key. */
export function benchSnapshot(
  upstream: string,
  codec: Codec = 'OPENAI_CHAT',
  governed = false,
): { set: RunningSet; key: string; tenant: string; budgets: readonly SnapshotBudget[] } {
  const key = mintKey('slk')
  const config = governed ? withBounds(configOf(upstream, codec)) : configOf(upstream, codec)
  const row = { hash: hashKey(key), apiKey: mintId('apiKey'), grant: 0, revoked: false, expiresAtMs: null }
  const snapshot = buildRunning({
    tenant: config.tenant.id,
    revision: config.revision,
    deltaNumber: 0,
    sequence: 1,
    configDigest: 'd'.repeat(64),
    config: Buffer.from(JSON.stringify(config)),
    shards: packKeys([row]),
  })
  if ('unreadable' in snapshot) throw new Error(snapshot.unreadable)
  const overlay = new KeyOverlay()
  const tenant = runningTenant(snapshot, overlay, new Freshness(Date.now(), () => performance.now()))
  return { set: runningSet([{ tenant, overlay }]), key, tenant: config.tenant.id, budgets: config.budgets }
}

/** Budgets of the tenant, the team, the project and each person in it, and limits on requests and tokens: none is ever reached. */
function withBounds(config: SnapshotConfig): SnapshotConfig {
  const { team, project } = config.grants[0]!
  const rule = { period: 'MONTH' as const, windowMs: null, timeZone: 'UTC', anchorMs: null }
  const action = { onExhausted: 'BLOCK' as const, downgradeTo: null, waitForFundsMs: 1_000, rule }
  const budget = (name: string, scope: SnapshotBudget['scope'], per: SnapshotBudget['per'] = null): SnapshotBudget => {
    return { id: mintId('budget'), name, scope, per, ...action }
  }
  const inTeam = { kind: 'TEAM' as const, id: team! }
  const inProject = { kind: 'PROJECT' as const, id: project! }
  const limit = {
    scope: inProject,
    per: null,
    mode: 'ENFORCE' as const,
    windowMs: 60_000,
    limit: 1_000_000_000_000,
    burst: 1_000_000_000,
  }
  return {
    ...config,
    budgets: [
      budget('tenant', { kind: 'TENANT' }),
      budget('team', inTeam),
      budget('project', inProject),
      budget('person', inProject, 'PRINCIPAL'),
    ],
    rateLimits: [
      { ...limit, id: mintId('rateLimit'), name: 'requests', unit: 'REQUESTS' },
      { ...limit, id: mintId('rateLimit'), name: 'tokens', unit: 'TOKENS' },
    ],
  }
}

function configOf(upstream: string, codec: Codec): SnapshotConfig {
  const line = { model: 0, aboveInputTokens: null, serviceTier: null }
  return {
    schemaVersion: 1,
    tenant: { id: mintId('tenant'), name: 'bench', currency: 'USD', maxStalenessMs: 86_400_000 },
    revision: 1,
    grants: [
      {
        team: mintId('team'),
        project: mintId('project'),
        principal: mintId('principal'),
        aliases: null,
        requestLabels: { case: 'bench' },
        allowedAddresses: [],
      },
    ],
    aliases: [{ id: mintId('alias'), name: alias, route: 0, allowLossy: false, deprecation: null }],
    routes: [
      {
        id: mintId('route'),
        strategy: 'PRIORITY',
        targets: [{ model: 0, credential: 0, weight: 1, when: null }],
        retry: { attempts: 1, on: [], backoffMs: 5 },
        timeouts: { firstByteMs: 30_000, idleMs: 30_000, totalMs: 60_000 },
        breaker: { failures: 100, windowMs: 10_000, coolDownMs: 10_000 },
        stickyHeader: null,
      },
    ],
    models: [modelOf(codec)],
    providers: [providerOf(upstream, codec)],
    credentials: [
      { id: mintId('credential'), provider: 0, kind: 'API_KEY', source: 'STORED', locator: null, version: 1 },
    ],
    priceSheets: [
      {
        id: mintId('priceSheet'),
        effectiveFromMs: 0,
        unpricedCeiling: null,
        lines: [
          { ...line, meter: 'INPUT_TOKENS', unitPrice: '150000' },
          { ...line, meter: 'OUTPUT_TOKENS', unitPrice: '600000' },
        ],
      },
    ],
    tiers: [],
    requestLabels: [],
    policies: [],
    budgets: [],
    rateLimits: [],
  }
}

function modelOf(codec: Codec): SnapshotConfig['models'][number] {
  return {
    id: mintId('model'),
    name: 'bench',
    provider: 0,
    // A Claude that still takes a temperature, so that the translated request says all that the chat did.
    upstreamName: codec === 'ANTHROPIC_MESSAGES' ? 'claude-sonnet-4-5' : upstreamModel,
    region: null,
    contextTokens: 128_000,
    maxOutputTokens: 16_000,
    defaultOutputTokens: null,
    reasoning: false,
    bounds: {
      tokensPerMessage: 16,
      tokensPerTool: 64,
      tokensPerImage: null,
      tokensPerPage: null,
      tokensPerAudioSecond: null,
    },
  }
}

function providerOf(upstream: string, codec: Codec): SnapshotConfig['providers'][number] {
  return {
    id: mintId('provider'),
    name: 'stub',
    platform: 'OPENAI_COMPATIBLE',
    codecs: [codec],
    baseUrl: `${upstream}/v1`,
    region: null,
    apiVersion: null,
    selfHosted: false,
    headers: {},
    forwardHeaders: [],
    proxy: null,
    caBundle: null,
  }
}
