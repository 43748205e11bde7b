import type { Attempt } from '../attempt.ts'

const outputMeters = new Set(['OUTPUT_TOKENS', 'REASONING_TOKENS', 'AUDIO_OUTPUT_TOKENS'])
/** Where usage was not reported: bytes to a token, about. */
const bytesPerToken = 4
/** Shorter answers tell nothing of a rate. */
const tokensMin = 8

/**
 * How fast an attempt answered. `firstMs` and `tookMs` count from its start, to its first released bytes and to its end. A plain
 * answer has no first: all of it comes at once.
 */
export function paceOf(
  { decoder, settled }: Attempt,
  streamed: boolean,
  firstMs: number,
  tookMs: number,
): { firstMs: number; perTokenMs: number | null } {
  if (!streamed) return { firstMs: tookMs, perTokenMs: 0 }
  const reported = settled?.meters.reduce(
    (sum, { meter, quantity }) => sum + (outputMeters.has(meter) ? quantity : 0),
    0,
  )
  const tokens = reported || decoder.facts.outputBytes / bytesPerToken
  return { firstMs, perTokenMs: tokens < tokensMin ? null : Math.max(0, tookMs - firstMs) / tokens }
}
