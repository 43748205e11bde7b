import { defaultVersion } from '../../../data-plane/codecs/anthropic-messages/request.ts'
import type { RunningProvider } from '../../../data-plane/snapshot/running.ts'
import { baseOf } from '../upstream-fetch.ts'

/** The one call that a check makes: free at every provider. */
export interface Listing {
  url: string
  headers: Record<string, string>
  /** False where nothing lists models and the call only shows that the credential is taken. */
  lists: boolean
}

/** A page of each list is asked for that holds as many models as a check tells (Anthropic and Gemini API references). */
const pageMax = 1_000

/** Where a provider lists its models; null where it has no call that costs nothing. */
export function listingOf(provider: RunningProvider): Listing | null {
  const base = baseOf(provider, provider.region)
  const headers = { accept: 'application/json', 'accept-encoding': 'identity', ...provider.headers }
  const at = (url: string, own: Record<string, string> = {}): Listing => ({
    url,
    headers: { ...own, ...headers },
    lists: true,
  })
  switch (provider.platform) {
    case 'ANTHROPIC':
      return at(`${base}/models?limit=${pageMax}`, { 'anthropic-version': defaultVersion })
    case 'GOOGLE_AI':
      return at(`${base}/models?pageSize=${pageMax}`)
    case 'AWS_BEDROCK':
      // Models are listed by the service's control plane (Amazon Bedrock API reference, ListFoundationModels).
      return at(`${base.replace(/^(https?:\/\/bedrock)-runtime\b/, '$1')}/foundation-models`)
    case 'AZURE_OPENAI': {
      const { apiVersion } = provider
      return at(`${base}/models${apiVersion === null ? '' : `?api-version=${encodeURIComponent(apiVersion)}`}`)
    }
    case 'GOOGLE_VERTEX': {
      // Vertex AI lists no models in a project; its location is there for who may use it (locations.get).
      const [location] = /^.*\/projects\/[^/]+\/locations\/[^/]+/.exec(base) ?? []
      return location ? { ...at(location), lists: false } : null
    }
    default:
      return at(`${base}/models`)
  }
}
