import { createHash } from 'node:crypto'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { parseAmount } from '../../schema/money.ts'

/** What spending is attributed to, whole; '' where a record names none. `alias` is the declared alias's id. */
export interface Dimensions {
  team: string
  project: string
  principal: string
  apiKey: string
  provider: string
  model: string
  alias: string
  tier: string
  dataPlane: string
  requestLabels: Record<string, string>
}

/** What is added up. Costs are at 10⁻¹² of the currency. */
export interface Measures {
  cost: bigint
  requests: number
  refused: number
  failed: number
  tokens: number
  inputTokens: number
  cachedInputTokens: number
  outputTokens: number
}

export const noMeasures = (): Measures => ({
  ...{ cost: 0n, requests: 0, refused: 0, failed: 0 },
  ...{ tokens: 0, inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 },
})

export function addMeasures(to: Measures, more: Measures): void {
  to.cost += more.cost
  to.requests += more.requests
  to.refused += more.refused
  to.failed += more.failed
  to.tokens += more.tokens
  to.inputTokens += more.inputTokens
  to.cachedInputTokens += more.cachedInputTokens
  to.outputTokens += more.outputTokens
}

const inputMeters = new Set(['INPUT_TOKENS', 'CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS', 'AUDIO_INPUT_TOKENS'])
const cachedMeters = new Set(['CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS'])
const outputMeters = new Set(['OUTPUT_TOKENS', 'REASONING_TOKENS', 'AUDIO_OUTPUT_TOKENS'])

/** What one record adds. Meters are disjoint, so tokens are the sum of input, cached input and output. */
export function measuresOf(record: FlightRecord): Measures {
  const sum = (wanted: (meter: string) => boolean) =>
    record.meters.reduce((total, { meter, quantity }) => total + (wanted(meter) ? quantity : 0), 0)
  const inputTokens = sum((meter) => inputMeters.has(meter))
  const cachedInputTokens = sum((meter) => cachedMeters.has(meter))
  const outputTokens = sum((meter) => outputMeters.has(meter))
  return {
    cost: parseAmount(record.cost)!,
    requests: 1,
    refused: record.outcome === 'REFUSED' ? 1 : 0,
    failed: record.outcome === 'FAILED' ? 1 : 0,
    tokens: inputTokens + cachedInputTokens + outputTokens,
    ...{ inputTokens, cachedInputTokens, outputTokens },
  }
}

/** Names that were asked for but never declared are not a dimension: anybody could make as many as they like. */
export function dimensionsOf(record: FlightRecord): Dimensions {
  return {
    team: record.team ?? '',
    project: record.project ?? '',
    principal: record.principal ?? '',
    apiKey: record.apiKey ?? '',
    provider: record.provider ?? '',
    model: record.model ?? '',
    alias: record.aliasId ?? '',
    tier: record.tier ?? '',
    dataPlane: record.dataPlane,
    requestLabels: record.requestLabels,
  }
}

/** A short name for a tuple of dimensions. */
export function tupleOf(dimensions: Dimensions): string {
  const { requestLabels, ...plain } = dimensions
  const labels = Object.entries(requestLabels).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([...Object.values(plain), labels]))
    .digest('base64url')
    .slice(0, 27)
}

/** Upper bounds of the latency buckets in milliseconds, about three to a decade; the last bucket has none. */
export const latencyBoundsMs = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
]

export function latencyBucket(totalMs: number): number {
  const bucket = latencyBoundsMs.findIndex((bound) => totalMs <= bound)
  return bucket === -1 ? latencyBoundsMs.length : bucket
}

export const emptyHistogram = (): number[] => new Array(latencyBoundsMs.length + 1).fill(0)
