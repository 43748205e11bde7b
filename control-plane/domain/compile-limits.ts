import type { Resource } from '../../schema/config/index.ts'
import { parseDuration } from '../../schema/duration.ts'
import { idKind } from '../../schema/ids.ts'
import type { SnapshotRateLimit, SnapshotScope } from '../../schema/snapshot.ts'

/**
 * Rate limits made ready for running; one that is OFF is left out. Without a burst of its own a limit's bucket holds a whole
 * window's worth, as providers have it: an idle application's first request may be a large one.
 */
export function compileRateLimits(
  limits: Resource<'rateLimit'>[],
  scopeOf: (scope: string) => SnapshotScope,
  credentialAt: (id: string) => number,
): SnapshotRateLimit[] {
  return limits.flatMap(({ id, name, spec: { scope, per, mode, unit, limit, window, burst } }) => {
    if (mode === 'OFF') return []
    const where =
      idKind(scope) === 'credential' ? ({ kind: 'CREDENTIAL', at: credentialAt(scope) } as const) : scopeOf(scope)
    const windowMs = window === null ? null : parseDuration(window)!
    return [
      { id, name, scope: where, per, mode, unit, limit, windowMs, burst: windowMs === null ? 0 : (burst ?? limit) },
    ]
  })
}
