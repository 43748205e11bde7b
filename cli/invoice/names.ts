/** A declared model, as far as an invoice may name it. */
export interface KnownModel {
  /** `openai/gpt-4o` */
  name: string
  upstreamName: string
  provider: string
  platform: string
}

/** What an invoice's name stands for: models that the provider cannot tell apart; or several providers', or nothing. */
export type Named = { upstreamName: string; provider: string } | { ambiguous: string[] } | undefined

/**
 * Finds the declared models that a provider's name of one means. Invoices write `Claude Haiku 4.5`, `gpt 4o 0806`, `Claude3Sonnet`
 * for what the API calls `claude-haiku-4-5-20251001`: so beside the name itself its letters and digits are compared, at last
 * without a date. What is told (`--map`) goes first.
 */
export class ModelNames {
  readonly #told: ReadonlyMap<string, string>
  readonly #tiers: Map<string, KnownModel[]>[]
  readonly #wildcards: KnownModel[]

  constructor(models: readonly KnownModel[], aliases: ReadonlyMap<string, string>, told: ReadonlyMap<string, string>) {
    this.#told = told
    const byName = new Map(models.map((model) => [model.name, model]))
    const aliased = [...aliases].flatMap(([alias, name]) => {
      const model = byName.get(name)
      return model ? [[alias, model] as const] : []
    })
    const names = [...models.flatMap((model) => namesOf(model).map((name) => [name, model] as const)), ...aliased]
    this.#tiers = [exactly, letters, undated].map((form) => {
      const found = new Map<string, KnownModel[]>()
      for (const [name, model] of names) {
        const list = found.get(form(name)) ?? []
        found.set(form(name), list.includes(model) ? list : [...list, model])
      }
      return found
    })
    this.#wildcards = models.filter(({ upstreamName }) => upstreamName.endsWith('*'))
  }

  find(invoiceName: string): Named {
    const name = this.#told.get(invoiceName) ?? invoiceName
    const [exact, ...others] = this.#tiers
    const found =
      exact!.get(exactly(name)) ??
      this.#byPrefix(name) ??
      others.map((tier, at) => tier.get([letters, undated][at]!(name))).find((models) => models !== undefined)
    if (!found) return undefined
    const places = new Map(
      found.map(({ upstreamName, provider }) => [`${provider} ${upstreamName}`, { upstreamName, provider }]),
    )
    return places.size === 1 ? [...places.values()][0] : { ambiguous: found.map((model) => model.name) }
  }

  /** The longest `…*` that begins the name. */
  #byPrefix(name: string): KnownModel[] | undefined {
    const fitting = this.#wildcards.filter(({ upstreamName }) => name.startsWith(upstreamName.slice(0, -1)))
    const longest = Math.max(...fitting.map(({ upstreamName }) => upstreamName.length))
    return fitting.length > 0 ? fitting.filter(({ upstreamName }) => upstreamName.length === longest) : undefined
  }
}

const namesOf = ({ name, upstreamName }: KnownModel) => [
  upstreamName,
  withoutVendor(upstreamName),
  name,
  name.slice(name.indexOf('/') + 1),
]

/** `us.anthropic.claude-3-sonnet-20240229-v1:0`, `models/gemini-2.5-pro`: what stands before the model's own name. */
const withoutVendor = (name: string) => name.replace(/^.*\//, '').replace(/^(?:[a-z]+\.)+(?=[a-z])/, '')

const exactly = (name: string) => name.toLowerCase()

/** Letters in any order, digits in theirs: `Claude 3.5 Sonnet` is `claude-3-5-sonnet`. */
function letters(name: string): string {
  const bare = withoutVendor(name.toLowerCase()).replace(/[-:@ ]v\d+(?::\d+)?$/, '')
  return [...(bare.match(/[a-z]+/g) ?? []).sort(), (bare.match(/\d/g) ?? []).join('')].join(' ')
}

/** Without `-20240229`, `-2024-08-06`, `@001`, ` 0806` or `-latest` at its end. */
const undated = (name: string) =>
  letters(
    withoutVendor(name.toLowerCase())
      .replace(/[-:@ ]v\d+(?::\d+)?$/, '')
      .replace(/(?:[-@ ]?20\d{2}-?\d{2}-?\d{2}|[-@ ]?(?<!\d)[01]\d[0-3]\d|@\d{3}|-latest)$/, ''),
  )
