import { parseAmount } from '../../schema/money.ts'
import type { Client } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'
import type { Side } from './compare.ts'
import { dayReader, intervalFor, piecesOf, windowOf } from './days.ts'
import type { KnownModel } from './names.ts'

interface ModelFields {
  handle: string
  name: string
  upstreamName: string
  provider: { name: string; platform: string }
}

interface Answer {
  spend: {
    settledThrough: string
    pending: { handle: string }[]
    currency: string
    groups: {
      key: { value: string; resource: ModelFields | null }[]
      points: {
        at: string
        cost: { amount: string }
        inputTokens: number
        cachedInputTokens: number
        outputTokens: number
      }[]
    }[]
  }
}

const modelFields = 'name upstreamName provider { name platform }'
const document = `query Recorded($window: TimeRange!, $interval: Interval!, $filter: SpendFilter) {
  spend(window: $window, interval: $interval, groupBy: [MODEL], filter: $filter, top: 1000) {
    settledThrough currency pending { handle }
    groups {
      key { value resource { ... on Model { handle ${modelFields} } } }
      points { at cost { amount } inputTokens cachedInputTokens outputTokens }
    }
  }
}`

export interface Declared {
  models: KnownModel[]
  /** Names of models by names of aliases. */
  aliases: Map<string, string>
  currency: string
}

const currencyDocument = 'query Currency { viewer { tenant { currency } } }'

/** What is declared that an invoice may name. */
export async function readDeclared(client: Client): Promise<Declared | Failed> {
  const viewer = await client.ask<{ viewer: { tenant: { currency: string } } }>(currencyDocument)
  if (isFailed(viewer)) return viewer
  const models = await listAll<ModelFields>(client, 'model', 'upstreamName provider { name platform }')
  if (isFailed(models)) return models
  const aliases = await listAll<{ model: { name: string } | null }>(client, 'alias', 'model { name }')
  if (isFailed(aliases)) return aliases
  return {
    models: models.map(knownModel),
    aliases: new Map(aliases.flatMap(({ name, model }) => (model ? [[name, model.name]] : []))),
    currency: viewer.viewer.tenant.currency,
  }
}

export const knownModel = ({ name, upstreamName, provider }: Omit<ModelFields, 'handle'>): KnownModel => ({
  ...{ name, upstreamName, provider: provider.name, platform: provider.platform },
})

/** One model's figures of one day, as the records have them. */
export interface RecordedLine extends Side {
  known: KnownModel | null
}

export interface Recorded {
  lines: RecordedLine[]
  settledThrough: string
  pending: string[]
}

/** What the records say of these days, by model. Sums are the server's; days of another time zone are put together from its hours. */
export async function readRecorded(
  client: Client,
  asked: { first: string; last: string; timeZone: string; providers: readonly string[] | null },
): Promise<Recorded | Failed> {
  const window = windowOf(asked.first, asked.last, asked.timeZone)
  const interval = intervalFor(asked.timeZone, window)
  const dayOf = dayReader(asked.timeZone)
  const filter = asked.providers && { provider: asked.providers.map((name) => `provider/${name}`) }
  const recorded: Recorded = { lines: [], settledThrough: '', pending: [] }
  for (const piece of piecesOf(window, interval)) {
    const answer = await client.ask<Answer>(document, { window: piece, interval, filter })
    if (isFailed(answer)) return answer
    const { spend } = answer
    recorded.settledThrough = spend.settledThrough
    recorded.pending = spend.pending.map(({ handle }) => handle)
    for (const { key, points } of spend.groups) {
      const { value, resource } = key[0]!
      if (value === 'other' && !resource) return tooManyModels
      const known = resource && knownModel(resource)
      for (const point of points) {
        const day = dayOf(Date.parse(point.at))
        if (day < asked.first || day > asked.last) continue
        const figures = {
          input: BigInt(point.inputTokens),
          cached: BigInt(point.cachedInputTokens),
          output: BigInt(point.outputTokens),
          cost: parseAmount(point.cost.amount)!,
        }
        recorded.lines.push({ day, model: known?.name ?? value, known, figures })
      }
    }
  }
  return recorded
}

const tooManyModels = failed('TOO_MANY_MODELS', 'More than 1,000 models were used in this time.', {
  advice: 'compare one provider at a time: --provider NAME',
})
