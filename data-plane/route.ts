import { type Refusal, refuse } from '../schema/refusals.ts'
import type { Breakers } from './breakers.ts'
import type { AdmittedRequest, PassingDialect } from './codecs/codec.ts'
import { wireTo } from './codecs/index.ts'
import type { Wire } from './codecs/wire.ts'
import type { Plan } from './plan.ts'
import type { RunningRoute, RunningTarget } from './snapshot/running.ts'

/** One place a request may go to, with the provider's name for the model filled in. */
export interface Target extends RunningTarget {
  upstreamName: string
  wire: Wire
  breakerKey: string
}

/** The targets of a request in the order they are tried, and why in this order. */
export interface Itinerary {
  route: RunningRoute
  targets: Target[]
  reason: string
}

/** Orders the targets of the alias's route that policies permit. `random` gives numbers in [0, 1). */
export function route(
  plan: Plan,
  permitted: readonly RunningTarget[],
  dialect: PassingDialect,
  request: AdmittedRequest,
  breakers: Breakers,
  nowMs: number,
  random: () => number,
): Itinerary | Refusal {
  const { route } = plan.alias
  const speaking = permitted.flatMap((target) => {
    const wire = wireTo(target.model.provider, dialect, request.operation)
    return wire ? [fill(target, wire, plan.rest)] : []
  })
  if (speaking.length === 0)
    return refuse(
      'unsupported_feature',
      `None of the providers behind this model can be asked in ${dialect.name}.`,
      'model',
    )
  const able = speaking.filter((target) => breakers.allows(target.breakerKey, nowMs))
  if (able.length === 0)
    return refuse('no_target_left', 'All its providers failed lately; they are tried again shortly.')
  const targets = route.strategy === 'WEIGHTED' ? byWeight(able, random) : able
  if (targets.length === 0) return refuse('no_target_left', 'Those that may serve it have no weight.')
  return { route, targets, reason: reasonOf(route, able.length, speaking.length) }
}

function fill(target: RunningTarget, wire: Wire, rest: string): Target {
  const { model } = target
  const upstreamName = model.upstreamPrefix === null ? model.upstreamName : model.upstreamPrefix + rest
  return { ...target, upstreamName, wire, breakerKey: `${model.id} ${upstreamName} ${target.credential?.id ?? ''}` }
}

/** A draw without replacement: the first is chosen by weight, and so is each stand-in. Weight 0 is never drawn. */
function byWeight(targets: Target[], random: () => number): Target[] {
  const left = targets.filter((target) => target.weight > 0)
  const order: Target[] = []
  while (left.length > 0) order.push(...left.splice(draw(left, random()), 1))
  return order
}

function draw(targets: Target[], random: number): number {
  let left = random * targets.reduce((sum, target) => sum + target.weight, 0)
  const index = targets.findIndex(({ weight }) => {
    left -= weight
    return left < 0
  })
  return index === -1 ? targets.length - 1 : index
}

function reasonOf(route: RunningRoute, able: number, declared: number): string {
  const resting = declared - able
  return `${route.strategy.toLowerCase()}${resting > 0 ? `, ${resting} of ${declared} targets resting` : ''}`
}
