import type { Actor } from './actor.ts'
import type { AuditActor } from './audit.ts'
import type { Change } from './plan.ts'
import type { FlightFilter, RecordRow } from './records.ts'
import type { Interval, SpendDimension, SpendFilter, SpendGroup } from './spend.ts'

export type EventKind = 'CONFIG_CHANGED' | 'DATA_PLANE_CHANGED' | 'STREAM_RESET' | 'HEARTBEAT'

interface Placed<K extends EventKind> {
  kind: K
  cursor: string
  at: Date
}

export type Event =
  | (Placed<'CONFIG_CHANGED'> & { revision: number; actor: AuditActor; changes: Change[] })
  | (Placed<'DATA_PLANE_CHANGED'> & { dataPlane: string })
  /** `after` is older than what is kept: fetch state again, then go on from `cursor`. */
  | (Placed<'STREAM_RESET'> & { oldest: string })
  | Placed<'HEARTBEAT'>

export interface SpendTick {
  cursor: string
  at: Date
  groups: SpendGroup[]
}

export interface FlightTick {
  cursor: string
  records: RecordRow[]
  /** Records that matched but were left out, since this subscriber could not keep up. */
  skipped: number
}

/**
 * Three streams, each resumable: `after` replays what was missed, then goes live without gap or repeat; null = live from now.
 * An iterable ends when `signal` aborts; it throws StreamEnded where the subscriber may not go on.
 */
export interface Streams {
  events(
    actor: Actor,
    args: { kinds?: EventKind[] | null; after?: string | null },
    signal: AbortSignal,
  ): AsyncIterable<Event>
  /** At most four a second. */
  spendTicks(
    actor: Actor,
    args: {
      interval: Interval
      groupBy?: SpendDimension[] | null
      groupByLabels?: string[] | null
      filter?: SpendFilter | null
      after?: string | null
    },
    signal: AbortSignal,
  ): AsyncIterable<SpendTick>
  flightTail(
    actor: Actor,
    args: { filter?: FlightFilter | null; after?: string | null },
    signal: AbortSignal,
  ): AsyncIterable<FlightTick>
  /** Waits until the log has come to this audit entry: its position, or null after `timeoutMs`. */
  auditPosition(tenant: string, auditSequence: number, timeoutMs: number): Promise<string | null>
  close(): Promise<void>
}

/** Why a stream ended that could not go on; the message is for the subscriber. */
export class StreamEnded extends Error {
  constructor(
    readonly code: 'MALFORMED_CURSOR' | 'TOO_SLOW' | 'NOT_PERMITTED',
    message: string,
  ) {
    super(message)
    this.name = 'StreamEnded'
  }
}
