import { formatDuration } from '../../schema/duration.ts'
import { type Refusal, refuse } from '../../schema/refusals.ts'
import { projectDepth } from '../counters/attached.ts'
import type { RunningLimit } from './book.ts'
import type { LimitStanding } from './limiter.ts'

/** SDKs sleep as long as they are told. */
const retryAfterSMax = 60

export const limitsAway = refuse('policy_unavailable', 'Its rate limits cannot be asked for now.')

export const refusalOf = ({ counter }: LimitStanding) =>
  counter.of.rate === null ? 'concurrency_exceeded' : 'rate_limited'

/** The refusal of the limit that has to be waited for longest; of two the narrower. */
export function overLimit(standings: readonly LimitStanding[]): Refusal {
  const [worst] = standings
    .filter(({ isOver, counter }) => isOver && counter.of.isEnforced)
    .sort((a, b) => (a.waitMs === b.waitMs ? b.counter.of.depth - a.counter.of.depth : a.waitMs < b.waitMs ? 1 : -1))
  const { waitMs, units, counter } = worst!
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  const told = refuse(
    refusalOf(worst!),
    `${nameOf(counter.of)} admits ${amountOf(counter.of)}. ${wayOut(counter.of, units, seconds)}`,
  )
  return seconds <= retryAfterSMax ? { ...told, retryAfterS: seconds } : { ...told, final: true }
}

/** What is above the caller's own project is none of its business. */
const nameOf = ({ name, depth }: RunningLimit) =>
  depth >= projectDepth ? `The limit ${name}` : 'A limit above this project'

function amountOf({ unit, limit, windowMs }: RunningLimit): string {
  if (unit === 'CONCURRENT_REQUESTS') return `${limit} requests at once`
  return `${limit} ${unit.toLowerCase().replace('_', ' ')} per ${formatDuration(windowMs)}`
}

function wayOut({ burst, rate }: RunningLimit, units: number, seconds: number): string {
  if (Number.isFinite(seconds)) return rate === null ? 'Try again once one has ended.' : `Try again in ${seconds} s.`
  return `It takes at most ${burst + 1} at once, and this request may come to ${units}: ask for less output, or send less.`
}
