import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { migrate, migrationsDigest } from './migrate.ts'
import { PgliteThread } from './pglite-thread.ts'

const pgliteVersion = manifest.dependencies['@electric-sql/pglite']
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sluice')
const path = join(cache, `pglite-template-${pgliteVersion}-${migrationsDigest}.tgz`)

/**
 * A migrated, empty data directory as a tarball. Making one (initdb) takes 2.5 s and a gigabyte; loading one takes 0.3 s, so
 * it is made once per version of the migrations and kept in the user's cache.
 */
export async function loadTemplate(): Promise<Blob> {
  return (await readTemplate()) ?? (await makeTemplate())
}

async function readTemplate(): Promise<Blob | undefined> {
  try {
    return new Blob([await readFile(path)], { type: 'application/x-gzip' })
  } catch {
    return undefined
  }
}

async function makeTemplate(): Promise<Blob> {
  const thread = new PgliteThread()
  try {
    await thread.call({ type: 'open', dataDir: null, template: null })
    await migrate(thread.query)
    const dump = await thread.call<Blob>({ type: 'dump' })
    keep(Buffer.from(await dump.arrayBuffer()))
    return dump
  } finally {
    thread.terminate()
  }
}

/** A cache that cannot be written costs time at the next start, nothing else. */
function keep(bytes: Buffer) {
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`
  try {
    mkdirSync(cache, { recursive: true })
    writeFileSync(draft, bytes)
    renameSync(draft, path)
  } catch {
    rmSync(draft, { force: true })
  }
}
