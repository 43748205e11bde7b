import { SseCutter, type SseEvent } from '../../sse.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import type { Json } from '../json.ts'
import { emptyFacts, eventBytesMax, problems } from '../reading.ts'
import { noteResponse } from './answer.ts'
import { readFailed } from './errors.ts'

/**
 * Follows a streamed response: events are released as they came, the last one (`response.completed`, `response.incomplete`) is
 * held back until the end.
 */
export class ResponsesStreamDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts = emptyFacts(true)
  complete = false
  readonly #cutter = new SseCutter(eventBytesMax)
  #last: Uint8Array | undefined
  #fault: AnswerFault | undefined

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    const released: Uint8Array[] = []
    if (this.complete) return released
    for (const event of this.#cutter.push(chunk)) {
      const fault = typeof event === 'string' ? brokeOff(problems[event]) : this.#read(event, released)
      if (fault) return this.#stop(released, fault)
      if (this.complete) break
    }
    return released
  }

  end(): Uint8Array[] | AnswerFault {
    if (this.#fault) return this.#fault
    const released: Uint8Array[] = []
    const rest = this.complete ? undefined : this.#cutter.end()
    if (typeof rest === 'string') return brokeOff(problems[rest])
    const fault = rest && this.#read(rest, released)
    if (fault) return fault
    return this.#last ? [...released, this.#last] : brokeOff('Its stream ended before the answer did.')
  }

  #read({ data, raw }: SseEvent, released: Uint8Array[]): AnswerFault | undefined {
    if (data === undefined || data === '[DONE]') {
      released.push(raw)
      return undefined
    }
    const read = readObject(data, 'An event of its')
    if (!('object' in read)) return read
    const event: Json = read.object
    if (event.type === 'error') return readFailed(event.error ?? event, data)
    if (event.type === 'response.failed') return readFailed(event.response?.error, data)
    if (typeof event.delta === 'string') this.facts.outputBytes += Buffer.byteLength(event.delta)
    if (event.type === 'response.completed' || event.type === 'response.incomplete') {
      noteResponse(this.facts, event.response ?? {})
      this.#last = raw
      this.complete = true
    } else released.push(raw)
    return undefined
  }

  #stop(released: Uint8Array[], fault: AnswerFault): Uint8Array[] | AnswerFault {
    if (released.length === 0) return fault
    this.#fault = fault
    this.complete = true
    return released
  }
}
