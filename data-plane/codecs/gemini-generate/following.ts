import type { AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import { readToldError } from './errors.ts'
import { readUsage, tierOf } from './usage.ts'

/** What is seen of an answer, or of one of its pieces, while it passes as it is. */
export class Followed {
  readonly facts: AnswerFacts = { usage: undefined, finishReason: null, outputBytes: 0, hiddenOutput: true }
  /** A candidate was told, or why there is none. */
  hasAnswer = false
  readonly #seen = new Set<unknown>()
  readonly #finished = new Set<unknown>()

  /** Every candidate that was seen has ended, or the prompt was blocked. Another one can still begin. */
  get isOver(): boolean {
    return this.hasEnd && this.#finished.size === this.#seen.size
  }

  /** Some candidate has ended. */
  get hasEnd(): boolean {
    return this.#finished.size > 0
  }

  /** Reads one GenerateContentResponse; answers whether it holds any content. */
  read(text: string, what: string): boolean | AnswerFault {
    const read = readObject(text, what)
    if (!('object' in read)) return read
    const { object } = read
    if (object.error) return readToldError(object.error as object, text)
    this.facts.usage = readUsage(object.usageMetadata) ?? this.facts.usage
    this.facts.serviceTier = tierOf(object.usageMetadata) ?? this.facts.serviceTier
    this.#readBlock(object.promptFeedback)
    if (object.candidates === undefined) return false
    if (!Array.isArray(object.candidates)) return brokeOff(`${what} holds something else than candidates.`)
    let content = false
    for (const candidate of object.candidates) content = this.#count(candidate) || content
    return content
  }

  /** Without candidates the answer is why: never an empty success. */
  #readBlock(feedback: unknown): void {
    const reason = (feedback as { blockReason?: unknown } | undefined)?.blockReason
    if (typeof reason !== 'string') return
    this.facts.finishReason = reason
    this.hasAnswer = true
    this.#seen.add('prompt')
    this.#finished.add('prompt')
  }

  #count(candidate: unknown): boolean {
    const { index = 0, content, finishReason } = (candidate ?? {}) as Record<string, unknown>
    const parts = (content as { parts?: unknown } | undefined)?.parts
    if (this.#seen.size < candidatesMax) this.#seen.add(index)
    if (typeof finishReason === 'string' && finishReason !== 'FINISH_REASON_UNSPECIFIED') {
      if (index === 0) this.facts.finishReason = finishReason
      if (this.#seen.has(index)) this.#finished.add(index)
    }
    if (content !== undefined || finishReason !== undefined) this.hasAnswer = true
    if (!Array.isArray(parts)) return false
    for (const part of parts) this.facts.outputBytes += bytesOf(part)
    return parts.length > 0
  }
}

/** No request asks for more. */
const candidatesMax = 128

function bytesOf(part: unknown): number {
  const text = (part as { text?: unknown } | null)?.text
  return Buffer.byteLength(typeof text === 'string' ? text : (JSON.stringify(part) ?? ''))
}
