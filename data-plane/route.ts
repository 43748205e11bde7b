import { type Refusal, refuse } from '../schema/refusals.ts'
import type { Breakers } from './breakers.ts'
import type { Codec } from './codecs/codec.ts'
import type { Plan } from './plan.ts'
import type { RunningRoute, RunningTarget } from './snapshot/running.ts'

/** One place a request may go to, with the provider's name for the model filled in. */
export interface Target extends RunningTarget {
  upstreamName: string
  breakerKey: string
}

/** The targets of a request in the order they are tried, and why in this order. */
export interface Itinerary {
  route: RunningRoute
  targets: Target[]
  reason: string
}

/** Orders the targets of the alias's route. `random` gives numbers in [0, 1). */
export function route(
  plan: Plan,
  dialect: Codec,
  breakers: Breakers,
  nowMs: number,
  random: () => number,
): Itinerary | Refusal {
  const { route } = plan.alias
  const speaking = route.targets.filter((target) => target.model.provider.codecs.has(dialect.name))
  if (speaking.length === 0)
    return refuse('unsupported_feature', `None of the providers behind this model speaks ${dialect.name}.`, 'model')
  const able = speaking
    .map((target) => fill(target, plan.rest))
    .filter((target) => breakers.allows(target.breakerKey, nowMs))
  if (able.length === 0)
    return refuse('no_target_left', 'All its providers failed lately; they are tried again shortly.')
  const targets = route.strategy === 'WEIGHTED' ? byWeight(able, random) : able
  return { route, targets, reason: reasonOf(route, able.length, speaking.length) }
}

function fill(target: RunningTarget, rest: string): Target {
  const { model } = target
  const upstreamName = model.upstreamPrefix === null ? model.upstreamName : model.upstreamPrefix + rest
  return { ...target, upstreamName, breakerKey: `${model.id} ${upstreamName} ${target.credential?.id ?? ''}` }
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
