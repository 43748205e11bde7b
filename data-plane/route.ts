import { type Refusal, refuse } from '../schema/refusals.ts'
import type { Breakers } from './breakers.ts'
import type { AdmittedRequest, PassingDialect } from './codecs/codec.ts'
import { wireTo } from './codecs/index.ts'
import type { Plan } from './plan.ts'
import { RequestInHand } from './policies/request-in-hand.ts'
import { byCost } from './routing/by-cost.ts'
import { byLatency } from './routing/by-latency.ts'
import { byTask } from './routing/by-task.ts'
import { byWeight } from './routing/by-weight.ts'
import { Itinerary, type Omitted } from './routing/itinerary.ts'
import type { Latencies } from './routing/latencies.ts'
import type { Order } from './routing/order.ts'
import { rendezvous } from './routing/sticky.ts'
import { type Candidate, type Target, targetKey } from './routing/target.ts'
import type { RunningCredential, RunningTarget } from './snapshot/running.ts'

/** A request as far as its way is chosen by it. */
export interface Routed {
  readonly plan: Plan
  readonly labels: Readonly<Record<string, string>>
  readonly dialect: PassingDialect
  readonly request: AdmittedRequest
  readonly headers: Headers
}

/** What a process has seen of its targets, and what it draws lots with. */
export interface Seen {
  readonly breakers: Breakers
  readonly latencies: Latencies
  readonly nowMs: number
  /** Of a clock that never goes back. */
  readonly monotonicMs: number
  /** Numbers in [0, 1). */
  readonly random: () => number
}

/** Orders the targets of the alias's route that policies permit. An itinerary without targets says why it has none. */
export function route(routed: Routed, permitted: readonly RunningTarget[], seen: Seen): Itinerary {
  const { plan, headers } = routed
  const { route } = plan.alias
  const session = (route.stickyHeader && headers.get(route.stickyHeader)) || null
  const omitted: Omitted[] = []
  const none = (refusal: Refusal) => new Itinerary(route, [], route.strategy.toLowerCase(), omitted, refusal)
  const speaking = speakingOf(routed, permitted, omitted)
  if (speaking.length === 0) return none(notSpoken(routed))
  const matching = matchingOf(routed, speaking, omitted)
  if ('refused' in matching) return none(matching)
  const able = ableOf(matching.candidates, seen, omitted)
  if (able.length === 0) return none(allResting)
  const order = orderOf(routed, { ...matching, candidates: able }, session, seen)
  if (order.candidates.length < able.length) omit(omitted, 'no_weight', without(able, order.candidates))
  if (order.candidates.length === 0) return none(weightless)
  return new Itinerary(
    route,
    chosen(order.candidates, route.retry.attempts, session, seen.random),
    order.choice,
    omitted,
  )
}

const allResting = refuse('no_target_left', 'All its providers failed lately; they are tried again shortly.')
const weightless = refuse('no_target_left', 'Those that may serve it have no weight.')

const notSpoken = ({ dialect }: Routed) =>
  refuse('unsupported_feature', `None of the providers behind this model can be asked in ${dialect.name}.`, 'model')

const unmatched = refuse(
  'unsupported_feature',
  'None of the targets behind this model takes requests such as this one: its route chooses by what is asked, and has no default.',
  'model',
)

/**
 * Where a budget without money sends a request instead: to those of the targets that can be asked, cheapest first. `choice` says what
 * was left, in codes and ids.
 */
export function reroute(routed: Routed, permitted: readonly RunningTarget[], seen: Seen, choice: string): Itinerary {
  const { route } = routed.plan.alias
  const omitted: Omitted[] = []
  const able = ableOf(speakingOf(routed, permitted, omitted), seen, omitted)
  const order = able.length > 0 ? byCost(able, routed.request, null, seen.nowMs) : { candidates: able, choice: 'none' }
  const targets = chosen(order.candidates, route.retry.attempts, null, seen.random)
  return new Itinerary(route, targets, `${choice}; ${order.choice}`, omitted)
}

/** Those whose provider can be asked at all, each under the provider's name for the model. */
function speakingOf({ plan, dialect, request }: Routed, permitted: readonly RunningTarget[], omitted: Omitted[]) {
  const speaking: Candidate[] = []
  for (const declared of permitted) {
    const { model, credentials } = declared
    const wire = wireTo(model.provider, dialect, request.operation)
    if (!wire) {
      omitted.push({ model, why: 'not_spoken' })
      continue
    }
    const upstreamName = model.upstreamPrefix === null ? model.upstreamName : model.upstreamPrefix + plan.rest
    speaking.push({ declared, credentials, upstreamName, wire, key: targetKey(model, upstreamName) })
  }
  return speaking
}

/** Of a BY_TASK route those that the request is for; of any other all. */
function matchingOf(
  { plan, labels, dialect, request }: Routed,
  speaking: readonly Candidate[],
  omitted: Omitted[],
): Order | Refusal {
  if (plan.alias.route.strategy !== 'BY_TASK') return { candidates: speaking, choice: '' }
  const order = byTask(speaking, new RequestInHand(labels, dialect, request))
  if ('unclear' in order)
    return refuse('policy_unavailable', `This gateway does not know the condition ${order.unclear}.`)
  omit(omitted, 'not_matching', order.notMatching)
  return order.candidates.length === 0 ? unmatched : order
}

/** Those that are not resting, with the credentials that are not. */
function ableOf(matching: readonly Candidate[], { breakers, nowMs }: Seen, omitted: Omitted[]): readonly Candidate[] {
  if (breakers.isQuiet) return matching
  const able: Candidate[] = []
  for (const one of matching) {
    const credentials = one.credentials.filter(({ id }) => breakers.allows(id, nowMs))
    const rests = one.credentials.length > 0 && credentials.length === 0
    if (rests || !breakers.allows(one.key, nowMs)) omit(omitted, 'resting', [one])
    else able.push(credentials.length === one.credentials.length ? one : { ...one, credentials })
  }
  return able
}

function orderOf({ plan, request }: Routed, given: Order, session: string | null, seen: Seen): Order {
  const { candidates } = given
  switch (plan.alias.route.strategy) {
    case 'PRIORITY':
      return { candidates, choice: 'priority' }
    case 'WEIGHTED':
      return byWeight(candidates, session, seen.random)
    case 'LEAST_COST':
      return byCost(candidates, request, session, seen.nowMs)
    case 'LEAST_LATENCY':
      return byLatency(candidates, request.streamed, seen.latencies, session, seen.monotonicMs, seen.random)
    case 'BY_TASK':
      return given
  }
}

/**
 * A credential for each candidate: a session keeps its own, other requests take turns by lot. The other credentials follow once
 * every candidate was tried with its first: what fails is mostly the model, and what fails a credential alone puts them first.
 */
function chosen(
  candidates: readonly Candidate[],
  attempts: number,
  session: string | null,
  random: () => number,
): Target[] {
  // Most routes: one target, one credential.
  if (candidates.length === 1 && candidates[0]!.credentials.length < 2)
    return [targetOf(candidates[0]!, candidates[0]!.credentials[0] ?? null)]
  const orders = candidates.map(({ credentials }) => credentialOrder(credentials, session, random))
  const targets: Target[] = []
  const rounds = Math.min(attempts, Math.max(0, ...orders.map(({ length }) => length)))
  for (let round = 0; round < rounds; round++)
    for (const [index, one] of candidates.entries()) {
      const credential = orders[index]![round]
      if (credential !== undefined) targets.push(targetOf(one, credential))
    }
  return targets
}

function targetOf({ declared, upstreamName, wire, key }: Candidate, credential: RunningCredential | null): Target {
  return { model: declared.model, credential, weight: declared.weight, upstreamName, wire, key, tries: 0 }
}

const needsNone: readonly [null] = [null]

function credentialOrder(
  credentials: readonly RunningCredential[],
  session: string | null,
  random: () => number,
): readonly (RunningCredential | null)[] {
  if (credentials.length === 0) return needsNone
  if (credentials.length === 1) return credentials
  if (session !== null)
    return rendezvous(
      session,
      credentials,
      ({ id }) => id,
      () => 1,
    )
  const first = Math.floor(random() * credentials.length)
  return [...credentials.slice(first), ...credentials.slice(0, first)]
}

const without = (all: readonly Candidate[], some: readonly Candidate[]) => all.filter((one) => !some.includes(one))

function omit(omitted: Omitted[], why: Omitted['why'], candidates: readonly Candidate[]): void {
  for (const { declared } of candidates) omitted.push({ model: declared.model, why })
}
