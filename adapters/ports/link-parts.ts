import { sleep } from './link-backoff.ts'
import type { FetchPart } from './snapshot-parts.ts'

/** A part is given up when nothing of it has come for so long; a slow line may take its time. */
const quietMsMax = 15_000

/** The next try may reach another control plane, or this one when it has more to give. */
const triesMax = 3
const retryMs = 100

/**
 * Fetches a tenant's parts by HTTP with the token of an open link, at most three times over. What is larger than announced is
 * not read to its end.
 */
export function fetchPartOver(from: {
  controlUrl: string
  tenant: string
  partToken: string
  closing: AbortSignal
}): FetchPart {
  const { controlUrl, tenant, partToken, closing } = from
  return async (digest, bytesMax) => {
    const url = new URL(`/plane/v1/parts/${digest}?${new URLSearchParams({ tenant })}`, controlUrl)
    for (let tries = 1; !closing.aborted; tries++) {
      const bytes = await fetchOnce(url, partToken, bytesMax, closing)
      if (bytes || tries === triesMax) return bytes
      await sleep(retryMs, closing)
    }
    return undefined
  }
}

async function fetchOnce(
  url: URL,
  partToken: string,
  bytesMax: number,
  closing: AbortSignal,
): Promise<Uint8Array | undefined> {
  const quiet = new AbortController()
  const timer = setTimeout(() => quiet.abort(), quietMsMax)
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${partToken}` },
      redirect: 'error',
      signal: AbortSignal.any([closing, quiet.signal]),
    })
    if (response.ok && response.body) return await readAtMost(response.body, bytesMax, () => timer.refresh())
    await response.body?.cancel()
    return undefined
  } catch {
    return undefined
  } finally {
    clearTimeout(timer)
  }
}

async function readAtMost(
  body: ReadableStream<Uint8Array>,
  bytesMax: number,
  came: () => void,
): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    came()
    bytes += chunk.byteLength
    if (bytes > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
