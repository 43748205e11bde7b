import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, Gathered } from '../gathered.ts'
import { Followed } from './following.ts'

const none: Uint8Array[] = []

/** Follows a plain answer that passes: it is gathered whole, checked, and released byte for byte. */
export class GeminiAnswerDecoder implements AnswerDecoder {
  readonly complete = false
  readonly #gathered = new Gathered()
  readonly #followed = new Followed()

  get facts(): AnswerFacts {
    return this.#followed.facts
  }

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    return this.#gathered.push(chunk) ?? none
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#gathered.bytes()
    const read = this.#followed.read(new TextDecoder().decode(bytes), 'Its answer')
    if (typeof read === 'object') return read
    return this.#followed.hasAnswer ? [bytes] : brokeOff('Its answer holds no candidates.')
  }
}
