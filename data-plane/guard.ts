import type { Refusal } from '../schema/refusals.ts'
import type { AdmittedRequest } from './codecs/codec.ts'
import type { Plan } from './plan.ts'

/**
 * Derives the admitted request: what content policies leave of the client's. This plane knows no kind of content policy yet; one that
 * a snapshot holds for a newer plane bars every target it covers, see `policies/permit.ts`.
 */
export function guard(request: AdmittedRequest, _plan: Plan): AdmittedRequest | Refusal {
  return request
}
