/** An event that says where it stands in its stream. */
export interface Positioned {
  cursor: string
}

/**
 * Opens a stream of everything later than `after`. It ends or throws when the connection drops, and throws `StreamRefused` where
 * trying again is pointless. `opened` is called once events may come.
 */
export type OpenStream<Event> = (after: string | null, signal: AbortSignal, opened: () => void) => AsyncIterable<Event>

/** The server will not have this caller or this document, however often it asks. */
export class StreamRefused extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message)
    this.name = 'StreamRefused'
  }
}

export type LiveState = 'live' | 'reconnecting'

export interface LiveOptions {
  /** Where the snapshot stands that these events are added to; null = from now on. */
  after: string | null
  signal: AbortSignal
  onState?: (state: LiveState) => void
  /** First wait after a drop; doubles up to `waitMsMax`, each time somewhere between half and all of it. */
  waitMs?: number
  waitMsMax?: number
}

/**
 * Every event of a stream once, in order, over any number of connections: after a drop it subscribes again from the last cursor.
 * Neither graphql-ws nor EventSource does that by itself (the first would send the original variables again), so both run with
 * their own retrying off and are driven from here, in the browser and in the CLI alike.
 */
export async function* live<Event extends Positioned>(
  open: OpenStream<Event>,
  options: LiveOptions,
): AsyncGenerator<Event, void, void> {
  const { signal, onState, waitMs = 250, waitMsMax = 10_000 } = options
  let after = options.after
  let failures = 0
  while (!signal.aborted) {
    let isOpen = false
    const opened = () => {
      if (isOpen) return
      isOpen = true
      failures = 0
      onState?.('live')
    }
    try {
      for await (const event of open(after, signal, opened)) {
        opened()
        after = event.cursor
        yield event
        if (signal.aborted) return
      }
    } catch (error) {
      if (error instanceof StreamRefused) throw error
    }
    if (signal.aborted) return
    onState?.('reconnecting')
    await pause(Math.min(waitMsMax, waitMs * 2 ** Math.min(failures++, 16)) * (0.5 + Math.random() / 2), signal)
  }
}

/** Waits, but not past the end of `signal`. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
