import { chainStart } from '../../../schema/flight-record.ts'
import type { ChainHead } from '../../../schema/link.ts'

/** Where a record stands on disk: segment number × 2³² + offset. */
export type Place = number
export const placeOf = (segment: number, at: number): Place => segment * 2 ** 32 + at
export const segmentOf = (place: Place): number => Math.floor(place / 2 ** 32)
export const offsetOf = (place: Place): number => place % 2 ** 32

/** One tenant's chain within one epoch: its head, and where its undelivered records are. */
export class Chain {
  sequence = -1
  hash = chainStart
  /** Places of durable records that are not acknowledged, the first being of `firstSequence`. */
  #places: Place[] = []
  #times: number[] = []
  firstSequence = 0
  acked = -1
  /** The control plane takes no more of it on this link. */
  refused = false

  constructor(
    readonly tenant: string,
    readonly epoch: number,
  ) {}

  /** The head that the next record continues. */
  advance(sequence: number, hash: string): void {
    this.sequence = sequence
    this.hash = hash
  }

  /** Notes a durable record. A chain that was carried over from a removed segment begins where its first record is. */
  durable(sequence: number, place: Place, atMs: number): void {
    if (sequence <= this.acked) return
    if (this.#places.length === 0) this.firstSequence = sequence
    if (sequence !== this.firstSequence + this.#places.length) return
    this.#places.push(place)
    this.#times.push(atMs)
  }

  ack(sequence: number): void {
    const gone = Math.max(0, sequence + 1 - this.firstSequence)
    this.#places.splice(0, gone)
    this.#times.splice(0, gone)
    this.firstSequence = Math.max(this.firstSequence, sequence + 1)
    this.acked = Math.max(this.acked, sequence)
  }

  get waiting(): boolean {
    return this.#places.length > 0
  }

  /** Places from this sequence on, at most `most`. */
  placesFrom(sequence: number, most: number): Place[] {
    const index = Math.max(0, sequence - this.firstSequence)
    return this.#places.slice(index, index + most)
  }

  get oldestSegment(): number {
    return this.#places.length > 0 ? segmentOf(this.#places[0]!) : Number.POSITIVE_INFINITY
  }

  get oldestMs(): number | null {
    return this.#times[0] ?? null
  }

  get head(): ChainHead {
    return { tenant: this.tenant, epoch: this.epoch, sequence: this.sequence, hash: this.hash }
  }
}

/** All chains of an instance. */
export class Chains {
  readonly #chains = new Map<string, Chain>()

  of(tenant: string, epoch: number): Chain {
    const key = `${epoch} ${tenant}`
    let chain = this.#chains.get(key)
    if (!chain) {
      chain = new Chain(tenant, epoch)
      this.#chains.set(key, chain)
    }
    return chain
  }

  get all(): Chain[] {
    return [...this.#chains.values()]
  }

  /** Chains of past epochs that are wholly delivered are not needed again. */
  forgetDelivered(currentEpoch: number): void {
    for (const [key, chain] of this.#chains)
      if (chain.epoch < currentEpoch && !chain.waiting && chain.acked >= chain.sequence) this.#chains.delete(key)
  }
}
