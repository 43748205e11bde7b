import type { Order } from './order.ts'
import { rendezvous } from './sticky.ts'
import type { Candidate } from './target.ts'

const weightOf = ({ declared }: Candidate) => declared.weight

/** Those with a weight. A session keeps its target, so that a canary's share is one of sessions; without one each request draws. */
export function byWeight(candidates: readonly Candidate[], session: string | null, random: () => number): Order {
  const weighty = candidates.filter((one) => weightOf(one) > 0)
  if (session !== null)
    return { candidates: rendezvous(session, weighty, ({ key }) => key, weightOf), choice: 'weighted sticky' }
  return { candidates: drawn(weighty, random), choice: 'weighted' }
}

/** A draw without replacement: the first is chosen by weight, and so is each stand-in. */
function drawn(candidates: readonly Candidate[], random: () => number): Candidate[] {
  const left = [...candidates]
  const order: Candidate[] = []
  while (left.length > 0) order.push(...left.splice(draw(left, random()), 1))
  return order
}

function draw(candidates: readonly Candidate[], random: number): number {
  let left = random * candidates.reduce((sum, one) => sum + weightOf(one), 0)
  const index = candidates.findIndex((one) => {
    left -= weightOf(one)
    return left < 0
  })
  return index === -1 ? candidates.length - 1 : index
}
