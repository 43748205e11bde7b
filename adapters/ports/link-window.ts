import { unacknowledgedBytesMax } from '../../schema/link.ts'

/** What is under way should be answered within about this long: for so long a heartbeat waits behind it at most. */
const answeredWithinMs = 1_000
const bytesMin = 16 * 1024
const bytesFirst = 32 * 1024
/** Less than the control plane's own bound, since framing adds to what is counted here. */
const bytesMax = unacknowledgedBytesMax / 2

/**
 * How many bytes of records may be under way without an answer: few at first, up to twice as many after each answer that comes
 * in time, and only what the line carried in that time after one that does not. So a slow line stays a working one.
 */
export class DeliveryWindow {
  #bytes = bytesFirst

  get bytes(): number {
    return this.#bytes
  }

  /** An answer came: so much was under way when its batch was sent, that batch included. */
  answered(underWayBytes: number, tookMs: number): void {
    const carried = (underWayBytes * answeredWithinMs) / Math.max(tookMs, 1)
    if (tookMs > answeredWithinMs) this.#bytes = Math.max(Math.min(carried, this.#bytes), bytesMin)
    // A batch that was small for want of records says nothing of what the line could carry.
    else if (underWayBytes * 2 >= this.#bytes)
      this.#bytes = Math.min(this.#bytes * 2, Math.max(carried, this.#bytes), bytesMax)
  }
}
