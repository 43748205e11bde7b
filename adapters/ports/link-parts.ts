import type { FetchPart } from './snapshot-parts.ts'

const fetchMsMax = 30_000

/** Fetches parts by HTTP with the token of an open link. What is larger than announced is not read to its end. */
export function fetchPartOver(controlUrl: string, partToken: string, closing: AbortSignal): FetchPart {
  return async (digest, bytesMax) => {
    try {
      const response = await fetch(new URL(`/plane/v1/parts/${digest}`, controlUrl), {
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
