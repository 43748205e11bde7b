import type { RecordPosting } from '../schema/flight-record.ts'
import type { Refusal } from '../schema/refusals.ts'
import type { Limiter } from './limits/limiter.ts'
import type { RecordDraft } from './record.ts'
import type { RunningBudget, RunningCredential, RunningProvider, SnapshotSource } from './snapshot/running.ts'

/** What the exchange needs from outside. `main.ts` of each adapter wires them; each has one contract test for all its kinds. */
export interface Ports {
  clock: Clock
  snapshots: SnapshotSource
  ledger: Ledger
  limiter: Limiter
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
  /** Reserves one attempt's ceiling under every counter, all or nothing, from what this instance holds. */
  reserve(need: ReservationNeed): Reservation | Shortage
  /** The same, but what is missing is asked for, and waited for as long as the budgets that lack it let a request wait. */
  fund(need: ReservationNeed, signal?: AbortSignal): Promise<Reservation | Shortage>
  /** Posts what the attempt cost and releases the rest; answers the postings for the record. */
  post(reservation: Reservation, cost: bigint): RecordPosting[]
  /** Releases a reservation of an attempt that costs nothing. */
  void(reservation: Reservation): void
}

export interface ReservationNeed {
  tenant: string
  /** Every counter that the attempt falls under; none = nothing limits it. */
  counters: readonly BudgetCounter[]
  ceiling: bigint
  atMs: number
  /** Whose attempt it is: what it does not use comes free once a frame of that exchange says so. Absent = at once. */
  exchange?: string
}

/** One counter of a budget: what money is held, reserved and posted under. */
export interface BudgetCounter {
  readonly of: RunningBudget
  /** Whom it counts, where the budget has a counter for each …; null = its one counter. */
  readonly subject: string | null
}

export interface Reservation {
  readonly ceiling: bigint
  /** What the record says if the process dies with the attempt under way: the ceiling under every counter. */
  atCeiling(): RecordPosting[]
}

/** Not enough. With a `reason` nobody could be asked, so that nothing is said of whether there is money. */
export interface Shortage {
  readonly short: readonly CounterShortage[]
  readonly reason?: 'UNREACHABLE' | 'RECOVERING'
}

export interface CounterShortage {
  readonly counter: BudgetCounter
  readonly missing: bigint
  /** The most that could be reserved under this counter now. */
  readonly affordable: bigint
  /** When its window ends, Unix milliseconds; null where that frees nothing. */
  readonly resetsAtMs: number | null
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
