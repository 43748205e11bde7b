import type { Meter } from '../../../schema/config/index.ts'
import type { Reading } from '../../reading.ts'
import type { Json } from '../json.ts'
import { readUsage } from '../openai-chat/usage.ts'

/** The same counts as chat completions have, under other names: cached is part of input, reasoning of output. */
export function readResponsesUsage(usage: Json | null | undefined): Reading[] | undefined {
  if (!usage || typeof usage !== 'object') return undefined
  return readUsage({
    prompt_tokens: usage.input_tokens,
    completion_tokens: usage.output_tokens,
    prompt_tokens_details: usage.input_tokens_details,
    completion_tokens_details: usage.output_tokens_details,
  })
}

export function writeResponsesUsage(readings: readonly Reading[]): Json {
  const of = (...meters: Meter[]) =>
    readings.reduce((sum, { meter, quantity }) => (meters.includes(meter) ? sum + quantity : sum), 0)
  const cached = of('CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS')
  const reasoning = of('REASONING_TOKENS')
  const written = of('CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS')
  const input = of('INPUT_TOKENS', 'AUDIO_INPUT_TOKENS') + cached + written
  const output = of('OUTPUT_TOKENS', 'AUDIO_OUTPUT_TOKENS') + reasoning
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output,
  }
}
