import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../adapters/ports/clock-system.ts'
import { unlimitedLedger } from '../../adapters/ports/ledger-unlimited.ts'
import { MemoryRecorder } from '../../adapters/ports/recorder-memory.ts'
import { fetchUpstream } from '../../adapters/ports/upstream-fetch.ts'
import { createMetrics } from '../../adapters/standalone/metrics.ts'
import { type Gateway, serveGateway } from '../../adapters/standalone/server.ts'
import { type Explanation, explain } from '../../data-plane/explain.ts'
import { unlimited } from '../../data-plane/limits/unlimited.ts'
import { buildRunning } from '../../data-plane/snapshot/build.ts'
import type { RunningSet } from '../../data-plane/snapshot/running.ts'
import { emptySet, Freshness, KeyOverlay, runningSet, runningTenant } from '../../data-plane/snapshot/running-set.ts'
import { hashKey, mintKey, packKeys } from '../../schema/key-table.ts'
import type { SnapshotConfig } from '../../schema/snapshot.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { chat } from './gateway.ts'
import { type RandomRequest, randomConfig, randomRequest } from './random-config.ts'

const key = mintKey('slk')
const apiKey = `key_${'1'.repeat(32)}`
let upstream: ScriptedUpstream
let gateway: Gateway
let set: RunningSet = emptySet
const recorder = new MemoryRecorder()
const faults: string[] = []

beforeAll(async () => {
  upstream = await scriptedUpstream()
  upstream.otherwise(answers.chat('ok'))
  const gauges = { backlog: () => 0, journalLagMs: () => 0, snapshots: () => set, nowMs: Date.now }
  gateway = serveGateway({
    ...{ host: '127.0.0.1', port: 0, bodyBytesMax: 1e6, exchangesMax: 100 },
    ports: {
      clock: systemClock,
      snapshots: { current: () => set },
      ledger: unlimitedLedger,
      limiter: unlimited,
      recorder,
    },
    upstream: fetchUpstream(
      { secretOf: () => ({ expose: () => '', fingerprint: 'f' }) },
      { privateHosts: ['127.0.0.1'] },
    ),
    metrics: createMetrics(gauges, { fault: (sentence) => faults.push(sentence), closed: () => {} }),
  })
})
afterAll(async () => {
  await gateway?.drain(1_000)
  upstream?.stop()
})

const partsOf = (config: SnapshotConfig, baseUrl: string) => {
  const providers = config.providers.map((provider) => ({ ...provider, baseUrl }))
  return {
    ...{ tenant: 'ten_1', revision: config.revision, deltaNumber: 0, sequence: 1, configDigest: 'd' },
    config: Buffer.from(JSON.stringify({ ...config, providers })),
  }
}

/** What a gateway with this configuration really does, as its record has it. */
async function happens(config: SnapshotConfig, request: RandomRequest) {
  const row = { hash: hashKey(key), apiKey, grant: 0, revoked: false, expiresAtMs: null }
  const snapshot = buildRunning({ ...partsOf(config, `${upstream.url}/v1`), shards: packKeys([row]) })
  if ('unreadable' in snapshot) throw new Error(snapshot.unreadable)
  const overlay = new KeyOverlay()
  const freshness = new Freshness(Date.now(), () => performance.now())
  set = runningSet([{ tenant: runningTenant(snapshot, overlay, freshness), overlay }])
  const labels = Object.entries(request.labels).map(([label, value]) => `${label}=${value}`)
  const headers: Record<string, string> = labels.length > 0 ? { 'x-sluice-labels': labels.join(',') } : {}
  const answer = await chat(gateway.url, key, request.body, { headers })
  await answer.text()
  const record = recorder.records.pop()!
  return {
    refusal: answer.headers.get('x-sluice-refusal'),
    target: record.model,
    reserve: record.attempts.length > 0 ? record.reserved : null,
    record,
  }
}

async function explained(config: SnapshotConfig, request: RandomRequest): Promise<Explanation> {
  const explanation = await explain({
    parts: partsOf(config, 'http://nowhere.invalid'),
    caller: { apiKey, grant: config.grants[0]!, revoked: false, expiresAtMs: null },
    labels: request.labels,
    request: { dialect: 'OPENAI_CHAT', body: request.body, alias: null },
    nowMs: Date.now(),
  })
  if ('unreadable' in explanation) throw new Error(explanation.unreadable)
  return explanation
}

describe('an explanation', () => {
  it('says what a gateway does: the same refusal, or the same target and the same reserve', async () => {
    const told = new Map<string, number>()
    const sent = fc.asyncProperty(randomConfig, randomRequest, async (config, request) => {
      const [said, done] = [await explained(config, request), await happens(config, request)]
      told.set(said.refusal ?? 'served', (told.get(said.refusal ?? 'served') ?? 0) + 1)
      expect({
        refusal: said.refusal,
        target: said.target?.model ?? null,
        reserve: said.reserve?.amount ?? null,
      }).toEqual({ refusal: done.refusal, target: done.target, reserve: done.reserve })
      expect(said.steps.at(-1)!.verdict === 'BLOCKED').toBe(said.refusal !== null)
    })
    await fc.assert(sent, { numRuns: 1_000 })
    console.log(`explained and sent: ${[...told].map(([code, count]) => `${code} ${count}`).join(', ')}`)
    expect(faults).toEqual([])
    for (const code of [
      'served',
      'model_not_allowed',
      'region_not_allowed',
      'policy_unavailable',
      'request_not_allowed',
    ])
      expect([...told.keys()]).toContain(code)
  }, 120_000)

  it('tells the strategy, why this target is first, and which were left out and why', async () => {
    const [any] = fc.sample(
      randomConfig.filter(({ models }) => models.length > 1),
      { numRuns: 1, seed: 7 },
    )
    const target = (model: number, when: object | null) => ({ model, credential: null, weight: 1, when })
    const route = {
      ...any!.routes[0]!,
      strategy: 'BY_TASK' as const,
      targets: [target(0, { tools: true }), target(1, null)],
    }
    const config: SnapshotConfig = {
      ...{
        ...any!,
        policies: [],
        budgets: [],
        rateLimits: [],
        requestLabels: [],
        tiers: [],
        routes: any!.routes.map(() => route),
      },
      aliases: [{ id: 'als_0', name: 'house', route: 0, allowLossy: false, deprecation: null }],
      grants: [{ ...any!.grants[0]!, aliases: null, requestLabels: {} }],
    }
    const body = JSON.stringify({ model: 'house', messages: [{ role: 'user', content: 'Hello' }] })
    const { steps } = await explained(config, { body, labels: {} } as RandomRequest)
    const told = steps.find(({ stage }) => stage === 'ROUTE')!.detail
    expect(told).toBe('model-1: by_task default; not_matching model-0')
  })
})
