import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const lockWaitS = 900

/** Where installed components are kept between runs; never inside the clone. */
export function cacheRoot(): string {
  return join(homedir(), '.cache', 'sluice')
}

/**
 * The folder `~/.cache/sluice/<name>`, made by `install` the first time.
 * `name` carries the version, so that another version is another folder. The folder appears whole or not at all:
 * `install` fills a sibling folder which is renamed at the end, and concurrent callers wait for the first one.
 */
export async function cached(name: string, install: (dir: string) => Promise<void>): Promise<string> {
  const dir = join(cacheRoot(), name)
  if (existsSync(dir)) return dir
  return withLock(name, async () => {
    if (existsSync(dir)) return dir
    await removeUnfinished(name)
    const unfinished = `${dir}.part-${randomBytes(4).toString('hex')}`
    await mkdir(unfinished, { recursive: true })
    try {
      await install(unfinished)
      await rename(unfinished, dir)
    } catch (cause) {
      await rm(unfinished, { recursive: true, force: true })
      throw cause
    }
    return dir
  })
}

/** Holding the lock, nobody else can be filling one of these: they are left from killed installs. */
async function removeUnfinished(name: string): Promise<void> {
  for (const entry of await readdir(cacheRoot())) {
    if (entry.startsWith(`${name}.part-`)) await rm(join(cacheRoot(), entry), { recursive: true, force: true })
  }
}

/**
 * Runs `work` while no other process on this machine runs work of the same name. The kernel keeps the lock (flock) on
 * behalf of a child that lives until our end of its stdin closes, so a killed holder can never leave it locked.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = join(cacheRoot(), `${name}.lock`)
  await mkdir(dirname(file), { recursive: true })
  const holder = spawn('flock', ['--wait', String(lockWaitS), file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    await held(holder, name)
    return await work()
  } finally {
    holder.stdin?.end()
  }
}

function held(holder: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new Error(`The install lock for ${name} was not free within ${lockWaitS} s.`))
    holder.once('error', () => reject(new Error('flock is missing; get it with: apt-get install util-linux')))
    holder.once('exit', refuse)
    createInterface({ input: holder.stdout! }).once('line', () => {
      holder.off('exit', refuse)
      resolve()
    })
  })
}
