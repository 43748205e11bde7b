import { describe, expect, it } from 'vitest'
import type { RunningProvider } from '../../../data-plane/snapshot/running.ts'
import { listingOf } from './listing.ts'

const urlOf = (provider: Partial<RunningProvider>) =>
  listingOf({ headers: {}, region: null, apiVersion: null, baseUrl: null, ...provider } as RunningProvider)?.url

describe('where models are listed', () => {
  it.each([
    [{ platform: 'OPENAI', baseUrl: 'https://api.openai.com/v1/' }, 'https://api.openai.com/v1/models'],
    [
      { platform: 'AWS_BEDROCK', region: 'eu-central-1' },
      'https://bedrock.eu-central-1.amazonaws.com/foundation-models',
    ],
    [
      { platform: 'AWS_BEDROCK', baseUrl: 'https://bedrock-runtime-fips.us-east-1.amazonaws.com' },
      'https://bedrock-fips.us-east-1.amazonaws.com/foundation-models',
    ],
    [
      { platform: 'AZURE_OPENAI', baseUrl: 'https://x.openai.azure.com/openai/v1' },
      'https://x.openai.azure.com/openai/v1/models',
    ],
    [
      { platform: 'GOOGLE_VERTEX', baseUrl: 'https://eu.example/v1/projects/p/locations/eu/publishers/google' },
      'https://eu.example/v1/projects/p/locations/eu',
    ],
    [{ platform: 'GOOGLE_VERTEX', baseUrl: 'https://aiplatform.example/v1/publishers/google' }, undefined],
  ] as const)('for %o', (provider, url) => {
    expect(urlOf(provider)).toBe(url)
  })

  it('what a provider declares stands over what its protocol says', () => {
    const provider = {
      platform: 'ANTHROPIC',
      baseUrl: 'https://a.example/v1',
      headers: { 'anthropic-version': '2030-01-01' },
    }
    expect(listingOf(provider as never)!.headers['anthropic-version']).toBe('2030-01-01')
  })
})
