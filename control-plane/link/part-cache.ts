/** Enough for the keys of some hundred thousand; beyond it what was asked for longest ago goes first. */
const cachedBytesMax = 32 * 1024 * 1024

type FindPart = (tenant: string, digest: string) => Promise<Buffer | undefined>

/**
 * Reads each part once for all planes that fetch it about the same time. Parts never change, since their digest is their name;
 * whose they are is asked anew by every read, so one tenant's are never found for another.
 */
export function cachedParts(find: FindPart, bytesMax = cachedBytesMax): FindPart {
  const cached = new Map<string, { found: Promise<Buffer | undefined>; bytes: number }>()
  let bytes = 0
  const forget = (name: string) => {
    bytes -= cached.get(name)?.bytes ?? 0
    cached.delete(name)
  }
  const read = (name: string, tenant: string, digest: string) => {
    const found = find(tenant, digest)
    const entry = { found, bytes: 0 }
    cached.set(name, entry)
    const settle = (part?: Buffer) => {
      if (cached.get(name) !== entry) return
      // What is not there may come.
      if (!part) return forget(name)
      entry.bytes = part.byteLength
      bytes += entry.bytes
      for (const oldest of cached.keys()) {
        if (bytes <= bytesMax) return
        forget(oldest)
      }
    }
    found.then(settle, () => settle())
    return found
  }
  return (tenant, digest) => {
    const name = `${tenant} ${digest}`
    const entry = cached.get(name)
    if (!entry) return read(name, tenant, digest)
    cached.delete(name)
    cached.set(name, entry)
    return entry.found
  }
}
