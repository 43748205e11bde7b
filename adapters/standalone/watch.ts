/** Why an upstream call was given up. */
export type Expiry = 'first_byte' | 'idle' | 'total'

/**
 * The timer of one exchange: a deadline that stays, and the wait at hand, be it for the first byte or between chunks. One
 * shared ticker looks after all of them, since a timer per chunk would be the most frequent allocation of the relay loop.
 */
export class Watch {
  readonly #controller = new AbortController()
  #dueMs = Number.POSITIVE_INFINITY
  #kind: Expiry = 'total'
  expired: Expiry | undefined
  onAbort: (() => void) | undefined
  /** Called once, when the call has lasted longer than a tick. */
  onLasting: (() => void) | undefined

  constructor(
    readonly watches: Watches,
    readonly deadlineMs: number,
  ) {
    watches.add(this)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Waits at most this long from now, and never past the deadline. */
  expect(kind: Expiry, ms: number): void {
    const dueMs = performance.now() + ms
    this.#kind = dueMs < this.deadlineMs ? kind : 'total'
    this.#dueMs = Math.min(dueMs, this.deadlineMs)
  }

  /** Waits for nothing but the deadline. */
  rest(): void {
    this.#kind = 'total'
    this.#dueMs = this.deadlineMs
  }

  check(nowMs: number): void {
    this.onLasting?.()
    this.onLasting = undefined
    if (nowMs < this.#dueMs) return
    this.expired = this.#kind
    this.abort()
  }

  /** Gives the call up now. */
  abort(): void {
    this.done()
    this.#controller.abort()
    this.onAbort?.()
  }

  done(): void {
    this.watches.remove(this)
  }
}

const tickMs = 20

/** All watches of a process. */
export class Watches {
  readonly #watches = new Set<Watch>()
  #ticker: ReturnType<typeof setInterval> | undefined

  add(watch: Watch): void {
    this.#watches.add(watch)
    this.#ticker ??= setInterval(() => this.#tick(), tickMs)
  }

  remove(watch: Watch): void {
    this.#watches.delete(watch)
  }

  #tick(): void {
    const nowMs = performance.now()
    for (const watch of this.#watches) watch.check(nowMs)
    if (this.#watches.size > 0) return
    clearInterval(this.#ticker)
    this.#ticker = undefined
  }
}
