import type { RecordDecision } from '../../schema/flight-record.ts'
import type { RefusalCode } from '../../schema/refusals.ts'
import type { AdmittedRequest, PassingDialect } from '../codecs/codec.ts'
import type { RunningAlias, RunningTarget } from '../snapshot/running.ts'
import type { RoutingLists, RunningPolicy, StandingPolicy } from './book.ts'
import { type Holds, holdsForRequest, holdsForTarget, regionOf } from './condition.ts'
import type { RequestFacts } from './facts.ts'
import { RequestInHand } from './request-in-hand.ts'

/** Why a target may not serve. */
export type Objection = 'model_not_allowed' | 'region_not_allowed' | 'policy_unavailable'

/** One policy's objection to one target. */
export interface Exclusion {
  readonly policy: RunningPolicy
  readonly target: RunningTarget
  readonly objection: Objection
}

/** Null where no policy stands for the key, as for most. */
export function judge(
  { policies, alias }: { policies: readonly StandingPolicy[]; alias: RunningAlias },
  labels: Readonly<Record<string, string>>,
  dialect: PassingDialect,
  request: AdmittedRequest,
): Judgement | null {
  return policies.length === 0 ? null : new Judgement(policies, alias, new RequestInHand(labels, dialect, request))
}

type List = keyof RoutingLists
const lists: readonly List[] = ['aliases', 'models', 'tiers', 'denied', 'regions']

/**
 * What the policies that stand for a key say of one request, target by target. Each is asked whatever the others said, so that the
 * record tells of all.
 */
export class Judgement {
  /** Those that may apply to this request, wherever it goes. */
  readonly policies: readonly StandingPolicy[]
  readonly exclusions: Exclusion[] = []
  readonly #alias: RunningAlias
  readonly #facts: RequestFacts
  /** Those that applied to a target so far. */
  readonly #applied = new Set<RunningPolicy>()
  #refusing: Exclusion | undefined
  #isRefused = false
  #decisions: RecordDecision[] | undefined

  constructor(standing: readonly StandingPolicy[], alias: RunningAlias, facts: RequestFacts) {
    this.#alias = alias
    this.#facts = facts
    this.policies = standing.filter(({ policy }) => requestHolds(policy, facts) !== false)
  }

  /** The targets that every enforced policy lets serve, in their order. */
  permitted(targets: readonly RunningTarget[]): RunningTarget[] {
    const left = targets.filter((target) => this.#lets(target))
    this.#isRefused = left.length === 0
    return left
  }

  /** Of targets that came up later, those that may serve too. That none of them may refuses nothing: others were permitted. */
  permittedToo(targets: readonly RunningTarget[]): RunningTarget[] {
    this.#decisions = undefined
    return targets.filter((target) => this.#lets(target))
  }

  /** Why the first target that was not let may not serve. */
  get refusing(): Exclusion | undefined {
    return this.#refusing
  }

  /** Asks every policy about a target; true where none that is enforced has anything against it. */
  #lets(target: RunningTarget): boolean {
    let lets = true
    for (const standing of this.policies) {
      const { policy } = standing
      const applies = policyHolds(policy, target, this.#facts)
      if (applies === false) continue
      this.#applied.add(policy)
      const objection = objectionOf(standing, applies, this.#alias, target, this.#facts)
      if (!objection) continue
      const exclusion = { policy, target, objection }
      this.exclusions.push(exclusion)
      if (policy.mode === 'OBSERVE' || isOpen(policy, objection)) continue
      this.#refusing ??= exclusion
      lets = false
    }
    return lets
  }

  /** For the record: one for each policy that applied, in their order. Of too many, those that had an objection come first. */
  get decisions(): RecordDecision[] {
    this.#decisions ??= bounded(
      this.policies.flatMap(({ policy }) => (this.#applied.has(policy) ? [this.#decision(policy)] : [])),
    )
    return this.#decisions
  }

  #decision(policy: RunningPolicy): RecordDecision {
    const own = this.exclusions.filter((exclusion) => exclusion.policy === policy)
    const isUnclear = own.some(({ objection }) => objection === 'policy_unavailable')
    return {
      detail: detailOf(own),
      detector: null,
      detectorHash: null,
      detectorVersion: null,
      findings: [],
      mode: policy.mode,
      policy: policy.id,
      releasedBytes: 0,
      scannedBytes: 0,
      score: null,
      verdict: own.length === 0 ? 'PASSED' : isUnclear ? 'ERRORED' : this.#verdict(policy),
    }
  }

  /** An enforced policy that had targets passed over for others that served has refused nothing. */
  #verdict(policy: RunningPolicy): 'BLOCKED' | 'FLAGGED' {
    return this.#isRefused && policy.mode === 'ENFORCE' ? 'BLOCKED' : 'FLAGGED'
  }
}

/**
 * True where enforced policies keep every target from every request of this kind, as far as is known: what is not known, and so might
 * let one serve, does. For lists of models.
 */
export function isBarred(standing: readonly StandingPolicy[], alias: RunningAlias, facts: RequestFacts): boolean {
  return alias.route.targets.every((target) =>
    standing.some(
      (each) =>
        each.policy.mode === 'ENFORCE' &&
        policyHolds(each.policy, target, facts) === true &&
        objectionOf(each, true, alias, target, facts, 'MAY_WEAKEN') !== undefined,
    ),
  )
}

function requestHolds({ condition }: RunningPolicy, facts: RequestFacts): Holds {
  return condition === null || holdsForRequest(condition, facts)
}

function policyHolds({ condition }: RunningPolicy, target: RunningTarget, facts: RequestFacts): Holds {
  if (condition === null) return true
  const place = holdsForTarget(condition, target, facts)
  if (place === false) return false
  const request = holdsForRequest(condition, facts)
  return request === true ? place : request
}

/** A kind that is not known is refused whatever it says of failures: nobody knows what it would let pass. */
const isOpen = (policy: RunningPolicy, objection: Objection) =>
  objection === 'policy_unavailable' && policy.onFailure === 'OPEN' && policy.lists !== null

function objectionOf(
  { policy, weakeners }: StandingPolicy,
  applies: Holds,
  alias: RunningAlias,
  target: RunningTarget,
  facts: RequestFacts,
  unknown: 'MAY_WEAKEN' | 'DOES_NOT_WEAKEN' = 'DOES_NOT_WEAKEN',
): Objection | undefined {
  if (policy.lists === null || applies === undefined) return 'policy_unavailable'
  for (const list of lists) {
    if (passes(policy.lists, list, alias, target)) continue
    if (!weakeners.some((weaker) => weakens(weaker, list, target, facts, unknown)))
      return list === 'regions' ? 'region_not_allowed' : 'model_not_allowed'
  }
  return undefined
}

function passes(from: RoutingLists, list: List, alias: RunningAlias, { model }: RunningTarget): boolean {
  switch (list) {
    case 'aliases':
      return from.aliases?.has(alias) ?? true
    case 'models':
      return from.models?.has(model) ?? true
    case 'tiers':
      return from.tiers?.has(model) ?? true
    case 'denied':
      return !from.denied?.has(model)
    case 'regions':
      return from.regions === null || from.regions.has(regionOf(model) ?? '')
  }
}

/** A lower policy that says something of the same list stands in for the higher one's, where it applies itself. */
function weakens(
  weaker: RunningPolicy,
  list: List,
  target: RunningTarget,
  facts: RequestFacts,
  unknown: 'MAY_WEAKEN' | 'DOES_NOT_WEAKEN',
): boolean {
  if (!weaker.lists || weaker.lists[list] === null) return false
  const applies = policyHolds(weaker, target, facts)
  return applies ?? unknown === 'MAY_WEAKEN'
}

const decisionsMax = 100

function bounded(decisions: RecordDecision[]): RecordDecision[] {
  if (decisions.length <= decisionsMax) return decisions
  const isPassed = ({ verdict }: RecordDecision) => verdict === 'PASSED'
  const first = [...decisions].sort((a, b) => Number(isPassed(a)) - Number(isPassed(b)))
  const kept = new Set(first.slice(0, decisionsMax))
  return decisions.filter((decision) => kept.has(decision))
}

const idsMax = 8

/** Codes and ids of models: a record holds no names. */
function detailOf(own: readonly Exclusion[]): string | null {
  if (own.length === 0) return null
  const codes = [...new Set(own.map(({ objection }): RefusalCode => objection))].join(', ')
  const models = [...new Set(own.map(({ target }) => target.model.id))]
  const more = models.length > idsMax ? ` and ${models.length - idsMax} more` : ''
  return `${codes}: ${models.slice(0, idsMax).join(', ')}${more}`
}
