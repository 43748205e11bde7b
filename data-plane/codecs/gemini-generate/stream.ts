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
  readonly #followed = new Followed()
  readonly #frames: Frames
  #held: Uint8Array[] = []
  /** Met behind pieces that are good: told by `end`, so that an answer does not depend on how it was cut. */
  #fault: AnswerFault | undefined

  constructor(framing: Framing) {
    this.#frames = new Frames(framing)
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
    if (event.data === undefined) return this.#pass(event.raw, released)
    const content = this.#followed.read(event.data, 'An event of its')
    if (typeof content === 'object') return content
    const { isOver } = this.#followed
    if ((content || !isOver) && this.#held.length > 0) released.push(...this.#held.splice(0))
    const piece = this.#frames.frame(event.data, event.raw)
    if (isOver) return this.#hold(piece)
    released.push(piece)
    return undefined
  }

  /** A comment, or the rest of a line end; a list has no place for either. */
  #pass(raw: Uint8Array, released: Uint8Array[]): AnswerFault | undefined {
    if (this.#frames.framing === 'array') return undefined
    if (this.#held.length > 0) return this.#hold(raw)
    released.push(raw)
    return undefined
  }

  #hold(piece: Uint8Array): AnswerFault | undefined {
    this.#held.push(piece)
    return this.#held.length > heldMax ? brokeOff('It went on and on behind its end.') : undefined
  }
}

/** Behind the end come a piece of usage or two. */
const heldMax = 100
