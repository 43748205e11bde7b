import { type Refusal, refuse } from '../../schema/refusals.ts'
import { boundLabels } from '../labels/read.ts'
import type { FoundKey, RunningAlias, RunningTarget } from '../snapshot/running.ts'
import type { RunningPolicy, StandingPolicy } from './book.ts'
import { anyRequest } from './facts.ts'
import { isBarred, type Judgement } from './judgement.ts'

/**
 * The targets of an alias that policies let this request go to, in their order; without policies, all of them. `usable` names models
 * that the caller could ask for instead.
 */
export function permit(
  alias: RunningAlias,
  judgement: Judgement | null,
  usable: () => readonly string[],
): readonly RunningTarget[] | Refusal {
  const { targets } = alias.route
  if (judgement === null) return targets
  const left = judgement.permitted(targets)
  if (left.length > 0 || targets.length === 0) return left
  const { objection, policy } = judgement.refusing!
  switch (objection) {
    case 'model_not_allowed':
      return refuse('model_not_allowed', instead(usable()), 'model')
    case 'region_not_allowed':
      return refuse('region_not_allowed', regionsOf(judgement), 'model')
    case 'policy_unavailable':
      return refuse('policy_unavailable', `This gateway does not know ${unknownOf(policy)}.`)
  }
}

/** What is known of aliases for a key; it does not change while the snapshot runs, and refusals ask for all of them. */
const known = new WeakMap<readonly StandingPolicy[], Map<RunningAlias, boolean>>()

/** False for an alias of which no request of this key can be served: it is not listed. */
export function isPermitted(found: FoundKey, alias: RunningAlias): boolean {
  const standing = found.snapshot.policies.standingFor(found)
  if (standing.length === 0) return true
  const aliases = known.get(standing) ?? new Map<RunningAlias, boolean>()
  known.set(standing, aliases)
  const told = aliases.get(alias) ?? !isBarred(standing, alias, anyRequest(boundLabels(found)))
  aliases.set(alias, told)
  return told
}

const namesMax = 10

function instead(names: readonly string[]): string {
  if (names.length === 0) return 'There is none that this key may use.'
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more; see GET /v1/models` : ''
  return `This key may use ${names.slice(0, namesMax).join(', ')}${more}.`
}

/** What the policies that objected have in common. */
function regionsOf({ exclusions }: Judgement): string | undefined {
  const lists = exclusions.flatMap(({ policy, objection }) =>
    policy.mode === 'ENFORCE' && objection === 'region_not_allowed' ? [policy.lists!.regions!] : [],
  )
  const allowed = [...lists.reduce((common, list) => common.intersection(list))]
  return allowed.length === 0 ? 'No region is.' : `Allowed: ${allowed.slice(0, namesMax).join(', ')}.`
}

function unknownOf({ lists, kind, condition }: RunningPolicy): string {
  return lists === null ? `policies of kind ${kind}` : `the condition ${condition?.unknown}`
}
