import type { RecordMeter } from '../../schema/flight-record.ts'
import type { AdmittedRequest, PassingDialect, TokenCeiling } from '../codecs/codec.ts'
import { wireTo } from '../codecs/index.ts'
import { allInput, spokenMeters } from '../pricing.ts'
import type { RunningAlias } from '../snapshot/running.ts'
import type { RunningLimit } from './book.ts'

/** What a request takes of a limit before anything is known of its answer. Output that nothing bounds takes all there can be. */
export function unitsOf({ unit, burst }: RunningLimit, { inputTokens, outputTokens }: TokenCeiling): number {
  switch (unit) {
    case 'REQUESTS':
    case 'CONCURRENT_REQUESTS':
      return 1
    case 'INPUT_TOKENS':
      return inputTokens
    case 'OUTPUT_TOKENS':
      return outputTokens ?? burst + 1
    case 'TOKENS':
      return outputTokens === null ? burst + 1 : inputTokens + outputTokens
  }
}

/** What attempts really came to. */
export function usedOf({ unit }: RunningLimit, meters: readonly RecordMeter[]): number {
  switch (unit) {
    case 'REQUESTS':
    case 'CONCURRENT_REQUESTS':
      return 1
    case 'INPUT_TOKENS':
      return total(meters, inputs)
    case 'OUTPUT_TOKENS':
      return total(meters, outputs)
    case 'TOKENS':
      return total(meters, inputs) + total(meters, outputs)
  }
}

const inputs: ReadonlySet<string> = allInput
const outputs: ReadonlySet<string> = new Set(spokenMeters)

function total(meters: readonly RecordMeter[], counted: ReadonlySet<string>): number {
  let sum = 0
  for (const { meter, quantity } of meters) if (counted.has(meter)) sum += quantity
  return sum
}

const nothing: TokenCeiling = Object.freeze({ inputTokens: 0, outputTokens: 0 })

/** The most tokens that one attempt may come to at any target of the alias. A count of tokens uses none. */
export function largestCeiling(
  dialect: PassingDialect,
  request: AdmittedRequest,
  { route }: RunningAlias,
): TokenCeiling {
  if (request.operation === 'count') return nothing
  let { inputTokens, outputTokens } = nothing as { inputTokens: number; outputTokens: number | null }
  for (const { model } of route.targets) {
    const one = wireTo(model.provider, dialect, request.operation)?.ceiling(request, model)
    if (!one) continue
    inputTokens = Math.max(inputTokens, one.inputTokens)
    outputTokens = one.outputTokens === null || outputTokens === null ? null : Math.max(outputTokens, one.outputTokens)
  }
  return { inputTokens, outputTokens }
}
