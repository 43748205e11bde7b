/**
 * Makes calls of `work` share runs: one at a time, and a call during a run leads to exactly one more. Each call resolves when a
 * run that began after it has ended, and rejects with it.
 */
export function coalesce(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  const begin = () => {
    next = undefined
    running = work().finally(() => {
      running = undefined
    })
    return running
  }
  return () => {
    if (next) return next
    if (!running) return begin()
    next = running.catch(() => undefined).then(begin)
    return next
  }
}
