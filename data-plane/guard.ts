import { type Refusal, refuse } from '../schema/refusals.ts'
import type { AdmittedRequest } from './codecs/codec.ts'
import type { Plan } from './plan.ts'

/**
 * Derives the admitted request: what content policies leave of the client's. This plane knows no kind of content policy yet, so
 * a snapshot that holds one was compiled for a newer plane, and what it would forbid must not pass.
 */
export function guard(request: AdmittedRequest, plan: Plan): AdmittedRequest | Refusal {
  const unknown = plan.policies[0]
  if (unknown) return refuse('policy_unavailable', `This gateway is too old for policies of kind ${unknown.spec.kind}.`)
  return request
}
