import type { RecordSource } from '../../../adapters/ports/link-client.ts'
import { TestChain } from '../../../control-plane/domain/test-context.ts'
import type { FlightRecord } from '../../../schema/flight-record.ts'
import type { ChainHead } from '../../../schema/link.ts'

/** An instance's journal, played: one chain of records in memory, of which only what is not acknowledged is kept. */
export class ChainSource implements RecordSource {
  readonly #tenant: string
  readonly #waiting: string[] = []
  readonly #wakes = new Set<() => void>()
  #chain: TestChain | undefined
  #epoch = 0
  /** Sequence of the first that waits. */
  #first = 0
  refusals = 0

  constructor(tenant: string) {
    this.#tenant = tenant
  }

  get acknowledged(): number {
    return this.#first
  }

  get backlog(): number {
    return this.#waiting.length
  }

  /** A link that is opened anew would open another chain; a proof of this kind holds one link. */
  openChain(of: { instance: string; dataPlane: string }, epoch: number): void {
    if (this.#chain) throw new Error('the link of a record source broke')
    this.#epoch = epoch
    this.#chain = new TestChain({ ...of, tenant: this.#tenant, epoch })
  }

  openEpoch(): void {}

  append(records: Partial<FlightRecord>[]): void {
    for (const record of records) this.#waiting.push(this.#chain!.next(record))
    for (const wake of this.#wakes) wake()
  }

  pending() {
    return this.#waiting.length > 0 ? [{ tenant: this.#tenant, epoch: this.#epoch }] : []
  }

  next(_tenant: string, _epoch: number, from: number, max: { records: number; bytes: number }) {
    const start = from - this.#first
    const found: string[] = []
    let bytes = 0
    for (const text of this.#waiting.slice(start, start + max.records)) {
      bytes += text.length
      if (found.length > 0 && bytes > max.bytes) break
      found.push(text)
    }
    return found
  }

  acked({ sequence }: ChainHead): void {
    if (sequence < this.#first) return
    this.#waiting.splice(0, sequence + 1 - this.#first)
    this.#first = sequence + 1
  }

  refused(): void {
    this.refusals += 1
  }

  onDurable(wake: () => void): () => void {
    this.#wakes.add(wake)
    return () => this.#wakes.delete(wake)
  }

  deliveredThroughMs(): number | null {
    return this.#waiting.length === 0 ? null : 0
  }
}
