import { isMonstrous } from '../../json-members.ts'
import { plainEvents, SseCutter, type SseEvent, type SseProblem } from '../../sse.ts'
import { reportedTier } from '../ceiling-parts.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff } from '../gathered.ts'
import { emptyFacts, eventBytesMax } from '../reading.ts'
import { readToldError } from './errors.ts'
import { readUsage } from './usage.ts'

interface ChunkChoice {
  delta?: Record<string, unknown> | null
  /** Where a text is completed, and not a chat. */
  text?: unknown
  finish_reason?: unknown
}

interface ChatChunk {
  choices?: ChunkChoice[]
  usage?: Parameters<typeof readUsage>[0]
  service_tier?: unknown
  error?: unknown
}

const encoder = new TextEncoder()
const done = '[DONE]'

function encodeEvents(events: string[]): Uint8Array[] {
  return events.length > 0 ? [encoder.encode(events.map((data) => `data: ${data}\n\n`).join(''))] : []
}

/**
 * Follows a streamed chat completion. Events are released as they came; only the usage that the gateway itself asked for is
 * taken out, and `[DONE]` is held back until the end.
 */
export class ChatStreamDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts
  complete = false
  readonly #cutter = new SseCutter(eventBytesMax)
  readonly #showsUsage: boolean
  #done: Uint8Array | undefined
  #hasChoice = false
  /** Met behind events that are good: told by `end`, so that an answer does not depend on how it was cut. */
  #fault: AnswerFault | undefined

  /** `thinks`: tokens can be billed that the stream does not show. */
  constructor(showsUsage: boolean, thinks = false) {
    this.#showsUsage = showsUsage
    this.facts = emptyFacts(thinks)
  }

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    if (this.complete) return []
    const plain = this.#cutter.isBetween ? plainEvents(chunk) : undefined
    return plain ? this.#releasePlain(chunk, plain) : this.#release(this.#cutter.push(chunk))
  }

  end(): Uint8Array[] | AnswerFault {
    if (this.#fault) return this.#fault
    const last = this.complete ? undefined : this.#cutter.end()
    if (typeof last === 'string') return brokeOff(problems[last])
    const released = last ? this.#release([last]) : []
    if ('refusal' in released) return released
    if (!this.#done && this.facts.finishReason === null) return brokeOff('Its stream ended before the answer did.')
    if (!this.#hasChoice) return brokeOff('Its stream held no answer.')
    return this.#done ? [...released, this.#done] : released
  }

  /** A chunk of plain events: goes out as one piece, untouched where all of its events pass as they are. */
  #releasePlain(chunk: Uint8Array, events: string[]): Uint8Array[] | AnswerFault {
    const passed: string[] = []
    let isUntouched = true
    for (const data of events) {
      if (data === done) {
        this.#finish(encoder.encode(`data: ${done}\n\n`))
        isUntouched = false
        break
      }
      const seen = this.#read(data)
      if (typeof seen === 'object') return this.#stop(encodeEvents(passed), seen)
      if (seen !== data) isUntouched = false
      if (seen !== undefined) passed.push(seen)
    }
    return isUntouched ? [chunk] : encodeEvents(passed)
  }

  #release(events: Iterable<SseEvent | SseProblem>): Uint8Array[] | AnswerFault {
    const released: Uint8Array[] = []
    for (const event of events) {
      if (typeof event === 'string') return this.#stop(released, brokeOff(problems[event]))
      if (event.data === undefined) {
        released.push(event.raw)
      } else if (event.data === done) {
        this.#finish(event.raw)
        return released
      } else {
        const seen = this.#read(event.data)
        if (typeof seen === 'object') return this.#stop(released, seen)
        if (seen === event.data) released.push(event.raw)
        else if (seen !== undefined) released.push(...encodeEvents([seen]))
      }
    }
    return released
  }

  #finish(held: Uint8Array): void {
    this.#done = held
    this.complete = true
  }

  #stop(released: Uint8Array[], fault: AnswerFault): Uint8Array[] | AnswerFault {
    if (released.length === 0) return fault
    this.#fault = fault
    this.complete = true
    return released
  }

  /** What of this event's data the client sees: all of it, all but our usage, or nothing. */
  #read(data: string): string | undefined | AnswerFault {
    if (isMonstrous(data)) return brokeOff('It sent an event that is nested absurdly.')
    let chunk: ChatChunk
    try {
      chunk = JSON.parse(data)
    } catch {
      return brokeOff('It sent an event that is not JSON.')
    }
    if (typeof chunk !== 'object' || chunk === null)
      return brokeOff('It sent an event that is no chat completion chunk.')
    if (chunk.error) return readToldError(chunk as { error: object }, data)
    const choices = Array.isArray(chunk.choices) ? chunk.choices : []
    if (choices.length > 0) this.#hasChoice = true
    for (const choice of choices) this.#count(choice)
    if (chunk.usage) this.facts.usage = readUsage(chunk.usage) ?? this.facts.usage
    if (chunk.service_tier != null) this.facts.serviceTier = reportedTier(chunk.service_tier)
    if (this.#showsUsage || !('usage' in chunk)) return data
    if (choices.length === 0 && chunk.usage) return undefined
    // Quotes inside a JSON string are escaped, so this can only be the member itself.
    return chunk.usage === null ? data.replace(/,\s*"usage"\s*:\s*null/, '') : data
  }

  #count(choice: ChunkChoice): void {
    if (typeof choice?.finish_reason === 'string') this.facts.finishReason = choice.finish_reason
    if (typeof choice?.text === 'string') this.facts.outputBytes += Buffer.byteLength(choice.text)
    const delta = choice?.delta
    if (!delta) return
    for (const key in delta) {
      const value = delta[key]
      if (typeof value === 'string') {
        if (key !== 'role') this.facts.outputBytes += Buffer.byteLength(value)
      } else if (value != null) this.facts.outputBytes += Buffer.byteLength(JSON.stringify(value))
    }
  }
}

const problems = {
  event_too_large: `It sent an event larger than ${eventBytesMax} bytes.`,
  not_utf8: 'It sent bytes that are not UTF-8.',
} as const
