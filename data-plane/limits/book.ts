import { type RateUnit, rateUnits } from '../../schema/config/index.ts'
import type { SnapshotRateLimit } from '../../schema/snapshot.ts'
import { depthOf, findCounterFault } from '../counters/attached.ts'
import { type Counter, type CounterBook, counterBook } from '../counters/book.ts'
import type { Places } from '../policies/condition.ts'
import { type Rate, rateOf } from './gcra.ts'

/** A rate limit made ready when its snapshot is activated. */
export interface RunningLimit {
  readonly id: string
  readonly name: string
  /** False: it refuses nothing, and records say what it would have refused. */
  readonly isEnforced: boolean
  readonly unit: RateUnit
  readonly limit: number
  readonly windowMs: number
  readonly burst: number
  /** Null: it counts what is under way. */
  readonly rate: Rate | null
  /** How narrow it is: a larger one is nearer to the key. */
  readonly depth: number
}

/** One counter of a rate limit. */
export type LimitCounter = Counter<RunningLimit>

export function limitBook(limits: readonly SnapshotRateLimit[], places: Places): CounterBook<RunningLimit> {
  return counterBook(
    limits.map((limit) => ({ attached: limit, of: runningLimit(limit) })),
    places,
  )
}

function runningLimit({ id, name, scope, per, mode, unit, limit, windowMs, burst }: SnapshotRateLimit): RunningLimit {
  return Object.freeze({
    ...{ id, name, unit, limit, burst, isEnforced: mode !== 'OBSERVE', windowMs: windowMs ?? 0 },
    rate: windowMs === null ? null : Object.freeze(rateOf(limit, windowMs, burst)),
    depth: depthOf(scope, per),
  })
}

const units: ReadonlySet<string> = new Set(rateUnits)

/** Something that nobody here could count, so that the snapshot is not run; undefined where all is well. */
export function findLimitFault(
  config: { rateLimits: readonly SnapshotRateLimit[] } & Parameters<typeof findCounterFault>[0],
): string | undefined {
  for (const { scope, per, unit, windowMs } of config.rateLimits) {
    if (!units.has(unit) || (unit === 'CONCURRENT_REQUESTS') !== (windowMs === null))
      return 'A rate limit counts something that this version does not know. Update the gateway.'
    const fault = findCounterFault(config, scope, per, ['CREDENTIAL'])
    if (fault) return `A rate limit ${fault}`
  }
  return undefined
}
