import { sleep } from './link-backoff.ts'
import type { FetchPart } from './snapshot-parts.ts'

const fetchMsMax = 30_000

/** The next try may reach another control plane, or this one when it has more to give. */
const triesMax = 3
const retryMs = 100

/**
 * Fetches parts by HTTP with the token of an open link, at most three times over. What is larger than announced is not read to
 * its end.
 */
export function fetchPartOver(controlUrl: string, partToken: string, closing: AbortSignal): FetchPart {
  return async (digest, bytesMax) => {
    const url = new URL(`/plane/v1/parts/${digest}`, controlUrl)
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
  try {
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${partToken}` },
      redirect: 'error',
      signal: AbortSignal.any([closing, AbortSignal.timeout(fetchMsMax)]),
    })
    if (response.ok && response.body) return await readAtMost(response.body, bytesMax)
    await response.body?.cancel()
    return undefined
  } catch {
    return undefined
  }
}

async function readAtMost(body: ReadableStream<Uint8Array>, bytesMax: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
