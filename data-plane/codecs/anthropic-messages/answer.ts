import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, Gathered, readObject } from '../gathered.ts'
import type { Json } from '../json.ts'
import { emptyFacts } from '../reading.ts'
import { readToldError } from './errors.ts'
import { readUsage, tierOf } from './usage.ts'

/** Follows a plain answer: it is gathered whole, checked, and released byte for byte. */
abstract class WholeDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts = emptyFacts(true)
  readonly complete = false
  readonly #gathered = new Gathered()

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    return this.#gathered.push(chunk) ?? []
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#gathered.bytes()
    const text = new TextDecoder().decode(bytes)
    const answer = readObject(text, 'Its answer')
    if (!('object' in answer)) return answer
    if (answer.object.type === 'error') return readToldError(answer.object, text)
    return this.read(answer.object, bytes.length) ?? [bytes]
  }

  protected abstract read(answer: Json, bytes: number): AnswerFault | undefined
}

/** A message. */
export class MessageDecoder extends WholeDecoder {
  protected read(answer: Json, bytes: number): AnswerFault | undefined {
    if (!Array.isArray(answer.content)) return brokeOff('Its answer holds no content.')
    this.facts.finishReason = typeof answer.stop_reason === 'string' ? answer.stop_reason : null
    this.facts.usage = readUsage(answer.usage)
    this.facts.serviceTier = tierOf(answer.usage)
    this.facts.outputBytes = bytes
    return undefined
  }
}

/** A number of tokens, which costs nothing. */
export class CountDecoder extends WholeDecoder {
  protected read({ input_tokens }: Json): AnswerFault | undefined {
    this.facts.usage = []
    return Number.isSafeInteger(input_tokens) ? undefined : brokeOff('Its answer holds no count.')
  }
}
