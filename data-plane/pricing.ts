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

const inputMeters: Meter[] = [
  'INPUT_TOKENS',
  'CACHED_INPUT_TOKENS',
  'CACHE_WRITE_TOKENS',
  'CACHE_WRITE_1H_TOKENS',
  'AUDIO_INPUT_TOKENS',
  'CACHED_AUDIO_INPUT_TOKENS',
]
const outputMeters: Meter[] = ['OUTPUT_TOKENS', 'REASONING_TOKENS']
export const spokenMeters: readonly Meter[] = [...outputMeters, 'AUDIO_OUTPUT_TOKENS']
export const allInput: ReadonlySet<Meter> = new Set(inputMeters)

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

/**
 * What these readings of one attempt cost, exactly, at the rates of the service tier that served it where the sheet has lines for
 * that one. An unpriced attempt costs its declared ceiling, whatever it used.
 */
export function price(prices: Prices, readings: Reading[], serviceTier?: string): Priced {
  return 'unpriced' in prices ? priceUnpriced(prices.ceiling, readings) : priceByCard(prices, readings, serviceTier)
}

function priceUnpriced(ceiling: bigint, readings: Reading[]): Priced {
  const free = readings.map(({ meter, quantity, source }) => ({ cost: '0', meter, quantity, source }))
  const flat: RecordMeter = { cost: formatAmount(ceiling), meter: 'REQUESTS', quantity: 1, source: 'CEILING' }
  return { meters: [...free, flat], cost: ceiling }
}

function priceByCard(card: RateCard, readings: Reading[], serviceTier: string | undefined): Priced {
  const inputTokens = readings.reduce((sum, { meter, quantity }) => (allInput.has(meter) ? sum + quantity : sum), 0)
  const table = (serviceTier !== undefined && card.tiers.get(serviceTier)) || card.standard
  const rates = stepRates(table, inputTokens)
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

/** True where no meter of the model has a price: a self-hosted model without a sheet. */
export function isFree({ standard, tiers }: RateCard): boolean {
  return standard.rates.size === 0 && standard.steps.length === 0 && tiers.size === 0
}

/** The most an attempt can cost: each side at the dearest meter it can reach, at the dearest step and service tier. */
export function ceilingCost(prices: Prices, ceiling: TokenCeiling): bigint {
  if ('unpriced' in prices) return prices.ceiling
  return costOf(dearestRates(prices, ceiling), ceiling)
}

/** How much output `amount` pays for beside the whole input; below 0 where it does not pay for the input. */
export function affordableOutput(prices: RateCard, ceiling: TokenCeiling, amount: bigint): number {
  const dearest = dearestRates(prices, ceiling)
  const left = amount - costOf(dearest, { ...ceiling, outputTokens: 0 })
  const rate = rateOfSide(dearest, ceiling)
  if (left < 0n) return -1
  return rate === 0n ? Number.MAX_SAFE_INTEGER : Number(left / rate)
}

/** The dearest rates of one table of rates, found once. */
interface Dearest {
  readonly input: bigint
  readonly output: bigint
  readonly spoken: bigint
  readonly request: bigint
}

const found = new WeakMap<Rates, Dearest>()

function dearestOf(rates: Rates): Dearest {
  const known = found.get(rates)
  if (known) return known
  const dearest = (meters: readonly Meter[]) => meters.map((meter) => rateOf(rates, meter)).reduce(larger, 0n)
  const made: Dearest = Object.freeze({
    input: dearest(inputMeters),
    output: dearest(outputMeters),
    spoken: dearest(spokenMeters),
    request: rateOf(rates, 'REQUESTS'),
  })
  found.set(rates, made)
  return made
}

/** Of all that the request can reach; the rates of one step may be dear for input and those of another for output. */
function dearestRates(card: RateCard, ceiling: TokenCeiling): Dearest {
  const { serviceTier, inputTokens } = ceiling
  const standard = dearestOfTable(card.standard, inputTokens)
  if (serviceTier === undefined || card.tiers.size === 0) return standard
  let dearest = standard
  for (const [name, table] of card.tiers) {
    const isReached = 'name' in serviceTier ? name === serviceTier.name : name !== serviceTier.except
    if (isReached) dearest = dearer(dearest, dearestOfTable(table, inputTokens))
  }
  return dearest
}

function dearestOfTable({ rates, steps }: RateTable, inputTokens: number): Dearest {
  let dearest = dearestOf(rates)
  for (const step of steps) if (inputTokens > step.aboveInputTokens) dearest = dearer(dearest, dearestOf(step.rates))
  return dearest
}

function dearer(one: Dearest, other: Dearest): Dearest {
  return {
    input: larger(one.input, other.input),
    output: larger(one.output, other.output),
    spoken: larger(one.spoken, other.spoken),
    request: larger(one.request, other.request),
  }
}

const rateOfSide = (dearest: Dearest, { audioOutput }: TokenCeiling) =>
  audioOutput === undefined ? dearest.output : dearest.spoken

function costOf(dearest: Dearest, ceiling: TokenCeiling): bigint {
  return (
    dearest.input * BigInt(ceiling.inputTokens) +
    rateOfSide(dearest, ceiling) * BigInt(ceiling.outputTokens ?? 0) +
    dearest.request
  )
}

const larger = (a: bigint, b: bigint) => (a > b ? a : b)

/** An attempt of which nobody knows what it cost, at its ceiling: exactly what is reserved for it. */
export function priceCeiling(prices: Prices, ceiling: TokenCeiling): Priced {
  const { inputTokens, outputTokens } = ceiling
  if ('unpriced' in prices) return priceUnpriced(prices.ceiling, ceilingReadings(ceiling))
  const dearest = dearestRates(prices, ceiling)
  const counted: [Meter, number, bigint][] = [
    ['INPUT_TOKENS', inputTokens, dearest.input],
    ['OUTPUT_TOKENS', outputTokens ?? 0, rateOfSide(dearest, ceiling)],
    ...(dearest.request > 0n ? [['REQUESTS', 1, dearest.request] as [Meter, number, bigint]] : []),
  ]
  const meters = counted.map(
    ([meter, quantity, rate]): RecordMeter => ({
      ...{ cost: formatAmount(rate * BigInt(quantity)), meter, quantity, source: 'CEILING' },
    }),
  )
  return { meters, cost: costOf(dearest, ceiling) }
}

function ceilingReadings({ inputTokens, outputTokens }: TokenCeiling): Reading[] {
  return [
    { meter: 'INPUT_TOKENS', quantity: inputTokens, source: 'CEILING' },
    { meter: 'OUTPUT_TOKENS', quantity: outputTokens ?? 0, source: 'CEILING' },
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
