import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Exchange } from '../../data-plane/exchange.ts'

/** What the gateway tells Prometheus. No label holds what a caller can choose freely. */
export interface Metrics {
  registry: Registry
  closed(exchange: Exchange): void
  /** A bug: an exception that reached the surface. */
  fault(error: unknown): void
}

export interface Gauges {
  backlog: () => number
  snapshotAgeMs: () => number
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

export function createMetrics(gauges: Gauges, log: (sentence: string) => void): Metrics {
  const registry = new Registry()
  const registers = [registry]
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
  const duration = new Histogram({
    name: 'sluice_request_seconds',
    help: 'Exchanges from first to last byte.',
    buckets: secondsBuckets,
    registers,
  })
  const faults = new Counter({
    name: 'sluice_faults_total',
    help: 'Exceptions that ended an exchange; each is a bug.',
    registers,
  })
  new Gauge({
    name: 'sluice_record_backlog',
    help: 'Records the control plane does not hold yet.',
    registers,
    collect() {
      this.set(gauges.backlog())
    },
  })
  new Gauge({
    name: 'sluice_snapshot_age_seconds',
    help: 'Age of the oldest snapshot that is served.',
    registers,
    collect() {
      this.set(gauges.snapshotAgeMs() / 1000)
    },
  })
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
      outcomes[exchange.outcome].inc()
      if (exchange.denial) refused.inc({ code: exchange.denial.refusal.refused })
      duration.observe((exchange.ports.clock.monotonic() - exchange.startedMs) / 1000)
    },
    fault: (error) => {
      faults.inc()
      log(`an exchange met a fault: ${error instanceof Error ? error.stack : String(error)}`)
    },
  }
}
