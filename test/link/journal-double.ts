import type { RecordSource } from '../../adapters/ports/link-client.ts'
import { chainStart, recordHash } from '../../schema/flight-record.ts'
import type { ChainHead } from '../../schema/link.ts'

/** Chains of records in memory, for one tenant. */
export class JournalDouble implements RecordSource {
  readonly refusals: { epoch: number; head: ChainHead | null }[] = []
  readonly #tenant: string
  readonly #chains = new Map<number, { texts: string[]; acked: number }>()
  readonly #wakes = new Set<() => void>()
  #epoch = 0

  constructor(tenant: string) {
    this.#tenant = tenant
  }

  openEpoch(epoch: number): void {
    this.#epoch = epoch
  }

  /** Appends durable records to the present epoch's chain. */
  append(count: number, bytes = 10): void {
    const { texts } = this.#chain(this.#epoch)
    for (let made = 0; made < count; made++) {
      const last = texts.at(-1)
      const previousHash = last ? recordHash(last) : chainStart
      texts.push(
        JSON.stringify({ epoch: this.#epoch, filling: 'x'.repeat(bytes), previousHash, sequence: texts.length }),
      )
    }
    for (const wake of this.#wakes) wake()
  }

  pending() {
    const waiting = [...this.#chains].filter(([, { texts, acked }]) => acked < texts.length - 1)
    return waiting.map(([epoch]) => ({ tenant: this.#tenant, epoch })).sort((a, b) => a.epoch - b.epoch)
  }

  next(_tenant: string, epoch: number, from: number, max: { records: number; bytes: number }) {
    const found: string[] = []
    let bytes = 0
    for (const text of this.#chain(epoch).texts.slice(from, from + max.records)) {
      bytes += Buffer.byteLength(text)
      if (found.length > 0 && bytes > max.bytes) break
      found.push(text)
    }
    return found
  }

  acked(head: ChainHead): void {
    this.#chain(head.epoch).acked = head.sequence
  }

  refused({ epoch, head }: { epoch: number; head: ChainHead | null }): void {
    this.refusals.push({ epoch, head })
  }

  onDurable(wake: () => void): () => void {
    this.#wakes.add(wake)
    return () => this.#wakes.delete(wake)
  }

  deliveredThroughMs(): number | null {
    return this.pending().length === 0 ? null : 0
  }

  #chain(epoch: number) {
    const chain = this.#chains.get(epoch) ?? { texts: [], acked: -1 }
    this.#chains.set(epoch, chain)
    return chain
  }
}
