const leastMs = 200
const mostMs = 15_000

/** How long to wait before attempt `attempt + 1`: doubling, at most 15 s, half of it by chance so that a fleet spreads out. */
export function backoffMs(attempt: number, random: () => number): number {
  const whole = Math.min(leastMs * 2 ** Math.min(attempt, 20), mostMs)
  return whole / 2 + (whole / 2) * random()
}

/** Waits; ends early, without failing, when the signal says so. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}
