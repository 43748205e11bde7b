import {
  calcPrice,
  findProvider,
  type MatchLogic,
  type ModelInfo,
  type Provider,
  type TieredPrices,
} from '@pydantic/genai-prices'
import packageJson from '../../package.json' with { type: 'json' }
import type { Meter } from '../../schema/config/index.ts'
import { decimalText } from './decimal.ts'

/** One line of a price sheet, without the model it is for. */
export interface CatalogueLine {
  meter: Meter
  /** Exact decimal in US dollars. */
  amount: string
  per: number
  aboveInputTokens: number | null
}

export interface PricedModel {
  /** As the provider calls it. */
  id: string
  contextTokens: number | null
  lines: CatalogueLine[]
}

const packageName = '@pydantic/genai-prices'

/** Name and version, kept on every sheet that is made from it. */
export const catalogueName = `${packageName} ${packageJson.dependencies[packageName]}`

const million = 1_000_000
const thousand = 1_000

/** The catalogue's units that a meter of ours counts. */
const meters: Record<string, readonly [Meter, number]> = {
  input_mtok: ['INPUT_TOKENS', million],
  cache_read_mtok: ['CACHED_INPUT_TOKENS', million],
  cache_write_mtok: ['CACHE_WRITE_TOKENS', million],
  cache_write_1h_mtok: ['CACHE_WRITE_1H_TOKENS', million],
  output_mtok: ['OUTPUT_TOKENS', million],
  input_audio_mtok: ['AUDIO_INPUT_TOKENS', million],
  cache_audio_read_mtok: ['CACHED_AUDIO_INPUT_TOKENS', million],
  output_audio_mtok: ['AUDIO_OUTPUT_TOKENS', million],
  web_searches_kcount: ['SERVER_TOOL_CALLS', thousand],
  requests_kcount: ['REQUESTS', thousand],
}

/** Units beside the tokens of a chat that a chat may leave unused; of other models, such as those that speak, we know no price. */
const optional = new Set(['storage_searches_kcount'])

/** The catalogue's providers are found by its own ids. */
export function catalogueOf(id: string): Provider | undefined {
  return findProvider({ providerId: id })
}

/** The prices of a model on a day; a sentence where the catalogue does not know one that our meters can express. */
export function pricedModel(provider: Provider, id: string, atMs: number): PricedModel | { unpriced: string } {
  const found = calcPrice({ input_tokens: 1 }, id, { provider, timestamp: new Date(atMs) })
  if (!found) return { unpriced: 'is not in the catalogue' }
  const { model, model_price: prices } = found
  if (variesByHour(model)) return { unpriced: 'has a price that changes with the hour of the day' }
  const units = Object.entries(prices).filter(([, price]) => price !== undefined)
  const foreign = units.find(([unit]) => !meters[unit] && !optional.has(unit))
  if (foreign) return { unpriced: `is also charged by ${foreign[0]}` }
  if (prices.input_mtok === undefined || (prices.output_mtok === undefined && !embeds(id)))
    return { unpriced: 'has no price per token' }
  const lines = units.flatMap(([unit, price]) => linesOf(unit, price!))
  return { id, contextTokens: model.context_window ?? null, lines }
}

/** Embeddings have no output to pay for. */
export const embeds = (model: string) => /embed/.test(model)

/** Every model of the provider that the catalogue names, with the dated versions that it says cost the same. */
export function catalogueModels(provider: Provider): string[] {
  const names = provider.models
    .filter(({ deprecated }) => !deprecated)
    .flatMap(({ id, match }) => [id, ...exactNames(match).filter((name) => name.startsWith(id) && dated.test(name))])
  return [...new Set(names)]
}

/** `gpt-4o-2024-08-06`: what applications ask for that want no surprises. */
export const dated = /-\d{4}-\d{2}-\d{2}$/

function exactNames(match: MatchLogic): string[] {
  if ('equals' in match) return [match.equals]
  return 'or' in match ? match.or.flatMap(exactNames) : []
}

function variesByHour({ prices }: ModelInfo): boolean {
  return Array.isArray(prices) && prices.some(({ constraint }) => constraint?.type === 'time_of_date')
}

function linesOf(unit: string, price: number | TieredPrices): CatalogueLine[] {
  const known = meters[unit]
  if (!known) return []
  const [meter, per] = known
  const line = (amount: number, aboveInputTokens: number | null): CatalogueLine => ({
    meter,
    amount: decimalText(amount),
    per,
    aboveInputTokens,
  })
  if (typeof price === 'number') return [line(price, null)]
  // Both here and there, all tokens of a request cost what its number of input tokens says, from `start + 1` on.
  return [line(price.base, null), ...price.tiers.map(({ start, price: amount }) => line(amount, start))]
}
