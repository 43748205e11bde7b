/** Resolves when the signal aborts: what a server's command waits for. */
export function until(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Resolves when standard input ends: its other end is held by whoever started us. */
export async function untilStdinCloses(): Promise<void> {
  for await (const _ of process.stdin);
}
