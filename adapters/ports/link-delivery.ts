import {
  type ChainHead,
  type ControlMessage,
  type PlaneMessage,
  recordBatchBytesMax,
  recordsPerBatchMax,
} from '../../schema/link.ts'
import type { RecordSource } from './link-records.ts'
import { DeliveryWindow } from './link-window.ts'

/** Refusals of one chain in a row, without progress, after which it waits for the next link. */
const refusalsMax = 3

type Records = Extract<PlaneMessage, { type: 'records' }>
type Refused = Extract<ControlMessage, { type: 'recordsRefused' }>

interface ChainState {
  next: number
  /** Bytes of the one batch that is under way; 0 = none. */
  inFlightBytes: number
  /** When that was sent, and what was under way with it. */
  sentMs: number
  underWayBytes: number
  /** Counts on with every batch of any chain: whose turn is longest ago goes first. */
  turn: number
  refusals: number
  stopped: boolean
}

const newChain: ChainState = {
  ...{ next: 0, inFlightBytes: 0, sentMs: 0, underWayBytes: 0, turn: 0 },
  ...{ refusals: 0, stopped: false },
}

/**
 * Delivers durable records over one link: each chain in order, one batch of a chain at a time, chains side by side, never more
 * than a bounded number of bytes without an answer, which is what the line carries in a second. Ends with its link; the next one goes on from the control plane's heads.
 */
export class RecordDelivery {
  readonly #source: RecordSource
  readonly #send: (message: Records) => void
  readonly #failed: (error: unknown) => void
  readonly #chains = new Map<string, ChainState>()
  readonly #stopListening: () => void
  readonly #window = new DeliveryWindow()
  #inFlightBytes = 0
  #turns = 0
  #pumping = false
  #again = false
  #closed = false

  /** `failed` hears of a source that throws: its link is to be closed. */
  constructor(
    source: RecordSource,
    heads: readonly ChainHead[],
    send: (message: Records) => void,
    failed: (error: unknown) => void,
  ) {
    this.#source = source
    this.#send = send
    this.#failed = failed
    for (const head of heads) {
      this.#chain(head.tenant, head.epoch).next = head.sequence + 1
      source.acked(head)
    }
    this.#stopListening = source.onDurable(() => this.#wake())
    this.#wake()
  }

  acked(head: ChainHead): void {
    const chain = this.#chain(head.tenant, head.epoch)
    if (head.sequence + 1 > chain.next) chain.next = head.sequence + 1
    chain.refusals = 0
    this.#landed(chain)
    this.#source.acked(head)
    this.#wake()
  }

  refused({ tenant, epoch, head, reason }: Refused): void {
    const chain = this.#chain(tenant, epoch)
    this.#landed(chain)
    chain.refusals += 1
    chain.stopped = head === null || chain.refusals >= refusalsMax
    if (head) chain.next = head.sequence + 1
    this.#source.refused({ tenant, epoch, head, reason })
    this.#wake()
  }

  close(): void {
    this.#closed = true
    this.#stopListening()
  }

  #wake(): void {
    this.#again = true
    if (!this.#pumping) this.#pump().catch(this.#failed)
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    try {
      while (this.#again && !this.#closed) {
        this.#again = false
        for (const { tenant, epoch } of this.#inTurn()) {
          // An answer makes room and wakes this again.
          if (this.#closed || !this.#hasRoom) return
          await this.#deliver(tenant, epoch)
        }
      }
    } finally {
      this.#pumping = false
    }
  }

  /** A quarter at least: with less, many chains would be sent in crumbs. */
  get #hasRoom(): boolean {
    return this.#inFlightBytes <= this.#window.bytes * 0.75
  }

  /** Chains that wait, so that a busy one leaves room for the others: what is under way may be less than all of them. */
  #inTurn() {
    const turnOf = ({ tenant, epoch }: { tenant: string; epoch: number }) => this.#chain(tenant, epoch).turn
    return [...this.#source.pending()].sort((a, b) => turnOf(a) - turnOf(b))
  }

  async #deliver(tenant: string, epoch: number): Promise<void> {
    const chain = this.#chain(tenant, epoch)
    if (chain.stopped || chain.inFlightBytes > 0) return
    const from = chain.next
    const room = this.#window.bytes - this.#inFlightBytes
    const max = { records: recordsPerBatchMax, bytes: Math.min(room, recordBatchBytesMax) }
    const records = await this.#source.next(tenant, epoch, from, max)
    if (records.length === 0 || this.#closed) return
    chain.inFlightBytes = records.reduce((sum, record) => sum + Buffer.byteLength(record), 0)
    this.#inFlightBytes += chain.inFlightBytes
    chain.sentMs = performance.now()
    chain.underWayBytes = this.#inFlightBytes
    chain.turn = ++this.#turns
    this.#send({ type: 'records', tenant, epoch, from, records: [...records] })
  }

  #landed(chain: ChainState): void {
    if (chain.inFlightBytes > 0) this.#window.answered(chain.underWayBytes, performance.now() - chain.sentMs)
    this.#inFlightBytes -= chain.inFlightBytes
    chain.inFlightBytes = 0
  }

  #chain(tenant: string, epoch: number): ChainState {
    const name = `${epoch} ${tenant}`
    const chain = this.#chains.get(name) ?? { ...newChain }
    this.#chains.set(name, chain)
    return chain
  }
}
