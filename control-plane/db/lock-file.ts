import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { StartRefused } from './driver.ts'

interface Holder {
  pid: number
  /** Tells a process from a later one with the same pid; null where the system does not say. */
  started: string | null
}

/**
 * Takes the lock on a data directory: PGlite takes none of its own, and two processes on one directory destroy it. A lock
 * whose process is gone is taken over. Throws StartRefused, naming the holder, where another process lives.
 */
export function lockDirectory(path: string, directory: string): () => void {
  mkdirSync(dirname(path), { recursive: true })
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid) } satisfies Holder)
  for (let attempt = 0; attempt < 3; attempt++) {
    if (claim(path, own)) return () => release(path, own)
    const held = read(path)
    if (held === undefined) continue
    const holder = parse(held)
    if (holder && isAlive(holder)) throw new StartRefused(refusal(directory, holder.pid))
    evict(path, held)
  }
  throw new StartRefused(`The data directory ${directory} is being taken by another process; try again.`)
}

const refusal = (directory: string, pid: number) =>
  pid === process.pid
    ? `The data directory ${directory} is already open in this process.`
    : `The data directory ${directory} is in use by process ${pid}; stop that process, or choose another directory with SLUICE_DATA_DIR.`

/** A link is made whole or not at all: nobody ever reads a half-written lock. */
function claim(path: string, own: string): boolean {
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, own, { mode: 0o600 })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Moves a dead lock aside; if it was replaced by a living one in between, that one is put back. */
function evict(path: string, expected: string) {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
    if (readFileSync(aside, 'utf8') !== expected) linkSync(aside, path)
  } catch {
    // Somebody else evicted it, or has claimed it since: the next attempt sees which.
  }
  rmSync(aside, { force: true })
}

function release(path: string, own: string) {
  if (read(path) === own) rmSync(path, { force: true })
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder
    return Number.isInteger(holder.pid) ? holder : undefined
  } catch {
    return undefined
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return holder.started === null || startOf(holder.pid) === null || startOf(holder.pid) === holder.started
}

/** Boot and start time of a process, from Linux's /proc. */
function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name, in parentheses, may hold spaces; the start time is the 20th field after it.
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return null
  }
}
