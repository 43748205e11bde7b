import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Exchange } from '../../data-plane/exchange.ts'
import type { Limiter } from '../../data-plane/limits/limiter.ts'
import type { RunningSet } from '../../data-plane/snapshot/running.ts'
import { moneyScale } from '../../schema/money.ts'
import type { HeldMoney } from '../ports/ledger/lease-ledger.ts'

/** What the gateway tells Prometheus. No label holds what a caller can choose freely. */
export interface Metrics {
  registry: Registry
  closed(exchange: Exchange): void
  /** A bug: an exception that reached the surface. */
  fault(error: unknown): void
}

/** What is read when Prometheus asks. */
export interface Gauges {
  /** Records that the control plane does not hold yet. */
  backlog: () => number
  /** Age of the oldest record that was not delivered; 0 = nothing waits. */
  journalLagMs: () => number
  snapshots: () => RunningSet
  /** Absent = no money is held here. */
  money?: () => HeldMoney[]
  nowMs: () => number
  /** How rate limits are counted, and why they cannot be now; absent = in memory, by this process alone. */
  limits?: () => { limiter: Pick<Limiter, 'sharing'>; trouble: string | null }
}

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
/** What the gateway itself adds is a matter of microseconds. */
const addedSeconds = [0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]

/** Hears of each closed exchange and of each fault, to write a line of it. */
export interface MetricsLog {
  closed(exchange: Exchange, totalMs: number): void
  fault(sentence: string): void
}

export function createMetrics(gauges: Gauges, log: MetricsLog): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name, help, buckets, registers })
  const requests = new Counter({
    name: 'sluice_requests_total',
    help: 'Exchanges closed, by outcome.',
    labelNames: ['outcome'],
    registers,
  })
  const refused = new Counter({
    name: 'sluice_refusals_total',
    help: 'Refusals, by code.',
    labelNames: ['code'],
    registers,
  })
  const faults = new Counter({
    name: 'sluice_faults_total',
    help: 'Exceptions that ended an exchange; each is a bug.',
    registers,
  })
  const whole = histogram('sluice_request_seconds', 'Exchanges, from the request to the record.', seconds)
  const added = histogram('sluice_added_seconds', 'What of that the gateway itself took.', addedSeconds)
  const upstream = histogram('sluice_upstream_seconds', 'What of that providers took, all attempts together.', seconds)
  const firstToken = histogram(
    'sluice_first_token_seconds',
    'From the request to the first byte of the answer.',
    seconds,
  )
  watchState(gauges, registry)
  collectDefaultMetrics({ register: registry })
  // Looking a label up costs more than counting it.
  const outcomes = {
    COMPLETED: requests.labels('COMPLETED'),
    REFUSED: requests.labels('REFUSED'),
    FAILED: requests.labels('FAILED'),
    CANCELLED: requests.labels('CANCELLED'),
  }
  return {
    registry,
    closed: (exchange) => {
      const totalMs = exchange.ports.clock.monotonic() - exchange.startedMs
      outcomes[exchange.outcome].inc()
      if (exchange.denial) refused.inc({ code: exchange.denial.refusal.refused })
      whole.observe(totalMs / 1000)
      added.observe(Math.max(0, totalMs - exchange.upstreamMs) / 1000)
      if (exchange.attempts.length > 0) upstream.observe(exchange.upstreamMs / 1000)
      if (exchange.firstTokenMs !== null) firstToken.observe(exchange.firstTokenMs / 1000)
      log.closed(exchange, totalMs)
    },
    fault: (error) => {
      faults.inc()
      log.fault(`an exchange met a fault: ${error instanceof Error ? error.stack : String(error)}`)
    },
  }
}

function watchState({ backlog, journalLagMs, snapshots, nowMs, money, limits }: Gauges, registry: Registry): void {
  const registers = [registry]
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  const tenants = () => [...snapshots().tenants.values()]
  gauge('sluice_record_backlog', 'Records the control plane does not hold yet.', backlog)
  gauge('sluice_journal_lag_seconds', 'Age of the oldest record that was not delivered.', () => journalLagMs() / 1000)
  gauge(
    'sluice_snapshot_age_seconds',
    'Since the control plane last confirmed a snapshot; the oldest counts.',
    () => Math.max(0, ...tenants().map((tenant) => tenant.ageMs(nowMs()))) / 1000,
  )
  if (money) watchMoney(money, registry)
  watchLimits(limits, registers)
  new Gauge({
    name: 'sluice_snapshot_revision',
    help: 'Revision of the configuration that runs, by tenant.',
    labelNames: ['tenant'],
    registers,
    collect() {
      this.reset()
      for (const { snapshot } of tenants()) this.set({ tenant: snapshot.tenant.id }, snapshot.revision)
    },
  })
}

/** As fractions of the currency: near enough for a graph. */
function watchMoney(money: () => HeldMoney[], registry: Registry): void {
  const gauge = (name: string, help: string, amountOf: (held: HeldMoney) => bigint) =>
    new Gauge({
      ...{ name, help, labelNames: ['tenant'], registers: [registry] },
      collect() {
        this.reset()
        for (const held of money()) this.set({ tenant: held.tenant }, Number(amountOf(held)) / 10 ** moneyScale)
      },
    })
  gauge('sluice_lease_held', 'Money held under budgets and not spent, in the currency of the tenant.', (of) => of.held)
  gauge('sluice_lease_reserved', 'What of that is reserved for requests under way.', ({ reserved }) => reserved)
}

function watchLimits(limits: Gauges['limits'], registers: Registry[]): void {
  if (!limits) return
  new Gauge({
    name: 'sluice_limits_up',
    help: '1 while rate limits can be counted, by how gateways share them; at 0 requests that have any are refused.',
    labelNames: ['sharing'],
    registers,
    collect() {
      this.reset()
      const { limiter, trouble } = limits()
      this.set({ sharing: limiter.sharing }, trouble === null ? 1 : 0)
    },
  })
}
