import type { RunningModel } from '../../snapshot/running.ts'
import type { AnswerDecoder, AnswerFacts, AnswerFault } from '../codec.ts'
import { brokeOff, Gathered, readObject } from '../gathered.ts'
import type { Json } from '../json.ts'
import { readToldError } from './errors.ts'
import { camel } from './names.ts'
import type { GeminiRequest } from './request.ts'

/** Follows a count of tokens that passes as it is. It costs nothing. */
export class CountDecoder implements AnswerDecoder {
  readonly complete = false
  readonly facts: AnswerFacts = { usage: [], finishReason: null, outputBytes: 0, hiddenOutput: false }
  readonly #gathered = new Gathered()

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    return this.#gathered.push(chunk) ?? []
  }

  end(): Uint8Array[] | AnswerFault {
    const bytes = this.#gathered.bytes()
    const text = new TextDecoder().decode(bytes)
    const read = readObject(text, 'Its answer')
    if (!('object' in read)) return read
    if (read.object.error) return readToldError(read.object.error as Json, text)
    // Protobuf's JSON form leaves a count of nothing out.
    const count = camel(read.object).totalTokens ?? 0
    return Number.isSafeInteger(count) ? [bytes] : brokeOff('Its answer holds no count.')
  }
}

/** English, code and JSON come to 3 to 4 bytes a token with today's tokenizers; the smaller number errs to the safe side. */
const bytesPerToken = 3
/** What a picture or a page comes to where the model declares nothing. */
const mediaTokens = 258

/**
 * About how many tokens a request has, as this protocol tells it, for a provider that cannot be asked in it. Text by its bytes,
 * media by what the model declares; base64 is not text.
 */
export function countHere({ body }: GeminiRequest, model: RunningModel): string {
  let media = 0
  const { contents, systemInstruction, tools } = body.contents ? body : camel(body.generateContentRequest)
  const text = JSON.stringify([systemInstruction, contents, tools], (key, value) => {
    if (!mediaKeys.has(key) || typeof value !== 'object' || value === null) return value
    media++
    return undefined
  })
  const tokens = Math.ceil(Buffer.byteLength(text) / bytesPerToken)
  return JSON.stringify({ totalTokens: tokens + media * (model.bounds.tokensPerImage ?? mediaTokens) })
}

const mediaKeys = new Set(['inlineData', 'inline_data', 'fileData', 'file_data'])
