import type { Meter } from '../../../schema/config/index.ts'
import type { Reading } from '../../reading.ts'
import { reportedTier } from '../ceiling-parts.ts'
import type { Json } from '../json.ts'

/**
 * A usage object as disjoint meters. The API's own counts are disjoint too, but for thinking, which is part of the output, and
 * for the steps a server took (compaction, an advisor), which stand in `iterations` and are billed as their sum. Undefined where
 * it is no usage.
 */
export function readUsage(usage: Json | null | undefined): Reading[] | undefined {
  if (!usage || typeof usage !== 'object') return undefined
  const steps = Array.isArray(usage.iterations) && usage.iterations.length > 0 ? usage.iterations : [usage]
  const totals = steps.slice(0, stepsMax).map(countsOf)
  if (totals.some((counts) => counts === undefined)) return undefined
  const sum = (key: keyof Counts) => totals.reduce((all, counts) => all + counts![key], 0)
  const output = sum('output')
  const thinking = Math.min(count(usage.output_tokens_details?.thinking_tokens) ?? 0, output)
  const searches = count(usage.server_tool_use?.web_search_requests) ?? 0
  return [
    reading('INPUT_TOKENS', sum('input')),
    ...some('CACHED_INPUT_TOKENS', sum('cached')),
    ...some('CACHE_WRITE_TOKENS', sum('written')),
    ...some('CACHE_WRITE_1H_TOKENS', sum('written1h')),
    reading('OUTPUT_TOKENS', output - thinking),
    ...some('REASONING_TOKENS', thinking),
    // Of the server's tools only searches are charged by the piece.
    ...some('SERVER_TOOL_CALLS', searches),
  ]
}

/** What a price depends on beside the counts: fast mode, where it ran, or the tier; in this order, as none has all of them. */
export function tierOf(usage: Json | null | undefined): string | undefined {
  if (usage?.speed === 'fast') return 'fast'
  const geo = reportedTier(usage?.inference_geo)
  return geo === undefined || anywhere.has(geo) ? reportedTier(usage?.service_tier) : geo
}

/** Places whose price is the plain one. */
export const anywhere: ReadonlySet<string> = new Set(['global', 'not_available', ''])

interface Counts {
  input: number
  cached: number
  written: number
  written1h: number
  output: number
}

const stepsMax = 1_000

function countsOf(usage: Json): Counts | undefined {
  const input = count(usage?.input_tokens)
  const output = count(usage?.output_tokens)
  if (input === undefined || output === undefined) return undefined
  const written = count(usage.cache_creation_input_tokens) ?? 0
  const written1h = Math.min(count(usage.cache_creation?.ephemeral_1h_input_tokens) ?? 0, written)
  return { input, output, cached: count(usage.cache_read_input_tokens) ?? 0, written: written - written1h, written1h }
}

/** Counts that `message_delta` brings replace those of `message_start`; what it leaves out, or null, still holds. */
export function mergeUsage(before: Json | undefined, after: Json | null | undefined): Json {
  const merged: Json = { ...before }
  for (const [key, value] of Object.entries(after ?? {})) if (value != null) merged[key] = value
  return merged
}

const reading = (meter: Meter, quantity: number): Reading => ({ meter, quantity, source: 'REPORTED' })
const some = (meter: Meter, quantity: number): Reading[] => (quantity > 0 ? [reading(meter, quantity)] : [])

/** A token count; more than 10⁹ in one answer is a provider's bug and is not billed from. */
function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1e9
    ? (value as number)
    : undefined
}

/** Disjoint meters as the Messages API counts them. */
export function writeUsage(readings: readonly Reading[] | undefined): Json {
  const of = (...meters: Meter[]) =>
    (readings ?? []).reduce((sum, { meter, quantity }) => (meters.includes(meter) ? sum + quantity : sum), 0)
  const written = of('CACHE_WRITE_TOKENS')
  const written1h = of('CACHE_WRITE_1H_TOKENS')
  const thinking = of('REASONING_TOKENS')
  return {
    input_tokens: of('INPUT_TOKENS', 'AUDIO_INPUT_TOKENS'),
    cache_creation_input_tokens: written + written1h,
    cache_read_input_tokens: of('CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS'),
    cache_creation: { ephemeral_5m_input_tokens: written, ephemeral_1h_input_tokens: written1h },
    output_tokens: of('OUTPUT_TOKENS', 'AUDIO_OUTPUT_TOKENS') + thinking,
    output_tokens_details: thinking > 0 ? { thinking_tokens: thinking } : null,
    server_tool_use: null,
    service_tier: null,
  }
}
