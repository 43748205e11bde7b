import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, Gathered } from '../gathered.ts'
import type { Json } from '../json.ts'
import { readToldError } from '../openai-chat/errors.ts'
import { readUsage } from '../openai-chat/usage.ts'
import { emptyFacts } from '../reading.ts'

/** An answer larger than this is not parsed: millions of numbers would stop the event loop. Its usage is found by its place. */
const parsedBytesMax = 256 * 1024
const edgeCharacters = 4 * 1024

/** Follows an answer of embeddings: gathered whole, checked, released byte for byte. */
export class EmbeddingsDecoder implements AnswerDecoder {
  readonly facts: AnswerFacts = { ...emptyFacts(false), finishReason: 'stop' }
  readonly complete = false
  readonly #gathered = new Gathered()

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    return this.#gathered.push(chunk) ?? none
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#gathered.bytes()
    const text = new TextDecoder().decode(bytes)
    if (text.length > parsedBytesMax) {
      if (!looksWhole(text)) return brokeOff('Its answer holds no embeddings.')
      this.facts.usage = readUsage(usageAtEdge(text))
      return [bytes]
    }
    const answer = parsed(text)
    if (answer?.error) return readToldError(answer as { error: object }, text)
    if (!Array.isArray(answer?.data) || answer.data.length === 0) return brokeOff('Its answer holds no embeddings.')
    this.facts.usage = readUsage(answer.usage)
    return [bytes]
  }
}

const none: Uint8Array[] = []

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function looksWhole(text: string): boolean {
  return text.trimStart().startsWith('{') && text.trimEnd().endsWith('}') && text.includes('"embedding"')
}

/** The `usage` object, which stands before or behind the numbers. */
function usageAtEdge(text: string): Json | undefined {
  for (const edge of [text.slice(-edgeCharacters), text.slice(0, edgeCharacters)]) {
    const at = edge.indexOf('"usage"')
    const from = at < 0 ? -1 : edge.indexOf('{', at)
    const found = from < 0 ? undefined : objectAt(edge, from)
    if (found) return found
  }
  return undefined
}

/** The JSON object that begins at `from`; small, so every closing brace is tried. */
function objectAt(text: string, from: number): Json | undefined {
  for (let end = text.indexOf('}', from); end !== -1; end = text.indexOf('}', end + 1)) {
    const object = parsed(text.slice(from, end + 1))
    if (object) return object
  }
  return undefined
}
