import type { RetryCause } from '../../../schema/config/index.ts'
import type { UpstreamError } from '../codec.ts'
import { readHttpError, type ToldError, toldInside } from '../http-error.ts'
import { entryOf } from '../json.ts'

/** Reads an error of the runtime. A model's own failure (424) is one of the provider's, not of the request. */
export function readConverseError(status: number, text: string): UpstreamError {
  return readHttpError(status === 424 ? 500 : status, text, toldOf(status, text))
}

/** Statuses of the exceptions that end a stream (Amazon Bedrock API reference, "ConverseStream"). */
const statuses: Record<string, number> = {
  accessDeniedException: 403,
  internalServerException: 500,
  modelErrorException: 424,
  modelNotReadyException: 429,
  modelStreamErrorException: 424,
  modelTimeoutException: 408,
  resourceNotFoundException: 404,
  serviceQuotaExceededException: 429,
  serviceUnavailableException: 503,
  throttlingException: 429,
  validationException: 400,
}

/** An exception within a stream; its name begins with a small letter there, and a large one elsewhere. */
export function readStreamException(name: string, text: string): UpstreamError {
  const known = name.charAt(0).toLowerCase() + name.slice(1)
  return toldInside(readConverseError(entryOf(statuses, known) ?? 500, text), text)
}

/** The runtime has no code for these: models' own words, and its own. */
const tooLong = [
  'input is too long',
  'prompt is too long',
  'too many input tokens',
  'input tokens exceeded',
  'maximum context length',
  'exceed context limit',
  'exceeds the maximum number of tokens',
]

function toldOf(status: number, text: string): ToldError | undefined {
  let message: unknown
  try {
    const body = JSON.parse(text)
    message = body?.message ?? body?.Message
  } catch {
    return undefined
  }
  if (typeof message !== 'string') return undefined
  return { message, cause: status === 400 ? causeOf(message.slice(0, 1_000).toLowerCase()) : undefined }
}

function causeOf(words: string): RetryCause | undefined {
  if (tooLong.some((each) => words.includes(each))) return 'CONTEXT_TOO_LONG'
  return words.includes('content filtering policy') ? 'CONTENT_FILTERED' : undefined
}
