/** An error's body is read up to here; what stands behind it helps nobody. */
const errorBytesMax = 256 * 1024

/** The text of an error's body, bounded; what cannot be read is left out. */
export async function readBoundedText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (!body) return ''
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      length += chunk.length
      if (length > errorBytesMax) break
    }
  } catch {
    // The connection broke off within the error: what came is what there is.
  }
  return new TextDecoder().decode(Buffer.concat(chunks).subarray(0, errorBytesMax))
}
