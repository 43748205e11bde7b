import { readFileSync, statSync } from 'node:fs'

const fileBytesMax = 64 * 1024

/** A mounted token: read anew each time, since the platform rotates it; undefined where it cannot be read. */
export function readTokenFile(path: string): string | undefined {
  try {
    if (statSync(path).size > fileBytesMax) return undefined
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
