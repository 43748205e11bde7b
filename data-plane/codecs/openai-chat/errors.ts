import type { RetryCause } from '../../../schema/config/index.ts'
import { type Refusal, refusalMessage, refusals } from '../../../schema/refusals.ts'
import type { UpstreamError } from '../codec.ts'
import { readHttpError, toldInside } from '../http-error.ts'
import { entryOf } from '../json.ts'

interface ErrorBody {
  error?: { message?: unknown; type?: unknown; code?: unknown } | string | null
}

const wordCauses: Record<string, RetryCause> = {
  context_length_exceeded: 'CONTEXT_TOO_LONG',
  content_filter: 'CONTENT_FILTERED',
  content_policy_violation: 'CONTENT_FILTERED',
}

/** Reads a provider's error; its `code` may say more than its status. */
export function readChatError(status: number, text: string): UpstreamError {
  const error = parseError(text)
  const cause = entryOf(wordCauses, error?.code)
  return readHttpError(status, text, error && { message: error.message, cause })
}

/** An error told where an answer was due: some providers do so after a 200. Their `code` may be the status they meant. */
export function readToldError(body: ErrorBody, text: string): UpstreamError {
  const error = typeof body.error === 'object' && body.error ? body.error : undefined
  return toldInside(readChatError(toldStatus(error), text), text)
}

function toldStatus(error: { type?: unknown; code?: unknown } | undefined): number {
  const code = /^(number|string)$/.test(typeof error?.code) ? Number(error!.code) : Number.NaN
  if (Number.isInteger(code) && code >= 400 && code <= 599) return code
  if (error?.type === 'invalid_request_error') return 400
  if (error?.type === 'rate_limit_exceeded' || error?.code === 'rate_limit_exceeded') return 429
  return 502
}

function parseError(text: string): { message?: unknown; type?: unknown; code?: unknown } | undefined {
  try {
    const body = JSON.parse(text) as ErrorBody
    return typeof body?.error === 'object' && body.error ? body.error : undefined
  } catch {
    return undefined
  }
}

const errorTypes = {
  caller: 'invalid_request_error',
  identity: 'invalid_request_error',
  policy: 'invalid_request_error',
  limit: 'rate_limit_error',
  upstream: 'upstream_error',
  gateway: 'server_error',
} as const

/** A refusal in OpenAI's error shape; `code` is ours. */
export function renderChatRefusal(refusal: Refusal): string {
  return JSON.stringify({
    error: {
      message: refusalMessage(refusal),
      type: errorTypes[refusals[refusal.refused].class],
      param: refusal.param ?? null,
      code: refusal.refused,
    },
  })
}

const causeCodes: Partial<Record<RetryCause, string>> = {
  CONTEXT_TOO_LONG: 'context_length_exceeded',
  CONTENT_FILTERED: 'content_filter',
}

/** An error of another protocol's provider, where clients go by OpenAI's code for it. */
export function renderChatError({ cause, told }: UpstreamError): string | undefined {
  const code = cause && causeCodes[cause]
  if (!code) return undefined
  const message = told ?? 'The provider refused the request.'
  return JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } })
}
