import { reportedTier } from '../ceiling-parts.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, Gathered, readObject } from '../gathered.ts'
import { type Json, textOf } from '../json.ts'
import { emptyFacts } from '../reading.ts'
import { readFailed } from './errors.ts'
import { readResponsesUsage } from './usage.ts'

/** Follows a plain response: gathered whole, checked, released byte for byte. */
export class ResponsesAnswerDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts = emptyFacts(true)
  readonly complete = false
  readonly #gathered = new Gathered()

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    return this.#gathered.push(chunk) ?? none
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#gathered.bytes()
    const text = new TextDecoder().decode(bytes)
    const read = readObject(text, 'Its answer')
    if (!('object' in read)) return read
    const fault = faultOf(read.object, text)
    if (fault) return fault
    noteResponse(this.facts, read.object)
    this.facts.outputBytes = bytes.length
    return [bytes]
  }
}

const none: Uint8Array[] = []

/** Why this is no answer; undefined where it is one, cut short or not. */
export function faultOf(response: Json, text: string): AnswerFault | undefined {
  if (response.error) return readFailed(response.error, text)
  if (!Array.isArray(response.output)) return brokeOff('Its answer holds no output.')
  return response.status === 'completed' || response.status === 'incomplete'
    ? undefined
    : brokeOff(`Its answer has the status ${textOf(response.status).slice(0, 40)}.`)
}

/** What the end of a response says. */
export function noteResponse(facts: AnswerFacts, response: Json): void {
  const reason = response.incomplete_details?.reason ?? response.status
  facts.finishReason = typeof reason === 'string' ? reason : null
  facts.usage = readResponsesUsage(response.usage) ?? facts.usage
  facts.serviceTier = reportedTier(response.service_tier)
}
