import type { Meter } from '../../../schema/config/index.ts'
import type { Reading } from '../../reading.ts'

export interface ChatUsage {
  prompt_tokens?: unknown
  completion_tokens?: unknown
  prompt_tokens_details?: { cached_tokens?: unknown; cache_write_tokens?: unknown; audio_tokens?: unknown } | null
  completion_tokens_details?: { reasoning_tokens?: unknown; audio_tokens?: unknown } | null
}

/**
 * A usage object as disjoint meters: OpenAI counts cached, written and audio tokens within prompt tokens, and reasoning and audio
 * tokens within completion tokens. Undefined where it is no usage: a part larger than its whole, or no count at all.
 */
export function readUsage(usage: ChatUsage | null | undefined): Reading[] | undefined {
  if (!usage || typeof usage !== 'object') return undefined
  const prompt = count(usage.prompt_tokens)
  const completion = count(usage.completion_tokens ?? 0)
  if (prompt === undefined || completion === undefined) return undefined
  const cached = count(usage.prompt_tokens_details?.cached_tokens ?? 0) ?? 0
  const audioIn = count(usage.prompt_tokens_details?.audio_tokens ?? 0) ?? 0
  const written = count(usage.prompt_tokens_details?.cache_write_tokens ?? 0) ?? 0
  const reasoning = count(usage.completion_tokens_details?.reasoning_tokens ?? 0) ?? 0
  const audioOut = count(usage.completion_tokens_details?.audio_tokens ?? 0) ?? 0
  if (cached + written + audioIn > prompt || reasoning + audioOut > completion) return undefined
  return [
    reading('INPUT_TOKENS', prompt - cached - written - audioIn),
    ...some('CACHED_INPUT_TOKENS', cached),
    ...some('CACHE_WRITE_TOKENS', written),
    ...some('AUDIO_INPUT_TOKENS', audioIn),
    reading('OUTPUT_TOKENS', completion - reasoning - audioOut),
    ...some('REASONING_TOKENS', reasoning),
    ...some('AUDIO_OUTPUT_TOKENS', audioOut),
  ]
}

const reading = (meter: Meter, quantity: number): Reading => ({ meter, quantity, source: 'REPORTED' })
const some = (meter: Meter, quantity: number): Reading[] => (quantity > 0 ? [reading(meter, quantity)] : [])

/** A token count; more than 10⁹ in one answer is a provider's bug and is not billed from. */
function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1e9
    ? (value as number)
    : undefined
}

/** Disjoint meters as OpenAI counts: cached, written and audio tokens are part of the prompt, reasoning of the completion. */
export function writeUsage(readings: readonly Reading[]): ChatUsage & { total_tokens: number } {
  const of = (...meters: Meter[]) =>
    readings.reduce((sum, { meter, quantity }) => (meters.includes(meter) ? sum + quantity : sum), 0)
  const cached = of('CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS')
  const reasoning = of('REASONING_TOKENS')
  const written = of('CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS')
  const prompt = of('INPUT_TOKENS', 'AUDIO_INPUT_TOKENS') + cached + written
  const completion = of('OUTPUT_TOKENS', 'AUDIO_OUTPUT_TOKENS') + reasoning
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: {
      ...{ cached_tokens: cached, cache_write_tokens: written, audio_tokens: of('AUDIO_INPUT_TOKENS') },
    },
    completion_tokens_details: { reasoning_tokens: reasoning, audio_tokens: of('AUDIO_OUTPUT_TOKENS') },
  }
}
