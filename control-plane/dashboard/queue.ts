const waitingMax = 10_000

/**
 * Turns callbacks into an async iterable. Bounded: a reader that falls more than 10,000 events behind loses the stream, and
 * takes it up again at its cursor.
 */
export class EventQueue<Event> {
  readonly #waiting: Event[] = []
  #wake: () => void = () => {}
  #ended = false
  #error: unknown

  push(event: Event): void {
    if (this.#waiting.length >= waitingMax) this.end(new Error('Too far behind.'))
    else if (!this.#ended) this.#waiting.push(event)
    this.#wake()
  }

  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, void> {
    while (true) {
      while (this.#waiting.length > 0) yield this.#waiting.shift()!
      if (this.#error) throw this.#error
      if (this.#ended) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
