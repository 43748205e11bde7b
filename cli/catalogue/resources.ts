import { resourceName } from '../../schema/config/index.ts'
import { handleOf, type Kind } from '../../schema/handles.ts'
import { abilitiesOf } from './abilities.ts'
import { catalogueModels, catalogueName, catalogueOf, type PricedModel, pricedModel } from './prices.ts'
import { type Vendor, vendors } from './vendors.ts'

/** A resource as `apply` takes it: only the fields that are decided here, so that all others keep their value. */
export interface Resource {
  kind: Kind
  input: { name: string } & Record<string, unknown>
}

export interface ProviderWish {
  /** A name of `vendors`. */
  vendor: string
  /** Of the provider and its credential; absent = the vendor's. */
  name?: string
  /** Absent = the vendor's own. */
  baseUrl?: string
  /** `baseUrl` is its OpenAI-compatible endpoint, to be asked as any server of that protocol. */
  compatible?: boolean
  /** Where the provider is asked, for those that have regions. */
  region?: string
  /** Where the gateway finds the key: `env:NAME`, `file:/path`, or null = stored by `credential set`. Absent = no credential. */
  locator?: string | null
  /** The provider's names of models; absent = all of the catalogue that it serves. */
  models?: readonly { id: string; contextTokens?: number | null }[]
  /** Also whatever else it serves, under `<provider>/<model>`. */
  wildcard?: boolean
  /** Prices are those of this moment. */
  atMs: number
}

export interface Declared {
  resources: Resource[]
  /** Models that are not declared, and why. */
  left: { model: string; why: string }[]
}

/**
 * Everything a provider needs to answer: itself, its credential, models, prices and aliases named as the models are. Pure: made
 * from the offline catalogues.
 */
export function providerResources(wish: ProviderWish): Declared {
  const vendor = vendors[wish.vendor]!
  const name = wish.name ?? wish.vendor
  const { models, left } = modelsOf(vendor, wish)
  const named = models.filter(({ id }) => {
    const fits = resourceName.safeParse(id).success && !id.endsWith('*')
    if (!fits) left.push({ model: id, why: 'has a name that no alias can have' })
    return fits
  })
  return {
    resources: [
      providerOf(vendor, name, wish),
      ...(wish.locator === undefined ? [] : [credentialOf(vendor, name, wish.locator)]),
      ...named.map((model) => modelOf(vendor, name, model)),
      ...(wish.wildcard ? wildcardOf(name) : []),
      ...sheetOf(name, named),
      ...named.map(({ id }) => aliasOf(id, modelName(name, id))),
    ],
    left,
  }
}

/** Prices alone, for providers that are declared already. `models` are theirs: the provider's name of each, and its handle. */
export function priceLines(
  vendor: Vendor,
  models: readonly { id: string; handle: string }[],
  atMs: number,
): { lines: Record<string, unknown>[]; left: Declared['left'] } {
  const catalogue = vendor.prices === null ? undefined : catalogueOf(vendor.prices)
  const left: Declared['left'] = []
  const lines = models.flatMap(({ id, handle }) => {
    const priced = catalogue ? pricedModel(catalogue, id, atMs) : { unpriced: 'is not in the catalogue' }
    if (!('unpriced' in priced)) return priced.lines.map((line) => ({ model: handle, ...line, serviceTier: null }))
    left.push({ model: id, why: priced.unpriced })
    return []
  })
  return { lines, left }
}

interface Candidate extends Omit<PricedModel, 'lines'> {
  lines: PricedModel['lines']
}

function modelsOf(vendor: Vendor, { models, atMs }: ProviderWish): { models: Candidate[]; left: Declared['left'] } {
  const left: Declared['left'] = []
  // Costs nothing by declaration, so that no price is looked for.
  if (vendor.selfHosted) {
    const named = models ?? (vendor.platform === 'ECHO' ? [{ id: 'echo' }] : [])
    return {
      models: named.map(({ id, contextTokens }) => ({ id, contextTokens: contextTokens ?? null, lines: [] })),
      left,
    }
  }
  const catalogue = catalogueOf(vendor.prices!)!
  const wanted = models?.map(({ id }) => id) ?? catalogueModels(catalogue).filter(vendor.serves ?? (() => true))
  const found = wanted.flatMap((id) => {
    const priced = pricedModel(catalogue, id, atMs)
    if (!('unpriced' in priced)) return [priced]
    left.push({ model: id, why: priced.unpriced })
    return []
  })
  return { models: found, left }
}

/** Two providers may have a model of one name, so a model's own name says whose it is. */
export function modelName(provider: string, id: string): string {
  return provider === id ? id : `${provider}/${id}`
}

function providerOf(vendor: Vendor, name: string, { baseUrl, compatible, region }: ProviderWish): Resource {
  return {
    kind: 'provider',
    input: {
      name,
      platform: compatible ? 'OPENAI_COMPATIBLE' : vendor.platform,
      codecs: compatible ? ['OPENAI_CHAT'] : vendor.codecs,
      baseUrl: baseUrl ?? vendor.baseUrl,
      ...(region && { region }),
      selfHosted: vendor.selfHosted === true,
    },
  }
}

function credentialOf(vendor: Vendor, name: string, locator: string | null): Resource {
  const source = locator === null ? 'STORED' : locator.startsWith('env:') ? 'ENVIRONMENT' : 'FILE'
  const kind = vendor.credentialKind?.(locator?.replace(/^env:/, '') ?? '') ?? 'API_KEY'
  return {
    kind: 'credential',
    input: { name, provider: handleOf('provider', name), kind, source, locator },
  }
}

function modelOf(vendor: Vendor, provider: string, { id, contextTokens }: Candidate): Resource {
  const known = vendor.abilities === null ? abilitiesOf('', id) : abilitiesOf(vendor.abilities, id)
  // One catalogue rounds it down; the true context must not be larger than ours, since ceilings are reckoned with it.
  const context = Math.max(contextTokens ?? 0, known.contextTokens ?? 0) || null
  return {
    kind: 'model',
    input: {
      name: modelName(provider, id),
      provider: handleOf('provider', provider),
      upstreamName: id,
      contextTokens: context,
      maxOutputTokens: known.maxOutputTokens,
      capabilities: known.capabilities,
    },
  }
}

function aliasOf(name: string, model: string): Resource {
  return { kind: 'alias', input: { name, model: handleOf('model', model) } }
}

/** `self-hosted/anything` passes `anything` on. */
function wildcardOf(provider: string): Resource[] {
  const name = `${provider}/*`
  const input = { name, provider: handleOf('provider', provider), upstreamName: '*', capabilities: ['CHAT'] }
  return [{ kind: 'model', input }, aliasOf(name, name)]
}

function sheetOf(provider: string, models: readonly Candidate[]): Resource[] {
  const lines = models.flatMap(({ id, lines: own }) =>
    own.map((line) => ({ model: handleOf('model', modelName(provider, id)), ...line, serviceTier: null })),
  )
  if (lines.length === 0) return []
  return [{ kind: 'priceSheet', input: { name: provider, currency: 'USD', source: catalogueName, lines } }]
}

/**
 * Leaves out aliases whose name already stands for something else: adding a provider must not turn an application's traffic.
 * `existing` maps alias names to the handle of their model or route.
 */
export function withoutTakenAliases(
  resources: readonly Resource[],
  existing: ReadonlyMap<string, string | null>,
): { resources: Resource[]; taken: string[] } {
  const taken = resources
    .filter(
      ({ kind, input }) => kind === 'alias' && existing.has(input.name) && existing.get(input.name) !== input.model,
    )
    .map(({ input }) => input.name)
  const kept = resources.filter(({ kind, input }) => kind !== 'alias' || !taken.includes(input.name))
  return { resources: kept, taken }
}
