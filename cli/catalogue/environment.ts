import { type Environment, readSettings } from '../settings.ts'
import { withVersionPath } from './list-models.ts'
import type { ProviderWish } from './resources.ts'
import { vendors } from './vendors.ts'

/** What the environment says of providers. */
export interface Found {
  wishes: ProviderWish[]
  /** One sentence for each key of a provider that this version cannot speak to. */
  notes: string[]
}

/** Variables of which each one says that its provider is meant. */
const signs: Record<string, readonly string[]> = {
  anthropic: ['ANTHROPIC_API_KEY'],
  google: ['GEMINI_API_KEY'],
  azure: ['AZURE_OPENAI_API_KEY', 'AZURE_OPENAI_ENDPOINT'],
  bedrock: ['AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID', 'AWS_PROFILE'],
}

/**
 * The providers whose keys or addresses stand in the environment; with none, the built-in echo. Keys stay where they are: the
 * gateway reads them there. The models of a self-hosted server are listed with `listModels` before `providerResources` is asked.
 */
export function environmentProviders(env: Environment, atMs: number): Found {
  const wishes: ProviderWish[] = []
  if (env.OPENAI_API_KEY) wishes.push({ vendor: 'openai', locator: 'env:OPENAI_API_KEY', atMs })
  const read = readSettings(env)
  const url = 'settings' in read ? read.settings.selfHostedUrl : null
  if (url) wishes.push({ vendor: 'self-hosted', baseUrl: withVersionPath(url), wildcard: true, atMs })
  const notes = Object.entries(signs).flatMap(([name, variables]) => {
    const set = variables.find((variable) => env[variable])
    const { title, unbuilt } = vendors[name]!
    return set ? [`${set} is set, but ${title} cannot be used: ${unbuilt}.`] : []
  })
  if (wishes.length === 0) wishes.push({ vendor: 'echo', atMs })
  return { wishes, notes }
}
