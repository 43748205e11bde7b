import type { RecordPosting } from '../schema/flight-record.ts'
import type { Refusal } from '../schema/refusals.ts'
import type { RecordDraft } from './record.ts'
import type { RunningCredential, RunningProvider, SnapshotSource } from './snapshot/running.ts'

/** What the exchange needs from outside. `main.ts` of each adapter wires them; each has one contract test for all its kinds. */
export interface Ports {
  clock: Clock
  snapshots: SnapshotSource
  ledger: Ledger
  recorder: Recorder
}

export interface Clock {
  /** Unix milliseconds. */
  now(): number
  /** Milliseconds that never go back, with a fraction. */
  monotonic(): number
}

/** Money in memory: whether an attempt may be made, and what it cost. Amounts are at 10⁻¹². */
export interface Ledger {
  /** Reserves one attempt's ceiling under every budget that applies, all or nothing. */
  reserve(need: ReservationNeed): Reservation | Refusal
  /** Posts what the attempt cost and releases the rest; answers the postings for the record. */
  post(reservation: Reservation, cost: bigint): RecordPosting[]
  /** Releases a reservation of an attempt that costs nothing. */
  void(reservation: Reservation): void
}

export interface ReservationNeed {
  tenant: string
  team: string | null
  project: string | null
  principal: string | null
  apiKey: string | null
  model: string
  provider: string
  ceiling: bigint
  atMs: number
}

export interface Reservation {
  ceiling: bigint
}

/** The journal. An intent is in the operating system's hands when `intend` returns; a record is durable when `record` resolves. */
export interface Recorder {
  /** `draft` is the record as it would stand if the process died now: this attempt charged at its ceiling. */
  intend(draft: RecordDraft): Refusal | undefined
  record(draft: RecordDraft): Promise<Refusal | undefined>
}

/** A request to a provider, without the credential: who sends it adds that last, so that it is in no log and no error. */
export interface UpstreamRequest {
  provider: RunningProvider
  credential: RunningCredential | null
  /** Where the model runs, for providers that have regions. */
  region: string | null
  /** Below the provider's base URL, begins with a slash. */
  path: string
  headers: Record<string, string>
  body: string
  streamed: boolean
}

export interface UpstreamAnswer {
  status: number
  headers: Headers
  /** Chunks as they come. Cancelling it, or aborting the request's signal, tells the provider. Either this or `bytes`, once. */
  body: () => ReadableStream<Uint8Array> | null
  /** The whole body, for an answer whose length is declared and small. */
  bytes: () => Promise<Uint8Array>
  /** Removes the credential from a text that the provider wrote. */
  scrub: (text: string) => string
}

/** `BROKE_OFF`: the connection was there, so the provider may have worked, and may bill. */
export type UpstreamFailure = {
  failed: 'CONNECT_FAILED' | 'BROKE_OFF' | 'CREDENTIAL_UNAVAILABLE' | 'EGRESS_UNAVAILABLE'
  detail: string
}

/** The standalone adapter's way out; Envoy makes the call itself. */
export interface Upstream {
  send(request: UpstreamRequest, signal: AbortSignal): Promise<UpstreamAnswer | UpstreamFailure>
}
