import type { RetryCause } from '../../../schema/config/index.ts'
import { type Refusal, refusalMessage, refusals, refuse } from '../../../schema/refusals.ts'
import type { UpstreamError } from '../codec.ts'
import { meaningOf, oddStatus } from '../statuses.ts'

interface ErrorBody {
  error?: { message?: unknown; type?: unknown; code?: unknown } | string | null
}

const wordCauses: Record<string, RetryCause> = {
  context_length_exceeded: 'CONTEXT_TOO_LONG',
  content_filter: 'CONTENT_FILTERED',
  content_policy_violation: 'CONTENT_FILTERED',
}

/**
 * Reads a provider's error. The body of one that the client can act on is passed on as it is, since SDKs and agents recover by
 * its wording; of one about the gateway's own credential nothing is.
 */
export function readChatError(status: number, text: string): UpstreamError {
  const odd = oddStatus(status)
  if (odd) return odd
  const error = parseError(text)
  const { code, cause } = meaningOf(status)
  const wordCause = typeof error?.code === 'string' ? wordCauses[error.code] : undefined
  const passed = error && code !== 'upstream_auth_failed'
  return {
    refusal: refuse(code),
    cause: wordCause ?? cause,
    free: status < 500,
    ...(passed && { body: text, ...(typeof error.message === 'string' && { told: error.message.slice(0, 2_000) }) }),
    ...(code === 'upstream_rejected' && { status }),
  }
}

/** An error told where an answer was due: some providers do so after a 200. Their `code` may be the status they meant. */
export function readToldError(body: ErrorBody, text: string): UpstreamError {
  const error = typeof body.error === 'object' && body.error ? body.error : undefined
  const told = { ...readChatError(toldStatus(error), text), body: text, free: false }
  return told.refusal.refused === 'upstream_auth_failed' ? { ...told, body: undefined, told: undefined } : told
}

function toldStatus(error: { type?: unknown; code?: unknown } | undefined): number {
  const code = Number(error?.code)
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
