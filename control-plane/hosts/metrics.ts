import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { openStreams } from '../graphql/stream.ts'

/** What `/metrics` shows. Labels take few values: no id, name or path of a caller is one. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = new Counter({
    name: 'sluice_control_requests_total',
    help: 'HTTP requests by route and status.',
    labelNames: ['route', 'status'],
    registers: [this.#registry],
  })
  readonly #seconds = new Histogram({
    name: 'sluice_control_request_seconds',
    help: 'Time until the head of the answer.',
    labelNames: ['route'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.#registry],
  })
  readonly #masked = new Counter({
    name: 'sluice_control_internal_errors_total',
    help: 'Errors that were masked: each is a bug or an outage.',
    registers: [this.#registry],
  })

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    new Gauge({
      name: 'sluice_control_open_streams',
      help: 'GraphQL subscriptions open right now.',
      registers: [this.#registry],
      collect() {
        this.set(openStreams())
      },
    })
  }

  observe(route: string, status: number, tookMs: number): void {
    this.#requests.inc({ route, status })
    this.#seconds.observe({ route }, tookMs / 1_000)
  }

  masked(): void {
    this.#masked.inc()
  }

  async answer(): Promise<Response> {
    const headers = { 'content-type': this.#registry.contentType }
    return new Response(await this.#registry.metrics(), { headers })
  }
}
