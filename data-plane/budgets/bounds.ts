import type { Codec } from '../../schema/config/index.ts'
import { type Refusal, refuse } from '../../schema/refusals.ts'
import type { TokenCeiling } from '../codecs/codec.ts'
import { isFree, type Prices } from '../pricing.ts'
import type { RunningModel } from '../snapshot/running.ts'

/**
 * A model as requests under a hard budget see it: an output limit is always sent, and never above what is reserved. `cappedTokens`
 * is what there is money for, per answer. Encoders and ceilings go by the model's limits, so they need not know.
 */
export function boundsOf(model: RunningModel, protocol: Codec, cappedTokens: number | null): RunningModel {
  const bounded = alwaysLimited(model, protocol)
  if (cappedTokens === null) return bounded
  const { maxOutputTokens, defaultOutputTokens } = bounded
  return {
    ...bounded,
    maxOutputTokens: Math.min(maxOutputTokens ?? cappedTokens, cappedTokens),
    defaultOutputTokens: Math.min(defaultOutputTokens ?? cappedTokens, cappedTokens),
  }
}

/** Made once for each model of a snapshot. */
const limited = { claude: new WeakMap<RunningModel, RunningModel>(), other: new WeakMap<RunningModel, RunningModel>() }
/** These refuse a limit that their model does not take, and a context is none: what Amazon takes where nothing is said is sent. */
const plainOutputTokens = 4_096

function alwaysLimited(model: RunningModel, protocol: Codec): RunningModel {
  const { maxOutputTokens, defaultOutputTokens, contextTokens } = model
  if (maxOutputTokens !== null && defaultOutputTokens !== null) return model
  const isClaude = protocol === 'ANTHROPIC_MESSAGES' || protocol === 'BEDROCK_CONVERSE'
  const made = isClaude ? limited.claude : limited.other
  const known = made.get(model)
  if (known) return known
  const most = maxOutputTokens ?? contextTokens
  const unsaid = isClaude ? Math.min(plainOutputTokens, contextTokens ?? plainOutputTokens) : contextTokens
  const copy = Object.freeze({
    ...model,
    maxOutputTokens: most,
    defaultOutputTokens: defaultOutputTokens ?? maxOutputTokens ?? unsaid,
  })
  made.set(model, copy)
  return copy
}

/** What of a request has no upper bound, so that no budget could hold it; undefined where all has. */
export function unboundedIn(ceiling: TokenCeiling, prices: Prices, model: RunningModel): Refusal | undefined {
  // What is charged by the attempt, or not at all, costs the same whatever is asked.
  if ('unpriced' in prices || isFree(prices)) return undefined
  if (model.boundsBroken) return refuse('price_unknown', brokenSentence(model.name), 'model')
  const { unbounded, serviceTier, audioOutput } = ceiling
  if (unbounded) return refuse('unsupported_feature', sentence(unbounded.field, unbounded.why), unbounded.field)
  if (serviceTier && 'name' in serviceTier && !prices.tiers.has(serviceTier.name))
    return unpriced(serviceTier.field, `the service tier ${serviceTier.name}`)
  if (audioOutput && !prices.standard.rates.has('AUDIO_OUTPUT_TOKENS')) return unpriced(audioOutput, 'audio output')
  if (ceiling.outputTokens === null)
    return refuse('unsupported_feature', `${neitherSaid} Name a limit, or have the model's declared.`, 'max_tokens')
  return undefined
}

const neitherSaid = 'Neither the request nor its model says how long the answer may be, and a budget needs a bound.'

const brokenSentence = (model: string) =>
  `The provider billed more for ${model} than the limits that are declared for it allow; an admin must raise them before a budget can hold it.`

const sentence = (field: string, why: string) =>
  `'${field}' ${why}, and a budget that applies here needs a bound. Leave it out, or use a key without such a budget.`

function unpriced(field: string, what: string): Refusal {
  return refuse(
    'unsupported_feature',
    `'${field}' asks for ${what}, which the price sheet has no line for, and a budget that applies here needs its price.`,
    field,
  )
}
