import type { RecordAttempt, RecordMeter, RecordPosting } from '../schema/flight-record.ts'
import { isRefusal, type Refusal, refuse } from '../schema/refusals.ts'
import { boundsOf, unboundedIn } from './budgets/bounds.ts'
import type { AdmittedRequest, AnswerDecoder, TokenCeiling } from './codecs/codec.ts'
import { upstreamHeaders } from './headers.ts'
import type { Standings } from './limits/admission.ts'
import type { BudgetCounter, Ledger, Reservation, UpstreamRequest } from './ports.ts'
import { ceilingCost, estimatedReadings, type Priced, type Prices, price, priceCeiling } from './pricing.ts'
import type { Target } from './routing/target.ts'
import { ratesFor } from './snapshot/rates.ts'
import type { RateCard } from './snapshot/running.ts'

/** One try at one target, made ready: what would be sent, and the most it can cost. Nothing is reserved and nothing sent. */
export interface Prepared {
  readonly target: Target
  readonly prices: Prices
  readonly ceiling: TokenCeiling
  /** The most it can cost, at 10⁻¹². */
  readonly cost: bigint
  readonly counters: readonly BudgetCounter[]
  /** A budget that may refuse counts it, so that everything of it is bounded. */
  readonly isGuarded: boolean
  /** Where a budget cut its output: which one, and how many tokens it left for each answer. */
  readonly capped: Capped | null
  readonly request: UpstreamRequest
  readonly decoder: AnswerDecoder
  /** What of the request this target did not get, as the client calls it. */
  readonly lossy: readonly string[]
  readonly entry: RecordAttempt
  startedMs: number
  /** Removes the credential from what the provider wrote. */
  scrub: (text: string) => string
  reservation: Reservation | undefined
  /** What was taken of the limits of its place. */
  limited: Standings
  /** Set once, when the attempt's money is posted or its reservation voided. */
  settled: Settled | undefined
}

/** One try at one target: its reservation, the request that was sent, and what came of it. */
export interface Attempt extends Prepared {
  reservation: Reservation
}

export interface Settled {
  meters: RecordMeter[]
  cost: bigint
  postings: RecordPosting[]
}

export interface Capped {
  readonly budget: string
  readonly outputTokens: number
}

/** Whose attempt it is, and when. */
export interface Trying {
  readonly admitted: AdmittedRequest
  readonly allowLossy: boolean
  readonly clientHeaders: Headers
  readonly atMs: number
}

/** Prices, bounds and encodes one attempt. `capped` is the most output that there is money for, where that is the limit. */
export function prepare(
  target: Target,
  { admitted, allowLossy, clientHeaders, atMs }: Trying,
  counters: readonly BudgetCounter[],
  capped: Capped | null = null,
): Prepared | Refusal {
  const { wire } = target
  // Within a path these would name another one; nothing that a client can ask for is called so.
  if (target.upstreamName === '.' || target.upstreamName === '..') return refuse('unknown_alias', undefined, 'model')
  const upstreamName = target.upstreamName.toWellFormed()
  const prices = admitted.operation === 'count' ? costsNothing : ratesFor(target.model, atMs)
  if ('unpriced' in prices && prices.ceiling === null)
    return refuse('price_unknown', `Declare a price for ${target.model.name}.`, 'model')
  const isGuarded = counters.some(isHard)
  const model = isGuarded ? boundsOf(target.model, wire.protocol, capped?.outputTokens ?? null) : target.model
  const ceiling = wire.ceiling(admitted, model)
  const encoded = wire.encode(admitted, { model, upstreamName }, allowLossy)
  if (isRefusal(encoded)) return encoded
  const refusal = isGuarded ? unboundedIn(ceiling, prices as Prices, target.model) : undefined
  if (refusal) return refusal
  return {
    target,
    prices: prices as Prices,
    ceiling,
    cost: ceilingCost(prices as Prices, ceiling),
    counters,
    isGuarded,
    capped,
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
    startedMs: 0,
    scrub: unscrubbed,
    reservation: undefined,
    limited: unlimited,
    settled: undefined,
    entry: {
      at: atMs,
      cause: null,
      credential: target.credential?.id ?? null,
      model: model.id,
      status: null,
      totalMs: 0,
      upstreamRequestId: null,
    },
  }
}

/** What was prepared becomes an attempt once there is money for it. */
export function begin(prepared: Prepared, reservation: Reservation, atMs: number, startedMs: number): Attempt {
  prepared.reservation = reservation
  prepared.startedMs = startedMs
  prepared.entry.at = atMs
  return prepared as Attempt
}

const isHard = ({ of }: BudgetCounter) => of.isHard

/** What a count of tokens costs, whatever the price sheet says. */
const costsNothing: RateCard = {
  sheet: null,
  effectiveFromMs: 0,
  standard: { rates: new Map(), steps: [] },
  tiers: new Map(),
}

const unlimited: Standings = Object.freeze([])
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
  const { meters, cost } = chargeOf(attempt)
  attempt.settled = { meters, cost, postings: ledger.post(attempt.reservation, cost) }
}

/** What a provider does not say of the tier is taken to be as it was asked. */
const askedTier = ({ serviceTier }: TokenCeiling) =>
  serviceTier && 'name' in serviceTier ? serviceTier.name : undefined

function chargeOf({ prices, ceiling, decoder }: Attempt): Priced {
  const { usage, hiddenOutput, outputBytes } = decoder.facts
  const serviceTier = decoder.facts.serviceTier ?? askedTier(ceiling)
  if (usage) return price(prices, usage, serviceTier)
  return hiddenOutput
    ? priceCeiling(prices, ceiling)
    : price(prices, estimatedReadings(ceiling, outputBytes), serviceTier)
}
