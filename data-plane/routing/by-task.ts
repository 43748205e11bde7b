import { holdsForRequest, holdsForTarget } from '../policies/condition.ts'
import type { RequestFacts } from '../policies/facts.ts'
import type { Order } from './order.ts'
import type { Candidate } from './target.ts'

/** `unclear` is the condition that cannot be evaluated here, so that nobody knows whose the request is. */
export type TaskOrder = (Order & { readonly notMatching: readonly Candidate[] }) | { readonly unclear: string }

/** Those whose condition holds for the request, as declared; the first of them serves it, the others stand in. */
export function byTask(candidates: readonly Candidate[], facts: RequestFacts): TaskOrder {
  const matching: Candidate[] = []
  const notMatching: Candidate[] = []
  for (const one of candidates) {
    const { when } = one.declared
    const holds = when === null || (holdsForRequest(when, facts) && holdsForTarget(when, one.declared, facts))
    if (holds === undefined) return { unclear: when?.unknown ?? 'of a target' }
    if (holds) matching.push(one)
    else notMatching.push(one)
  }
  const choice = matching[0]?.declared.when === null ? 'by_task default' : 'by_task matching'
  return { candidates: matching, notMatching, choice }
}
