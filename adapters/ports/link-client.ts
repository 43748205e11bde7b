import { backoffMs, sleep } from './link-backoff.ts'
import { type LinkOptions, LinkSession } from './link-session.ts'

export type { RecordSource } from './link-records.ts'
export type { LinkOptions } from './link-session.ts'

/** A link that held this long was a good one: the next attempt comes soon. */
const goodLinkMs = 10_000
const flushPollMs = 20

/** What the host sees of the link; for readiness, metrics and `doctor`. */
export interface LinkStatus {
  readonly state: 'connecting' | 'open' | 'closed'
  /** The epoch of the newest link; null before the first. The journal opens the chains of this epoch. */
  readonly epoch: number | null
  /** Server clock minus ours, milliseconds; 0 until measured. */
  readonly clockOffsetMs: number
  /** Why the last attempt failed, a sentence; null where the link is open. */
  readonly trouble: string | null
}

export interface PlaneLink {
  status(): LinkStatus
  /** Resolves when the link is open (welcome verified), or the signal aborts: the status tells which. */
  opened(signal?: AbortSignal): Promise<LinkStatus>
  /** Waits until everything durable is acknowledged, at most that long. True where nothing is left. */
  flush(timeoutMs: number): Promise<boolean>
  close(): Promise<void>
}

/** Keeps one link to the control plane open, for ever: what breaks is opened again, later each time, up to 15 s apart. */
export function openPlaneLink(options: LinkOptions): PlaneLink {
  const stopping = new AbortController()
  const waiting = new Set<() => void>()
  let status: LinkStatus = { state: 'connecting', epoch: null, clockOffsetMs: 0, trouble: null }
  let session: LinkSession | undefined

  if (isOpenToOthers(options.controlUrl))
    options.log('warn', `The link to ${options.controlUrl} is not encrypted; between machines, use https.`)

  const runOnce = async (): Promise<boolean> => {
    const beganMs = performance.now()
    let wasOpen = false
    session = new LinkSession(options, {
      opened: (epoch) => {
        wasOpen = true
        status = { ...status, state: 'open', epoch, trouble: null }
        for (const done of waiting) done()
      },
      clockOffset: (clockOffsetMs) => {
        status = { ...status, clockOffsetMs }
      },
    })
    const reason = await session.ended
    if (wasOpen || status.trouble !== reason) options.log('warn', `The link to the control plane is closed. ${reason}`)
    status = { ...status, state: 'connecting', trouble: reason }
    return wasOpen && performance.now() - beganMs > goodLinkMs
  }

  const runForEver = async () => {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      if (await runOnce()) attempt = 0
      await sleep(backoffMs(attempt, Math.random), stopping.signal)
    }
    status = { ...status, state: 'closed' }
  }
  const running = runForEver()

  return {
    status: () => status,
    async opened(signal) {
      while (status.state === 'connecting' && !signal?.aborted) await oneOf(waiting, signal)
      return status
    },
    async flush(timeoutMs) {
      const untilMs = performance.now() + timeoutMs
      while (options.records.pending().length > 0 && performance.now() < untilMs) await sleep(flushPollMs)
      return options.records.pending().length === 0
    },
    async close() {
      stopping.abort()
      session?.close('This gateway is stopping.')
      await running
      for (const done of waiting) done()
    },
  }
}

function isOpenToOthers(controlUrl: string): boolean {
  const { protocol, hostname } = new URL(controlUrl)
  return protocol === 'http:' && !/^(localhost|127\.[\d.]+|\[::1\])$/.test(hostname)
}

/** Waits for the next call of one in the set, or the signal. */
function oneOf(waiting: Set<() => void>, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      waiting.delete(done)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    waiting.add(done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
