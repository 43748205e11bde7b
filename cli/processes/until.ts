/** Resolves when the signal aborts: what a server's command waits for. */
export function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves when the signal aborts, or when standard input ends: its other end is held by whoever started us. */
export async function untilOrStdinCloses(signal: AbortSignal): Promise<void> {
  const { stdin } = process
  const closed = new Promise<void>((resolve) => stdin.once('end', resolve).once('close', resolve).resume())
  await Promise.race([until(signal), closed])
  // An open standard input would keep the process alive.
  stdin.destroy()
}
