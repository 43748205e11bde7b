import type { RetryCause } from '../../schema/config/index.ts'
import { refuse } from '../../schema/refusals.ts'
import type { UpstreamError } from './codec.ts'
import { meaningOf, oddStatus } from './statuses.ts'

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
  const { code, cause } = told?.cause === 'AUTH_FAILED' ? authFailed : meaningOf(status)
  const passed = told && code !== 'upstream_auth_failed'
  return {
    refusal: refuse(code),
    cause: told?.cause ?? cause,
    free: status < 500,
    ...(passed && { body: text, ...(typeof told.message === 'string' && { told: told.message.slice(0, 2_000) }) }),
    ...(code === 'upstream_rejected' && { status }),
  }
}

const authFailed = meaningOf(401)

/** An error told where an answer was due: it may be billed, and what it says of our credential is not the client's business. */
export function toldInside(error: UpstreamError, text: string): UpstreamError {
  const inside = { ...error, free: false }
  return error.refusal.refused === 'upstream_auth_failed'
    ? { ...inside, body: undefined, told: undefined }
    : { ...inside, body: text }
}
