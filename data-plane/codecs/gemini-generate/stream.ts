import { SseCutter, type SseEvent, type SseProblem } from '../../sse.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff } from '../gathered.ts'
import { eventBytesMax, problems } from '../reading.ts'
import { Followed } from './following.ts'
import { Frames } from './framing.ts'
import type { Framing } from './request.ts'

/**
 * Follows a streamed answer that passes. Pieces are released as they came, as events or as the elements of a list; the one that
 * ends the answer, and what follows it, is held back until the end. This protocol has no mark of its end but the connection's.
 */
export class GeminiStreamDecoder implements AnswerDecoder {
  complete = false
  readonly #cutter = new SseCutter(eventBytesMax)
  readonly #followed: Followed
  readonly #frames: Frames
  #held: Uint8Array[] = []
  /** Met behind pieces that are good: told by `end`, so that an answer does not depend on how it was cut. */
  #fault: AnswerFault | undefined

  constructor(framing: Framing, candidates: number) {
    this.#frames = new Frames(framing)
    this.#followed = new Followed(candidates)
  }

  get facts(): AnswerFacts {
    return this.#followed.facts
  }

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    const released: Uint8Array[] = []
    if (this.complete) return released
    for (const event of this.#cutter.push(chunk)) {
      const fault = this.#follow(event, released)
      if (fault && released.length === 0) return fault
      if (fault) {
        this.#fault = fault
        this.complete = true
        break
      }
    }
    return released
  }

  end(): Uint8Array[] | AnswerFault {
    if (this.#fault) return this.#fault
    const last = this.#cutter.end()
    const released: Uint8Array[] = []
    const fault = last && this.#follow(last, released)
    if (fault) return fault
    if (!this.#followed.hasEnd) return brokeOff('Its stream ended before the answer did.')
    if (!this.#followed.hasAnswer) return brokeOff('Its stream held no answer.')
    return [...released, ...this.#held, ...this.#frames.close()]
  }

  /** Some models say in every piece why they end: what is held is released again where content follows. */
  #follow(event: SseEvent | SseProblem, released: Uint8Array[]): AnswerFault | undefined {
    if (typeof event === 'string') return brokeOff(problems[event])
    if (event.data === undefined) {
      // A list has no place for comments.
      if (this.#frames.framing === 'sse') (this.#held.length > 0 ? this.#held : released).push(event.raw)
      return undefined
    }
    const content = this.#followed.read(event.data, 'An event of its')
    if (typeof content === 'object') return content
    if (content && this.#held.length > 0) released.push(...this.#held.splice(0))
    const into = this.#followed.isOver ? this.#held : released
    into.push(this.#frames.frame(event.data, event.raw))
    return undefined
  }
}
