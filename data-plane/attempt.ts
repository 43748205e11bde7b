import type { RecordAttempt, RecordMeter, RecordPosting } from '../schema/flight-record.ts'
import { isRefusal, type Refusal, refuse } from '../schema/refusals.ts'
import type { AdmittedRequest, AnswerDecoder, TokenCeiling } from './codecs/codec.ts'
import { upstreamHeaders } from './headers.ts'
import type { Ledger, Reservation, ReservationNeed, UpstreamRequest } from './ports.ts'
import { ceilingCost, ceilingReadings, estimatedReadings, type Prices, price } from './pricing.ts'
import type { Reading } from './reading.ts'
import type { Target } from './routing/target.ts'
import { ratesFor } from './snapshot/rates.ts'
import type { RateCard } from './snapshot/running.ts'

/** One try at one target: its reservation, the request that was sent, and what came of it. */
export interface Attempt {
  target: Target
  prices: Prices
  ceiling: TokenCeiling
  reservation: Reservation
  request: UpstreamRequest
  decoder: AnswerDecoder
  /** What of the request this target did not get, as the client calls it. */
  lossy: readonly string[]
  startedMs: number
  entry: RecordAttempt
  /** Removes the credential from what the provider wrote. */
  scrub: (text: string) => string
  /** Set once, when the attempt's money is posted or its reservation voided. */
  settled: Settled | undefined
}

export interface Settled {
  meters: RecordMeter[]
  cost: bigint
  postings: RecordPosting[]
}

/** Prices, bounds, reserves and encodes one attempt; nothing is sent yet. */
export function prepare(
  target: Target,
  admitted: AdmittedRequest,
  allowLossy: boolean,
  need: Omit<ReservationNeed, 'ceiling'>,
  ledger: Ledger,
  clientHeaders: Headers,
  startedMs: number,
): Attempt | Refusal {
  const { model, wire } = target
  // Within a path these would name another one; nothing that a client can ask for is called so.
  if (target.upstreamName === '.' || target.upstreamName === '..') return refuse('unknown_alias', undefined, 'model')
  const upstreamName = target.upstreamName.toWellFormed()
  const prices = admitted.operation === 'count' ? costsNothing : ratesFor(model, need.atMs)
  if ('unpriced' in prices && prices.ceiling === null)
    return refuse('price_unknown', `Declare a price for ${model.name}.`, 'model')
  const ceiling = wire.ceiling(admitted, model)
  const cost = ceilingCost(prices as Prices, ceiling)
  const encoded = wire.encode(admitted, { model, upstreamName }, allowLossy)
  if (isRefusal(encoded)) return encoded
  const reservation = ledger.reserve({ ...need, ceiling: cost })
  if ('short' in reservation) return refuse(reservation.reason ? 'ledger_unavailable' : 'budget_exhausted')
  return {
    target,
    prices: prices as Prices,
    ceiling,
    reservation,
    request: {
      provider: model.provider,
      credential: target.credential,
      region: model.region ?? model.provider.region,
      path: encoded.path,
      headers: upstreamHeaders(clientHeaders, model.provider, wire.forwards, encoded.headers),
      body: encoded.body,
      streamed: admitted.streamed,
    },
    decoder: wire.decoder(admitted, model.reasoning),
    lossy: encoded.lossy,
    startedMs,
    scrub: unscrubbed,
    settled: undefined,
    entry: {
      at: need.atMs,
      cause: null,
      credential: target.credential?.id ?? null,
      model: model.id,
      status: null,
      totalMs: 0,
      upstreamRequestId: null,
    },
  }
}

/** What a count of tokens costs, whatever the price sheet says. */
const costsNothing: RateCard = {
  sheet: null,
  effectiveFromMs: 0,
  standard: { rates: new Map(), steps: [] },
  tiers: new Map(),
}

const unscrubbed = (text: string) => text

/** Whether the provider charges for an attempt: not for one that it refused, or that never reached it. */
export type Ending = 'charged' | 'free'

/**
 * Posts what an attempt cost, once. Reported usage is charged as reported, an explicit zero too. Without it a stream is charged
 * the input bound and the output seen; where hidden output is possible, or nothing is known, the ceiling.
 */
export function settle(attempt: Attempt, ending: Ending, ledger: Ledger): void {
  if (attempt.settled) return
  if (ending === 'free') {
    ledger.void(attempt.reservation)
    attempt.settled = { meters: [], cost: 0n, postings: [] }
    return
  }
  const { meters, cost } = price(attempt.prices, readingsOf(attempt))
  attempt.settled = { meters, cost, postings: ledger.post(attempt.reservation, cost) }
}

function readingsOf(attempt: Attempt): Reading[] {
  const { usage, hiddenOutput, outputBytes } = attempt.decoder.facts
  if (usage) return usage
  return hiddenOutput ? ceilingReadings(attempt.ceiling) : estimatedReadings(attempt.ceiling, outputBytes)
}
