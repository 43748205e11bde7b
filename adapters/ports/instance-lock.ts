import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { machineBootId } from './instance-boot.ts'

interface Holder {
  pid: number
  bootId: string
  /** Tells a process from a later one with the same pid; null where the system does not say. */
  started: string | null
}

/**
 * Takes the lock on a plane's data directory: one journal has one writer. The lock of a process that is gone is taken over;
 * otherwise the answer is a sentence that names the holder. Call `release` at the end.
 */
export function lockDataDir(dataDir: string): { release: () => void } | { refused: string } {
  const path = join(dataDir, 'plane.lock')
  const own = JSON.stringify({
    pid: process.pid,
    bootId: machineBootId(),
    started: startOf(process.pid),
  } satisfies Holder)
  for (let attempt = 0; attempt < 3; attempt++) {
    if (claim(path, own)) return { release: () => read(path) === own && rmSync(path, { force: true }) }
    const held = read(path)
    if (held === undefined) continue
    const holder = parse(held)
    if (holder && isAlive(holder)) return { refused: sentence(dataDir, holder.pid) }
    evict(path, held)
  }
  return { refused: `The data directory ${dataDir} is being taken by another process; try again.` }
}

function sentence(dataDir: string, pid: number): string {
  return pid === process.pid
    ? `The data directory ${dataDir} is already open in this process.`
    : `The data directory ${dataDir} is in use by process ${pid}; stop that process, or choose another one with SLUICE_DATA_DIR.`
}

/** Linked into place, so that nobody ever reads a half-written lock. */
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

/** Moves a dead lock aside; where a living one took its place in between, that one is put back. */
function evict(path: string, expected: string): void {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
    if (read(aside) !== expected) linkSync(aside, path)
  } catch {
    // Somebody else moved it first: the next attempt sees what is there.
  }
  rmSync(aside, { force: true })
}

function isAlive(holder: Holder): boolean {
  if (holder.bootId !== machineBootId()) return false
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const started = startOf(holder.pid)
  return holder.started === null || started === null || started === holder.started
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

/** Start time of a process in clock ticks since boot, from Linux's /proc. */
function startOf(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`)
  // The command's name, in parentheses, may hold spaces; the start time is the 20th field after it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}
