import type { Meter } from '../../../schema/config/index.ts'
import type { Reading } from '../../reading.ts'
import type { Json } from '../json.ts'

/** Token counts as disjoint meters: what was read from or written to a cache is not part of `inputTokens`. */
export function readUsage(usage: Json | null | undefined): Reading[] | undefined {
  const input = count(usage?.inputTokens)
  const output = count(usage?.outputTokens)
  if (!usage || input === undefined || output === undefined) return undefined
  const written = count(usage.cacheWriteInputTokens) ?? 0
  const written1h = Math.min(longLived(usage.cacheDetails), written)
  return [
    reading('INPUT_TOKENS', input),
    ...some('CACHED_INPUT_TOKENS', count(usage.cacheReadInputTokens) ?? 0),
    ...some('CACHE_WRITE_TOKENS', written - written1h),
    ...some('CACHE_WRITE_1H_TOKENS', written1h),
    reading('OUTPUT_TOKENS', output),
  ]
}

function longLived(details: unknown): number {
  const list: Json[] = Array.isArray(details) ? details : []
  return list.reduce((sum, detail) => (detail?.ttl === '1h' ? sum + (count(detail.inputTokens) ?? 0) : sum), 0)
}

const reading = (meter: Meter, quantity: number): Reading => ({ meter, quantity, source: 'REPORTED' })
const some = (meter: Meter, quantity: number): Reading[] => (quantity > 0 ? [reading(meter, quantity)] : [])

/** A token count; more than 10⁹ in one answer is a provider's bug and is not billed from. */
function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1e9
    ? (value as number)
    : undefined
}
