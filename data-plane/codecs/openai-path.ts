import type { EncodeTarget } from './codec.ts'

/**
 * Where an endpoint of OpenAI's stands below a base URL. Azure's dated API names the deployment in the path and its version in the
 * query; its `v1` API, whose base URL ends in `/openai/v1`, has neither (Azure OpenAI REST reference).
 */
export function openaiPath({ model, upstreamName }: EncodeTarget, endpoint: string): string {
  const { platform, apiVersion } = model.provider
  if (platform !== 'AZURE_OPENAI' || apiVersion === null) return endpoint
  return `/deployments/${encodeURIComponent(upstreamName)}${endpoint}?api-version=${encodeURIComponent(apiVersion)}`
}
