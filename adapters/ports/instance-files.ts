import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

let drafts = 0
const draftOf = (path: string) => `${path}.draft-${process.pid}-${++drafts}`

/** Writes a file whole or not at all, and durably: a reader sees the old bytes or the new ones, also after a power cut. */
export function writeDurably(path: string, bytes: string | Uint8Array, mode = 0o600): void {
  const draft = draftOf(path)
  const file = openSync(draft, 'wx', mode)
  try {
    const whole = Buffer.from(bytes as Uint8Array)
    for (let at = 0; at < whole.length; ) at += writeSync(file, whole, at)
    fsyncSync(file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
  renameSync(draft, path)
  syncFolder(dirname(path))
}

/** The same without holding up the event loop. */
export async function writeDurablyLater(path: string, bytes: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeWholeLater(path, bytes, mode)
  await syncFolderLater(dirname(path))
}

/** The same but for the folder: the file survives a power cut only once `syncFolderLater` is through. For many files at once. */
export async function writeWholeLater(path: string, bytes: string | Uint8Array, mode = 0o600): Promise<void> {
  const draft = draftOf(path)
  try {
    const file = await open(draft, 'wx', mode)
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

export async function syncFolderLater(path: string): Promise<void> {
  const folder = await open(path, 'r')
  await folder.sync().finally(() => folder.close())
}

/** A file's bytes; undefined where there is none. */
export function readIfPresent(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export async function readIfPresentLater(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

/** The JSON in a file; undefined where there is none or it is not JSON. */
export function readJson(path: string): unknown {
  const bytes = readIfPresent(path)
  try {
    return bytes && JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
