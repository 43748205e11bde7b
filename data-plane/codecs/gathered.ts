import { refuse } from '../../schema/refusals.ts'
import { isMonstrous } from '../json-members.ts'
import type { UpstreamError } from './codec.ts'

/** A plain answer larger than this is cut off: it is held whole until its record is durable. */
export const answerBytesMax = 64 * 1024 * 1024

/** The answer is not what the protocol says: never an empty success, and it may be billed. */
export function brokeOff(detail: string): UpstreamError {
  return { refusal: refuse('upstream_broke_off', detail), cause: 'SERVER_ERROR', free: false }
}

/** A plain answer, gathered whole. */
export class Gathered {
  readonly #chunks: Uint8Array[] = []
  #length = 0

  /** A fault where the answer grows past its bound. */
  push(chunk: Uint8Array): UpstreamError | undefined {
    this.#length += chunk.length
    if (this.#length > answerBytesMax) return brokeOff(`Its answer is larger than ${answerBytesMax} bytes.`)
    this.#chunks.push(chunk)
    return undefined
  }

  bytes(): Uint8Array {
    return this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
  }
}

/** A JSON object of a provider's; a fault where it is none, or one whose reading would stop the event loop. */
export function readObject(text: string, what: string): { object: Record<string, unknown> } | UpstreamError {
  if (isMonstrous(text)) return brokeOff(`${what} is nested absurdly.`)
  try {
    const object = JSON.parse(text)
    if (typeof object === 'object' && object !== null && !Array.isArray(object)) return { object }
    return brokeOff(`${what} is no JSON object.`)
  } catch {
    return brokeOff(text === '' ? `${what} is empty.` : `${what} is not JSON.`)
  }
}
