import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Admission } from './admission.ts'
import { type Driver, StartRefused } from './driver.ts'
import { lockDirectory } from './lock-file.ts'
import { migrate } from './migrate.ts'
import { PgliteThread } from './pglite-thread.ts'
import { loadTemplate } from './template.ts'

const openTimeoutMs = 30_000
/** Transactions that may wait for the one connection, and how long. */
const waitingMax = 5_000
const waitTimeoutMs = 30_000

/** `dataDir` 'memory://' keeps nothing and locks nothing: for tests. */
export async function openPglite(dataDir: string): Promise<Driver> {
  const inMemory = dataDir.startsWith('memory://')
  if (!inMemory) mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const unlock = inMemory ? () => {} : lockDirectory(join(dataDir, 'control-plane.lock'), dataDir)
  try {
    const path = inMemory ? null : join(dataDir, 'pglite')
    const isNew = path === null || setAsideUnfinished(path)
    const thread = await openThread(path, isNew ? await loadTemplate() : null)
    await migrate(thread.query)
    if (path && isNew) writeFileSync(join(path, finishedMark), '')
    return driverOf(thread, unlock)
  } catch (error) {
    unlock()
    throw error
  }
}

/** Written last at the first start: a directory without it was left half made. */
const finishedMark = 'sluice-made'

/** True where there is no finished database yet. A first start that was cut short is moved aside, never deleted. */
function setAsideUnfinished(path: string): boolean {
  if (existsSync(join(path, finishedMark))) return false
  if (existsSync(path)) renameSync(path, `${path}.unfinished-${Date.now()}`)
  return true
}

/** PGlite's start has been seen to hang on a busy machine, and to succeed at once when tried again. */
async function openThread(path: string | null, template: Blob | null): Promise<PgliteThread> {
  for (let attempt = 1; ; attempt++) {
    const thread = new PgliteThread()
    if (await opensInTime(thread, path, template)) return thread
    if (attempt === 2)
      throw new StartRefused(`The embedded database in ${path} did not open within ${openTimeoutMs / 1_000} s, twice.`)
  }
}

async function opensInTime(thread: PgliteThread, path: string | null, template: Blob | null): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(late.resolve, openTimeoutMs, false)
  let opened = false
  try {
    const opening = thread.call({ type: 'open', dataDir: path, template }).then(() => true)
    opened = await Promise.race([opening, late.promise])
    return opened
  } finally {
    clearTimeout(timer)
    if (!opened) thread.terminate()
  }
}

function driverOf(thread: PgliteThread, unlock: () => void): Driver {
  const admission = new Admission({ places: 1, waitingMax, waitTimeoutMs })
  const exclusive = <T>(work: () => Promise<T>) => admission.run(work)
  return {
    kind: 'pglite',
    session: (work) => exclusive(() => work(thread.query)),
    async listen(channel, wake) {
      const listeners = thread.listeners.get(channel)
      if (listeners) listeners.add(wake)
      else {
        thread.listeners.set(channel, new Set([wake]))
        await exclusive(() => thread.call({ type: 'listen', channel }))
      }
      return async () => {
        thread.listeners.get(channel)?.delete(wake)
      }
    },
    async close() {
      await exclusive(() => thread.call({ type: 'close' })).catch(() => {})
      thread.terminate()
      unlock()
    },
  }
}
