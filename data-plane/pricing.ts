import type { Meter } from '../schema/config/index.ts'
import type { RecordMeter } from '../schema/flight-record.ts'
import { formatAmount } from '../schema/money.ts'
import type { TokenCeiling } from './codecs/codec.ts'
import type { Reading } from './reading.ts'
import type { RateCard, Rates, RateTable, Unpriced } from './snapshot/running.ts'

/** A meter without a line of its own is charged as the plainer one it is a kind of. */
const plainer: Partial<Record<Meter, Meter>> = {
  CACHED_INPUT_TOKENS: 'INPUT_TOKENS',
  CACHE_WRITE_TOKENS: 'INPUT_TOKENS',
  CACHE_WRITE_1H_TOKENS: 'CACHE_WRITE_TOKENS',
  AUDIO_INPUT_TOKENS: 'INPUT_TOKENS',
  CACHED_AUDIO_INPUT_TOKENS: 'AUDIO_INPUT_TOKENS',
  REASONING_TOKENS: 'OUTPUT_TOKENS',
  AUDIO_OUTPUT_TOKENS: 'OUTPUT_TOKENS',
}

const inputMeters: Meter[] = ['INPUT_TOKENS', 'CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS', 'AUDIO_INPUT_TOKENS']
const outputMeters: Meter[] = ['OUTPUT_TOKENS', 'REASONING_TOKENS', 'AUDIO_OUTPUT_TOKENS']
const allInput: ReadonlySet<Meter> = new Set([...inputMeters, 'CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS'])

function rateOf(rates: Rates, meter: Meter): bigint {
  for (let at: Meter | undefined = meter; at; at = plainer[at]) {
    const rate = rates.get(at)
    if (rate !== undefined) return rate
  }
  return 0n
}

/** The rates for this many input tokens: long contexts may have a step of their own. */
function stepRates(table: RateTable, inputTokens: number): Rates {
  return table.steps.find((step) => inputTokens > step.aboveInputTokens)?.rates ?? table.rates
}

export interface Priced {
  meters: RecordMeter[]
  /** At 10⁻¹². */
  cost: bigint
}

/** A model's prices at the time of the request: its card, or what an unpriced attempt is charged. */
export type Prices = RateCard | (Unpriced & { ceiling: bigint })

/** What these readings of one attempt cost, exactly. An unpriced attempt costs its declared ceiling, whatever it used. */
export function price(prices: Prices, readings: Reading[]): Priced {
  return 'unpriced' in prices ? priceUnpriced(prices.ceiling, readings) : priceByCard(prices, readings)
}

function priceUnpriced(ceiling: bigint, readings: Reading[]): Priced {
  const free = readings.map(({ meter, quantity, source }) => ({ cost: '0', meter, quantity, source }))
  const flat: RecordMeter = { cost: formatAmount(ceiling), meter: 'REQUESTS', quantity: 1, source: 'CEILING' }
  return { meters: [...free, flat], cost: ceiling }
}

function priceByCard(card: RateCard, readings: Reading[]): Priced {
  const inputTokens = readings.reduce((sum, { meter, quantity }) => (allInput.has(meter) ? sum + quantity : sum), 0)
  const rates = stepRates(card.standard, inputTokens)
  const perRequest = rates.get('REQUESTS')
  const counted: Reading[] = perRequest
    ? [...readings, { meter: 'REQUESTS', quantity: 1, source: 'REPORTED' }]
    : readings
  let cost = 0n
  const meters = counted.map(({ meter, quantity, source }) => {
    const amount = rateOf(rates, meter) * BigInt(quantity)
    cost += amount
    return { cost: formatAmount(amount), meter, quantity, source }
  })
  return { meters, cost }
}

/** What an attempt of this size is likely to cost: plain input and output at their rates. Undefined where there is no price. */
export function expectedCost(
  prices: RateCard | Unpriced,
  inputTokens: number,
  outputTokens: number,
): bigint | undefined {
  if ('unpriced' in prices) return prices.ceiling ?? undefined
  const rates = stepRates(prices.standard, inputTokens)
  return (
    rateOf(rates, 'INPUT_TOKENS') * BigInt(inputTokens) +
    rateOf(rates, 'OUTPUT_TOKENS') * BigInt(outputTokens) +
    rateOf(rates, 'REQUESTS')
  )
}

/** The most an attempt can cost: each side at the dearest meter it can reach, over all steps. */
export function ceilingCost(prices: Prices, ceiling: TokenCeiling): bigint {
  if ('unpriced' in prices) return prices.ceiling
  const card = prices
  const reachable = [card.standard.rates, ...card.standard.steps.map(({ rates }) => rates)]
  const dearest = (meters: Meter[]) =>
    reachable.flatMap((rates) => meters.map((meter) => rateOf(rates, meter))).reduce(larger, 0n)
  const perRequest = reachable.map((rates) => rateOf(rates, 'REQUESTS')).reduce(larger, 0n)
  return (
    dearest(inputMeters) * BigInt(ceiling.inputTokens) +
    dearest(outputMeters) * BigInt(ceiling.outputTokens ?? 0) +
    perRequest
  )
}

const larger = (a: bigint, b: bigint) => (a > b ? a : b)

/** The ceiling as readings, for an attempt of which nobody knows what it cost. */
export function ceilingReadings(ceiling: TokenCeiling): Reading[] {
  return [
    { meter: 'INPUT_TOKENS', quantity: ceiling.inputTokens, source: 'CEILING' },
    { meter: 'OUTPUT_TOKENS', quantity: ceiling.outputTokens ?? 0, source: 'CEILING' },
  ]
}

/** What a broken stream is charged: the input bound, and the output that was seen (a byte is at least a token). */
export function estimatedReadings(ceiling: TokenCeiling, outputBytes: number): Reading[] {
  return [
    { meter: 'INPUT_TOKENS', quantity: ceiling.inputTokens, source: 'ESTIMATED' },
    {
      meter: 'OUTPUT_TOKENS',
      quantity: Math.min(outputBytes, ceiling.outputTokens ?? outputBytes),
      source: 'ESTIMATED',
    },
  ]
}
