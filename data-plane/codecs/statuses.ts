import type { RetryCause } from '../../schema/config/index.ts'
import { type RefusalCode, refuse } from '../../schema/refusals.ts'
import type { UpstreamError } from './codec.ts'
import { brokeOff } from './gathered.ts'

/** Which refusal and which cause of retrying an HTTP status of a provider stands for. */
export function meaningOf(status: number): { code: RefusalCode; cause: RetryCause | null } {
  if (status === 401 || status === 403) return { code: 'upstream_auth_failed', cause: 'AUTH_FAILED' }
  if (status === 408 || status === 504) return { code: 'upstream_timeout', cause: 'TIMEOUT' }
  if (status === 429) return { code: 'upstream_rate_limited', cause: 'RATE_LIMITED' }
  if (status === 503 || status === 529) return { code: 'upstream_overloaded', cause: 'OVERLOADED' }
  if (status >= 500) return { code: 'upstream_overloaded', cause: 'SERVER_ERROR' }
  return { code: 'upstream_rejected', cause: null }
}

/** A status that is neither the success of any protocol here nor an error; undefined where it is an error. */
export function oddStatus(status: number): UpstreamError | undefined {
  // Some other kind of success: whatever it is, it may be billed.
  if (status < 300) return brokeOff(`It answered with status ${status}.`)
  if (status >= 400) return undefined
  const refusal = refuse('upstream_broke_off', 'It answered with a redirect, which is never followed.')
  return { refusal, cause: null, free: true }
}
