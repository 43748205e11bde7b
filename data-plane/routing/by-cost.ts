import { formatAmount } from '../../schema/money.ts'
import type { AdmittedRequest, TokenCeiling } from '../codecs/codec.ts'
import { expectedCost } from '../pricing.ts'
import { ratesFor } from '../snapshot/rates.ts'
import type { Order } from './order.ts'
import { rendezvous } from './sticky.ts'
import type { Candidate } from './target.ts'

/** Bytes of text to a token, about. The bound that is reserved for takes each byte for one. */
const bytesPerToken = 4
/** What an answer comes to where its limit allows it, about. */
const typicalOutputTokens = 500

/**
 * Cheapest first, by what this request is expected to cost at each. Its input is the same everywhere: the lowest of the targets'
 * bounds tells it best. Those of one price are one choice: a session keeps its own among them. What has no price at all comes last.
 */
export function byCost(
  candidates: readonly Candidate[],
  request: AdmittedRequest,
  session: string | null,
  nowMs: number,
): Order {
  const ceilings = candidates.map(({ wire, declared }) => wire.ceiling(request, declared.model))
  const inputTokens = Math.ceil(Math.min(...ceilings.map((ceiling) => ceiling.inputTokens)) / bytesPerToken)
  const costs = new Map(
    candidates.map((one, index) => [one, costOf(one, inputTokens, ceilings[index]!, nowMs)] as const),
  )
  const spread =
    session === null
      ? candidates
      : rendezvous(
          session,
          candidates,
          ({ key }) => key,
          () => 1,
        )
  const sorted = [...spread].sort((a, b) => compared(costs.get(a)!, costs.get(b)!))
  const least = sorted[0] && costs.get(sorted[0])
  const figure = typeof least === 'bigint' ? ` ${formatAmount(least)}` : ''
  const sticks = session !== null && sorted[1] && costs.get(sorted[1]) === least
  return { candidates: sorted, choice: `least_cost${figure}${sticks ? ' sticky' : ''}` }
}

/** At 10⁻¹². */
type Cost = bigint | 'unknown'

function costOf({ declared }: Candidate, inputTokens: number, ceiling: TokenCeiling, nowMs: number): Cost {
  const outputTokens = Math.min(typicalOutputTokens, ceiling.outputTokens ?? typicalOutputTokens)
  return expectedCost(ratesFor(declared.model, nowMs), inputTokens, outputTokens) ?? 'unknown'
}

function compared(a: Cost, b: Cost): number {
  if (a === 'unknown' || b === 'unknown') return Number(a === 'unknown') - Number(b === 'unknown')
  return a < b ? -1 : a > b ? 1 : 0
}
