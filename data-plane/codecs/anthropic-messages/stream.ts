import { SseCutter, type SseEvent, type SseProblem } from '../../sse.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff } from '../gathered.ts'
import type { Json } from '../json.ts'
import { emptyFacts, eventBytesMax, problems } from '../reading.ts'
import { readEvent } from './events.ts'
import { mergeUsage, readUsage, tierOf } from './usage.ts'

/** Follows a streamed message. Events are released as they came; `message_stop` is held back until the end. */
export class MessageStreamDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts
  complete = false
  readonly #cutter = new SseCutter(eventBytesMax)
  #stop: Uint8Array | undefined
  #begun = false
  #usage: Json | undefined
  /** Met behind events that are good: told by `end`, so that an answer does not depend on how it was cut. */
  #fault: AnswerFault | undefined

  /** `thinks`: the request asks for thinking, whose tokens are billed whether or not they are shown. */
  constructor(thinks: boolean) {
    this.facts = emptyFacts(thinks)
  }

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    if (this.complete) return []
    const between = this.#cutter.isBetween
    const events = this.#cutter.push(chunk)
    // Whole events that all pass go out as the one piece they came in.
    const whole = between && this.#cutter.isBetween
    const released = this.#release(events)
    return whole && Array.isArray(released) && released.length === events.length ? [chunk] : released
  }

  end(): Uint8Array[] | AnswerFault {
    if (this.#fault) return this.#fault
    const last = this.complete ? undefined : this.#cutter.end()
    const released = last ? this.#release([last]) : []
    if (!Array.isArray(released)) return released
    if (this.#fault) return this.#fault
    if (!this.#stop && this.facts.finishReason === null) return brokeOff('Its stream ended before the answer did.')
    if (!this.#begun) return brokeOff('Its stream held no answer.')
    return this.#stop ? [...released, this.#stop] : released
  }

  #release(events: Iterable<SseEvent | SseProblem>): Uint8Array[] | AnswerFault {
    const released: Uint8Array[] = []
    for (const cut of events) {
      if (typeof cut === 'string') return this.#break(released, brokeOff(problems[cut]))
      if (cut.data === undefined) {
        released.push(cut.raw)
        continue
      }
      const read = readEvent(cut.data)
      if ('refusal' in read) return this.#break(released, read)
      if (read.event.type === 'message_stop') {
        this.#stop = cut.raw
        this.complete = true
        return released
      }
      this.#note(read.event)
      released.push(cut.raw)
    }
    return released
  }

  #break(released: Uint8Array[], fault: AnswerFault): Uint8Array[] | AnswerFault {
    this.complete = true
    this.#fault = fault
    return released.length > 0 ? released : fault
  }

  #note({ type, message, delta, content_block: block, usage }: Json): void {
    if (type === 'content_block_delta') this.#count(delta)
    else if (type === 'content_block_start') this.#open(block)
    else if (type === 'message_start') {
      this.#begun = true
      this.#usage = message?.usage
    } else if (type === 'message_delta') {
      if (typeof delta?.stop_reason === 'string') this.facts.finishReason = delta.stop_reason
      this.#usage = mergeUsage(this.#usage, usage)
      this.facts.usage = readUsage(this.#usage) ?? this.facts.usage
      this.facts.serviceTier = tierOf(this.#usage)
    }
  }

  /** Blocks that a server made (results of its tools) come whole. */
  #open(block: Json | undefined): void {
    if (block?.type === 'thinking' || block?.type === 'redacted_thinking') this.facts.hiddenOutput = true
    const isEmpty = !block || block.text === '' || block.thinking === ''
    if (!isEmpty) this.facts.outputBytes += Buffer.byteLength(JSON.stringify(block))
  }

  #count(delta: Json | undefined): void {
    for (const key in delta) {
      if (key === 'type' || key === 'signature') continue
      const value = delta[key]
      if (typeof value === 'string') this.facts.outputBytes += Buffer.byteLength(value)
      else if (value != null) this.facts.outputBytes += Buffer.byteLength(JSON.stringify(value))
    }
  }
}
