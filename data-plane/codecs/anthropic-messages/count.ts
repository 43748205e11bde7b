import type { RunningModel } from '../../snapshot/running.ts'
import type { Json } from '../json.ts'
import type { MessagesRequest } from './request.ts'

/** English, code and JSON come to 3 to 4 bytes a token with today's tokenizers; the smaller number errs to the safe side. */
const bytesPerToken = 3
/** What an image comes to where the model declares nothing: Claude's largest. */
const plainImage = 1_600

/**
 * About how many tokens a request has, for a provider that cannot be asked in this protocol. Text by its bytes, images by what
 * the model declares; base64 is not text.
 */
export function estimateTokens({ body }: MessagesRequest, model: RunningModel): number {
  let images = 0
  const text = JSON.stringify([(body as unknown as Json).system, body.messages, body.tools], (key, value) => {
    if (key !== 'source' || typeof value !== 'object' || value === null || value.type === 'text') return value
    images++
    return undefined
  })
  return Math.ceil(Buffer.byteLength(text) / bytesPerToken) + images * (model.bounds.tokensPerImage ?? plainImage)
}
