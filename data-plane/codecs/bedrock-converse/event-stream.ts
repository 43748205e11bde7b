import { crc32 } from 'node:zlib'

/**
 * Messages of Amazon's binary event streams, cut from a stream of bytes (AWS "Amazon event stream specification"). Each is its
 * whole length, the length of its headers, a CRC-32 of these eight bytes, the headers, the payload, and a CRC-32 of all before.
 */
export interface StreamMessage {
  /** Headers that are texts, by name; those of other types carry nothing here. */
  headers: Record<string, string>
  payload: Uint8Array
}

export type FramingProblem = 'too_large' | 'damaged' | 'cut_short'

const preludeBytes = 12
const sumBytes = 4

export class MessageCutter {
  #buffer: Uint8Array = new Uint8Array(0)
  /** Of the buffer, what is in use. */
  #length = 0

  constructor(readonly messageBytesMax: number) {}

  /** The messages that this chunk completes, in order; a problem comes last, and nothing after it means anything. */
  push(chunk: Uint8Array): (StreamMessage | FramingProblem)[] {
    const bytes = this.#length === 0 ? chunk : this.#append(chunk)
    const messages: (StreamMessage | FramingProblem)[] = []
    let from = 0
    while (bytes.length - from >= preludeBytes) {
      const rest = bytes.subarray(from)
      const length = this.#lengthOf(rest)
      if (typeof length === 'string') return [...messages, length]
      if (rest.length < length) break
      const message = readMessage(rest.subarray(0, length))
      messages.push(message)
      if (message === 'damaged') return messages
      from += length
    }
    this.#keep(bytes, from)
    return messages
  }

  /** What is left of a message when the stream ends. */
  end(): FramingProblem | undefined {
    return this.#length > 0 ? 'cut_short' : undefined
  }

  #lengthOf(bytes: Uint8Array): number | FramingProblem {
    const view = viewOf(bytes)
    const length = view.getUint32(0)
    if (crc32(bytes.subarray(0, 8)) !== view.getUint32(8)) return 'damaged'
    if (length > this.messageBytesMax) return 'too_large'
    return length >= preludeBytes + sumBytes + view.getUint32(4) ? length : 'damaged'
  }

  /** Payloads already handed out may point into the buffer, so the rest moves to a new one. */
  #keep(bytes: Uint8Array, from: number): void {
    if (from === 0 && this.#length > 0) return
    this.#length = bytes.length - from
    if (this.#length > 0) this.#buffer = bytes.slice(from)
  }

  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#length + chunk.length
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, this.#buffer.length * 2))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(chunk, this.#length)
    this.#length = length
    return this.#buffer.subarray(0, length)
  }
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function readMessage(bytes: Uint8Array): StreamMessage | 'damaged' {
  const view = viewOf(bytes)
  const sumAt = bytes.length - sumBytes
  if (crc32(bytes.subarray(0, sumAt)) !== view.getUint32(sumAt)) return 'damaged'
  const payloadAt = preludeBytes + view.getUint32(4)
  const headers = readHeaders(bytes.subarray(preludeBytes, payloadAt))
  return headers ? { headers, payload: bytes.subarray(payloadAt, sumAt) } : 'damaged'
}

/** Bytes of a header's value by its type; -1 where two bytes before it say how many. */
const valueBytes: readonly number[] = [0, 0, 1, 2, 4, 8, -1, -1, 8, 16]
const textType = 7

const utf8 = new TextDecoder()

/** A header is the length of its name, its name, the type of its value, its value. Undefined where that does not come out. */
function readHeaders(bytes: Uint8Array): Record<string, string> | undefined {
  const headers: Record<string, string> = {}
  const view = viewOf(bytes)
  for (let at = 0; at < bytes.length; ) {
    const nameAt = at + 1
    const typeAt = nameAt + bytes[at]!
    const type = bytes[typeAt]
    const fixed = type === undefined ? undefined : valueBytes[type]
    if (fixed === undefined || (fixed === -1 && typeAt + 3 > bytes.length)) return undefined
    const valueAt = typeAt + (fixed === -1 ? 3 : 1)
    at = valueAt + (fixed === -1 ? view.getUint16(typeAt + 1) : fixed)
    if (at > bytes.length) return undefined
    if (type === textType)
      headers[utf8.decode(bytes.subarray(nameAt, typeAt))] = utf8.decode(bytes.subarray(valueAt, at))
  }
  return headers
}
