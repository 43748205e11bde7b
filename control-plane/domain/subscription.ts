/** A wake-up that is never lost: `wait` returns at once where `ring` came since the last `wait`. */
export class Bell {
  #rung = false
  #release: (() => void) | undefined

  ring(): void {
    this.#rung = true
    this.#release?.()
  }

  /** Until rung, or until `timeoutMs` have passed. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.#rung) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#release = resolve
      const timer = setTimeout(resolve, timeoutMs)
      await promise
      clearTimeout(timer)
      this.#release = undefined
    }
    this.#rung = false
  }
}

export interface Running {
  bell: Bell
  readonly ended: boolean
  /** Returns early where the stream ends. */
  pause(ms: number): Promise<void>
}

/**
 * A stream as an async iterable that ends at once when `signal` aborts or its reader returns, even while it waits. What is
 * attached is let go of in the generator's `finally`.
 */
export function subscription<T>(
  signal: AbortSignal,
  generate: (running: Running) => AsyncGenerator<T, void>,
): AsyncIterableIterator<T> {
  const bell = new Bell()
  const over = new Bell()
  let ended = signal.aborted
  const running: Running = {
    bell,
    get ended() {
      return ended
    },
    pause: async (ms) => {
      if (ms > 0 && !ended) await over.wait(ms)
    },
  }
  const end = () => {
    ended = true
    over.ring()
    bell.ring()
  }
  signal.addEventListener('abort', end, { once: true })
  const generator = generate(running)
  const finish = async (): Promise<IteratorResult<T>> => {
    end()
    signal.removeEventListener('abort', end)
    await generator.return()
    return { done: true, value: undefined }
  }
  return {
    next: () => generator.next(),
    return: finish,
    async throw(error) {
      await finish()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
