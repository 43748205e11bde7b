import { type Latencies, staleAfterMs } from './latencies.ts'
import type { Order } from './order.ts'
import { rendezvous } from './sticky.ts'
import type { Candidate } from './target.ts'

/** Of requests that may be sent to a target of which nothing, or nothing fresh, is known. */
export const explorationShare = 0.05
/** What an answer comes to, about: how much the rate counts beside the first token. */
const typicalOutputTokens = 200
/** Targets this close to the fastest are as good: a session keeps its own among them. */
const nearFactor = 1.2

interface Paced {
  readonly candidate: Candidate
  /** Undefined = not known. */
  readonly expectedMs: number | undefined
  /** Infinity = never sampled. */
  readonly ageMs: number
}

/**
 * Fastest first, by what this process saw lately; what it does not know comes behind, as declared. A small share of requests looks
 * into the target that was not sampled for longest, once that is long enough. Sessions do not explore, but count what is not known
 * as good, so that theirs are its samples.
 */
export function byLatency(
  candidates: readonly Candidate[],
  streamed: boolean,
  latencies: Latencies,
  session: string | null,
  nowMs: number,
  random: () => number,
): Order {
  const paced = candidates.map((candidate) => pacedOf(candidate, streamed, latencies, nowMs))
  const sorted = [...paced].sort((a, b) => (a.expectedMs ?? Number.MAX_VALUE) - (b.expectedMs ?? Number.MAX_VALUE))
  if (session !== null) return stickyOrder(sorted, session)
  const explored = oldest(sorted)
  if (explored === undefined || explored === sorted[0] || random() >= explorationShare)
    return orderOf(sorted, toldOf(sorted[0]))
  return orderOf([explored, ...sorted.filter((one) => one !== explored)], 'exploring')
}

function pacedOf(candidate: Candidate, streamed: boolean, latencies: Latencies, nowMs: number): Paced {
  const pace = latencies.of(candidate.key, streamed, nowMs)
  if (!pace) return { candidate, expectedMs: undefined, ageMs: Number.POSITIVE_INFINITY }
  return { candidate, expectedMs: pace.firstMs + pace.perTokenMs * typicalOutputTokens, ageMs: pace.ageMs }
}

/** The one that nothing was heard of for longest, where that is long. */
function oldest(paced: readonly Paced[]): Paced | undefined {
  const stale = paced.filter(({ ageMs }) => ageMs > staleAfterMs)
  return stale.reduce<Paced | undefined>((most, one) => (most && most.ageMs >= one.ageMs ? most : one), undefined)
}

function stickyOrder(sorted: readonly Paced[], session: string): Order {
  const best = sorted[0]?.expectedMs ?? Number.POSITIVE_INFINITY
  const isNear = ({ expectedMs }: Paced) => expectedMs === undefined || expectedMs <= best * nearFactor
  const near = rendezvous(
    session,
    sorted.filter(isNear),
    ({ candidate }) => candidate.key,
    () => 1,
  )
  return orderOf([...near, ...sorted.filter((one) => !isNear(one))], `${toldOf(near[0])} sticky`)
}

const orderOf = (paced: readonly Paced[], told: string): Order => ({
  candidates: paced.map(({ candidate }) => candidate),
  choice: `least_latency ${told}`,
})

const toldOf = (first: Paced | undefined) =>
  first?.expectedMs === undefined ? 'unsampled' : `${Math.round(first.expectedMs)} ms`
