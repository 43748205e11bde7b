import { systemClock } from '../../adapters/ports/clock-system.ts'
import { unlimitedLedger } from '../../adapters/ports/ledger-unlimited.ts'
import { fetchUpstream } from '../../adapters/ports/upstream-fetch.ts'
import { createMetrics } from '../../adapters/standalone/metrics.ts'
import { serveGateway } from '../../adapters/standalone/server.ts'
import { MemoryLimiter } from '../../data-plane/limits/memory.ts'
import type { Codec } from '../../schema/config/index.ts'
import { fundedLedger } from './funds.ts'
import { journalRecorder, noRecorder, type RecorderPart, timed, unwaited } from './recorders.ts'
import { benchSnapshot } from './snapshot.ts'

/**
 * A standalone gateway as its own process, wired as the product wires it but for its parts, which the environment chooses:
 * BENCH_UPSTREAM, BENCH_DATA_DIR, BENCH_RECORDER (`journal`, `unwaited` or `off`), BENCH_CODEC (what the provider speaks), BENCH_TIMED (waits for durability are noted and served
 * at `waits`), BENCH_GOVERNED (budgets and rate limits, never reached). Prints one line of JSON when it listens.
 */
const env = process.env
const part = (env.BENCH_RECORDER ?? 'journal') as RecorderPart
const codec = (env.BENCH_CODEC ?? 'OPENAI_CHAT') as Codec
const { set, key, tenant, budgets } = benchSnapshot(env.BENCH_UPSTREAM!, codec, env.BENCH_GOVERNED === '1')
const journal = part === 'off' ? noRecorder : await journalRecorder(env.BENCH_DATA_DIR!, tenant)
const kept = part === 'unwaited' ? unwaited(journal) : journal
const timing = env.BENCH_TIMED ? timed(kept.recorder) : undefined

const ledger =
  journal.journal && budgets.length > 0
    ? fundedLedger({ journal: journal.journal, tenant, budgets, clock: systemClock })
    : unlimitedLedger

const gateway = serveGateway({
  host: '127.0.0.1',
  port: 0,
  ports: {
    clock: systemClock,
    snapshots: { current: () => set },
    ledger,
    limiter: new MemoryLimiter({ nowMs: () => performance.now() }),
    recorder: timing?.recorder ?? kept.recorder,
  },
  upstream: fetchUpstream(
    { secretOf: () => ({ expose: () => 'none', fingerprint: 'f' }) },
    { privateHosts: ['127.0.0.1'] },
  ),
  metrics: createMetrics(
    { backlog: kept.backlog, journalLagMs: () => 0, snapshots: () => set, nowMs: Date.now },
    { fault: console.error, closed: () => {} },
  ),
  bodyBytesMax: 32 * 1024 * 1024,
  exchangesMax: 1_000,
})

const waits =
  timing && Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => Response.json(timing.takeWaits()) }).url.href
console.log(JSON.stringify({ url: gateway.url, key, waits }))
