import type { RecordPosting } from '../../schema/flight-record.ts'
import type { LeaseAnswer, LeaseCall, LeaseRecall } from '../../schema/link-lease.ts'

/** As much of a record as money needs. */
export interface MoneyRecord {
  id: string
  postings: readonly RecordPosting[]
}

/** A run of one chain, in order. */
export interface RecordsSent {
  type: 'records'
  epoch: number
  from: number
  records: readonly MoneyRecord[]
}

export type Upward = LeaseCall | RecordsSent | { type: 'heartbeat' }

export interface ChainEnd {
  epoch: number
  /** How many of its records are there. */
  next: number
}

export type Downward =
  | LeaseAnswer
  | LeaseRecall
  | ({ type: 'recordsAck' } & ChainEnd)
  | { type: 'welcome'; epoch: number; heads: readonly ChainEnd[]; serverTimeMs: number }
  | { type: 'heartbeatAck'; serverTimeMs: number }
  | { type: 'goodbye' }
