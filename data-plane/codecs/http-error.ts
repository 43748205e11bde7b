import type { RetryCause } from '../../schema/config/index.ts'
import { type RefusalCode, refuse } from '../../schema/refusals.ts'
import type { UpstreamError } from './codec.ts'
import { brokeOff } from './gathered.ts'

/** What a provider's error body says, as far as it is one of its protocol. */
export interface ToldError {
  message: unknown
  /** What the words mean, where they say more than the status. */
  cause?: RetryCause | undefined
}

/**
 * Reads a provider's error of any protocol by its status. The body of one that the client can act on is passed on as it is, since
 * SDKs and agents recover by its wording; of one about the gateway's own credential nothing is.
 */
export function readHttpError(status: number, text: string, told: ToldError | undefined): UpstreamError {
  const odd = oddStatus(status)
  if (odd) return odd
  const { code, cause } = told?.cause === 'AUTH_FAILED' ? meaningOf(401) : meaningOf(status)
  const passed = told && code !== 'upstream_auth_failed'
  return {
    refusal: refuse(code),
    cause: told?.cause ?? cause,
    free: status < 500,
    ...(passed && { body: text, ...(typeof told.message === 'string' && { told: told.message.slice(0, 2_000) }) }),
    ...(code === 'upstream_rejected' && { status }),
  }
}

/** An error told where an answer was due: it may be billed, and what it says of our credential is not the client's business. */
export function toldInside(error: UpstreamError, text: string): UpstreamError {
  const inside = { ...error, free: false }
  return error.refusal.refused === 'upstream_auth_failed'
    ? { ...inside, body: undefined, told: undefined }
    : { ...inside, body: text }
}

/** Which refusal and which cause of retrying an HTTP status of a provider stands for. */
function meaningOf(status: number): { code: RefusalCode; cause: RetryCause | null } {
  if (status === 401 || status === 403) return { code: 'upstream_auth_failed', cause: 'AUTH_FAILED' }
  if (status === 408 || status === 504) return { code: 'upstream_timeout', cause: 'TIMEOUT' }
  if (status === 429) return { code: 'upstream_rate_limited', cause: 'RATE_LIMITED' }
  if (status === 503 || status === 529) return { code: 'upstream_overloaded', cause: 'OVERLOADED' }
  if (status >= 500) return { code: 'upstream_overloaded', cause: 'SERVER_ERROR' }
  return { code: 'upstream_rejected', cause: null }
}

/** A status that is neither the success of any protocol here nor an error; undefined where it is an error. */
function oddStatus(status: number): UpstreamError | undefined {
  // Some other kind of success: whatever it is, it may be billed.
  if (status < 300) return brokeOff(`It answered with status ${status}.`)
  if (status >= 400) return undefined
  const refusal = refuse('upstream_broke_off', 'It answered with a redirect, which is never followed.')
  return { refusal, cause: null, free: true }
}
