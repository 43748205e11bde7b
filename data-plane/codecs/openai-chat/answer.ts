import { isMonstrous } from '../../json-members.ts'
import { reportedTier } from '../ceiling-parts.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { answerBytesMax, brokeOff } from '../gathered.ts'
import { readToldError } from './errors.ts'
import { readUsage } from './usage.ts'

/** A message; a text where a text is completed, and not a chat. */
interface Choice {
  finish_reason?: unknown
  message?: unknown
  text?: unknown
}

interface ChatCompletion {
  choices?: Choice[]
  usage?: Parameters<typeof readUsage>[0]
  service_tier?: unknown
  error?: unknown
}

/** Follows a plain chat completion: it is gathered whole, checked, and released byte for byte. */
export class ChatAnswerDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts = { usage: undefined, finishReason: null, outputBytes: 0, hiddenOutput: true }
  readonly complete = false
  readonly #chunks: Uint8Array[] = []
  #bytes = 0

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    this.#bytes += chunk.length
    if (this.#bytes > answerBytesMax) return brokeOff(`Its answer is larger than ${answerBytesMax} bytes.`)
    this.#chunks.push(chunk)
    return none
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const text = new TextDecoder().decode(bytes)
    if (isMonstrous(text)) return brokeOff('Its answer is nested absurdly.')
    let answer: ChatCompletion
    try {
      answer = JSON.parse(text)
    } catch {
      return brokeOff(text === '' ? 'Its answer is empty.' : 'Its answer is not JSON.')
    }
    if (answer?.error) return readToldError(answer as { error: object }, text)
    if (!Array.isArray(answer?.choices) || answer.choices.length === 0) return brokeOff('Its answer holds no choices.')
    if (!answer.choices.every(saysSomething)) return brokeOff('Its answer holds a choice without a message.')
    this.#read(answer, bytes.length)
    return [bytes]
  }

  #read(answer: ChatCompletion, bytes: number): void {
    const reason = answer.choices?.[0]?.finish_reason
    this.facts.finishReason = typeof reason === 'string' ? reason : null
    this.facts.usage = readUsage(answer.usage)
    this.facts.serviceTier = reportedTier(answer.service_tier)
    this.facts.outputBytes = bytes
  }
}

const none: Uint8Array[] = []

function saysSomething(choice: Choice | null | undefined): boolean {
  return (typeof choice?.message === 'object' && choice.message !== null) || typeof choice?.text === 'string'
}
