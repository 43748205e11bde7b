import type { Framing } from './request.ts'

const encoder = new TextEncoder()

/** Puts the pieces of a streamed answer in the form the client reads: events, or the elements of a list. */
export class Frames {
  #begun = false

  constructor(readonly framing: Framing) {}

  /** One piece; `raw` is the event it came in, where it did. */
  frame(data: string, raw?: Uint8Array): Uint8Array {
    if (this.framing !== 'array') return raw ?? encoder.encode(`data: ${data}\r\n\r\n`)
    const before = this.#begun ? ',\r\n' : '['
    this.#begun = true
    return encoder.encode(before + data)
  }

  /** What stands behind the last piece. */
  close(): Uint8Array[] {
    if (this.framing !== 'array') return []
    return [encoder.encode(this.#begun ? ']' : '[]')]
  }
}
