/** The part of a socket that a queue needs. */
export interface Outlet {
  send(text: string): unknown
  getBufferedAmount(): number
}

/** What is handed to the socket before it has drained, so that little stands before something urgent. */
export const socketBytesMax = 1024 * 1024
/** What may wait beside that; a plane that reads more slowly is cut off and comes back. */
export const queuedBytesMax = 16 * 1024 * 1024

interface Waiting {
  text: string
  key: string | null
}

/**
 * What waits to be sent to one plane, bounded. Deltas and snapshots go before acknowledgements; of messages with the same
 * `key` only the newest is sent, in the place of the first.
 */
export class SendQueue {
  readonly #outlet: Outlet
  readonly #urgent: Waiting[] = []
  readonly #ordinary: Waiting[] = []
  #bytes = 0

  constructor(outlet: Outlet) {
    this.#outlet = outlet
  }

  /** False where the queue is full: the link is to be ended. */
  push(message: object, options: { urgent: boolean; key?: string }): boolean {
    const text = JSON.stringify(message)
    const queue = options.urgent ? this.#urgent : this.#ordinary
    const same = options.key === undefined ? undefined : queue.find(({ key }) => key === options.key)
    this.#bytes += text.length - (same?.text.length ?? 0)
    if (this.#bytes > queuedBytesMax) return false
    if (same) same.text = text
    else queue.push({ text, key: options.key ?? null })
    this.flush()
    return true
  }

  /** Sends while the socket takes it; to be called again when the socket has drained. */
  flush(): void {
    while (this.#outlet.getBufferedAmount() < socketBytesMax) {
      const next = this.#urgent.shift() ?? this.#ordinary.shift()
      if (!next) return
      this.#bytes -= next.text.length
      this.#outlet.send(next.text)
    }
  }
}
