import type { RecordDecision } from '../../schema/flight-record.ts'
import type { LimitStanding } from './limiter.ts'
import { refusalOf } from './refusal.ts'

/** What limits said of a request, as a record has it. An observed limit that was over is FLAGGED. */
export function decisionsOf(standings: readonly LimitStanding[], isRefused: boolean): RecordDecision[] {
  return standings.slice(0, decisionsMax).map((standing) => ({
    detail: standing.isOver ? refusalOf(standing) : null,
    ...{ detector: null, detectorHash: null, detectorVersion: null, findings: [] },
    mode: standing.counter.of.isEnforced ? 'ENFORCE' : 'OBSERVE',
    policy: standing.counter.of.id,
    ...{ releasedBytes: 0, scannedBytes: 0, score: null },
    verdict: verdictOf(standing, isRefused),
  }))
}

const decisionsMax = 100

/** An enforced limit that had a target passed over for another has refused nothing. */
function verdictOf({ isOver, counter }: LimitStanding, isRefused: boolean): RecordDecision['verdict'] {
  if (!isOver) return 'PASSED'
  return counter.of.isEnforced && isRefused ? 'BLOCKED' : 'FLAGGED'
}
