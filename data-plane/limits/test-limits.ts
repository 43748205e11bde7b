import type { RateUnit } from '../../schema/config/index.ts'
import { mintId } from '../../schema/ids.ts'
import type { LimitCounter, RunningLimit } from './book.ts'
import { rateOf } from './gcra.ts'

/** A limit as a snapshot would make it ready, for tests. */
export function limitFor(
  unit: RateUnit,
  limit: number,
  windowMs: number,
  change: Partial<Pick<RunningLimit, 'burst' | 'isEnforced' | 'depth' | 'name' | 'id'>> = {},
): RunningLimit {
  const burst = change.burst ?? limit
  return {
    ...{ id: mintId('rateLimit'), name: 'limit', isEnforced: true, depth: 0, ...change },
    ...{ unit, limit, burst, windowMs: unit === 'CONCURRENT_REQUESTS' ? 0 : windowMs },
    rate: unit === 'CONCURRENT_REQUESTS' ? null : rateOf(limit, windowMs, burst),
  }
}

export const counterOf = (of: RunningLimit, subject: string | null = null): LimitCounter => ({ of, subject })
