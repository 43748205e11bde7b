import type { RetryCause } from '../../../schema/config/index.ts'
import { type Refusal, refusalMessage, refusals } from '../../../schema/refusals.ts'
import type { UpstreamError } from '../codec.ts'
import { readHttpError, toldInside } from '../http-error.ts'
import { entryOf, type Json } from '../json.ts'

/** Statuses by error type (Claude API reference, "Errors"): within a stream only the type is told. */
const statuses: Record<string, number> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
}

/** Reads a provider's error. */
export function readMessagesError(status: number, text: string): UpstreamError {
  const error = parseError(text)
  return readHttpError(status, text, error && { message: error.message, cause: causeOf(status, error) })
}

/** An error told where an answer was due, or within a stream. */
export function readToldError(body: Json, text: string): UpstreamError {
  return toldInside(readMessagesError(entryOf(statuses, body.error?.type) ?? 500, text), text)
}

/** What the words say beyond the status: the API has no code for these, and agents read the same words. */
function causeOf(status: number, { type, message }: Json): RetryCause | undefined {
  // The account behind the gateway's key has no money: not the client's business.
  if (status === 402 || type === 'billing_error') return 'AUTH_FAILED'
  if (status === 413 || type === 'request_too_large') return 'CONTEXT_TOO_LONG'
  if (status !== 400 || typeof message !== 'string') return undefined
  const words = message.slice(0, 1_000).toLowerCase()
  if (words.includes('prompt is too long') || words.includes('exceed context limit')) return 'CONTEXT_TOO_LONG'
  if (words.includes('content filtering policy')) return 'CONTENT_FILTERED'
  if (words.includes('credit balance is too low')) return 'AUTH_FAILED'
  return undefined
}

function parseError(text: string): Json | undefined {
  try {
    const { error } = JSON.parse(text)
    return typeof error === 'object' && error ? error : undefined
  } catch {
    return undefined
  }
}

const types: Record<number, string> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
}

const errorBody = (type: string, message: string) =>
  JSON.stringify({ type: 'error', error: { type, message }, request_id: null })

/** A refusal in the shape of the Messages API. */
export function renderMessagesRefusal(refusal: Refusal): string {
  const { status } = refusals[refusal.refused]
  return errorBody(types[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error'), refusalMessage(refusal))
}

/** An error of another protocol's provider: agents shorten the conversation where they read these words. */
export function renderMessagesError({ cause, told }: UpstreamError): string | undefined {
  if (cause !== 'CONTEXT_TOO_LONG') return undefined
  return errorBody('invalid_request_error', `prompt is too long: ${told ?? 'the model takes less.'}`)
}

/** An error within a stream. */
export function renderStreamError(refusal: Refusal, told?: string): string {
  const body = told ?? renderMessagesRefusal(refusal)
  return `event: error\ndata: ${body.replace(/\s*\n\s*/g, ' ')}\n\n`
}
