import { type Database, type DatabaseOptions, openDatabase } from './db/database.ts'
import { waitingRoom } from './hosts/waiting-room.ts'
import { nowAndThen } from './now-and-then.ts'

const retryMsMin = 100
const retryMsMax = 5_000

export interface OpeningOptions extends DatabaseOptions {
  host: string
  port: number
  tls?: { cert: string; key: string }
  log: (level: 'info' | 'warn' | 'error', sentence: string) => void
  signal?: AbortSignal
}

/** An open database, or why there is none; `port` is where the control plane listens in its place. */
export type Opened = { db: Database; port: number } | { refused: string }

/**
 * Opens the database, waiting for a server that is not there yet: in whichever order things start, they find each other. Until
 * then the port answers that nothing is ready. Ends early only where the signal says so, or waiting would not help.
 */
export async function openWhenThere(options: OpeningOptions): Promise<Opened> {
  const { log, signal } = options
  const first = await openOnce(options)
  if (!('away' in first)) return 'refused' in first ? first : { ...first, port: options.port }
  const room = waitingRoom(options)
  if ('refused' in room) return room
  try {
    const telling = nowAndThen((sentence) => log('warn', `The control plane waits for its database. ${sentence}`))
    let { away } = first
    for (let attempt = 0; !signal?.aborted; attempt++) {
      telling(away)
      room.waitsFor(away)
      await pause(retryMsAfter(attempt), signal)
      const opened = await openOnce(options)
      if (!('away' in opened)) return 'refused' in opened ? opened : { ...opened, port: room.port }
      away = opened.away
    }
    return { refused: `Stopped while waiting. ${away}` }
  } finally {
    await room.close()
  }
}

/** What is expected carries its sentence as the message; everything else is a bug. */
async function openOnce(options: DatabaseOptions): Promise<{ db: Database } | { away: string } | { refused: string }> {
  try {
    return { db: await openDatabase(options) }
  } catch (error) {
    if (error instanceof Error && error.name === 'StorageAway') return { away: error.message }
    if (error instanceof Error && error.name === 'StartRefused') return { refused: error.message }
    throw error
  }
}

/** Doubling, half of it by chance, so that several control planes do not knock together. */
function retryMsAfter(attempt: number): number {
  const whole = Math.min(retryMsMin * 2 ** Math.min(attempt, 10), retryMsMax)
  return whole / 2 + (whole / 2) * Math.random()
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
    if (signal?.aborted) done()
  })
}
