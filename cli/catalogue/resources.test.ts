import { describe, expect, it } from 'vitest'
import { declarations, resourceName } from '../../schema/config/index.ts'
import { environmentProviders } from './environment.ts'
import { catalogueName } from './prices.ts'
import { type ProviderWish, providerResources, type Resource, withoutTakenAliases } from './resources.ts'

const atMs = Date.parse('2026-11-22T00:00:00Z')
const declare = (wish: Omit<ProviderWish, 'atMs'>) => providerResources({ ...wish, atMs })
const find = (resources: Resource[], kind: string, name: string) =>
  resources.find((one) => one.kind === kind && one.input.name === name)?.input
const names = (resources: Resource[], kind: string) =>
  resources.filter((one) => one.kind === kind).map(({ input }) => input.name)

describe('what adding a provider declares', () => {
  it('is provider, credential, models, prices and an alias named as each model is', () => {
    const { resources, left } = declare({ vendor: 'openai', locator: 'env:OPENAI_API_KEY' })
    expect(left).toEqual([])
    expect(find(resources, 'provider', 'openai')).toMatchObject({
      platform: 'OPENAI',
      baseUrl: 'https://api.openai.com/v1',
    })
    expect(find(resources, 'credential', 'openai')).toMatchObject({
      source: 'ENVIRONMENT',
      locator: 'env:OPENAI_API_KEY',
    })
    expect(find(resources, 'alias', 'gpt-4o-mini')).toEqual({ name: 'gpt-4o-mini', model: 'model/openai/gpt-4o-mini' })
    expect(find(resources, 'model', 'openai/gpt-4o-mini')).toMatchObject({
      upstreamName: 'gpt-4o-mini',
      contextTokens: 128_000,
      maxOutputTokens: 16_384,
    })
    const sheet = find(resources, 'priceSheet', 'openai')!
    expect(sheet.source).toBe(catalogueName)
    expect(catalogueName).toMatch(/^@pydantic\/genai-prices \d+\.\d+\.\d+$/)
    const own = (sheet.lines as { model: string; meter: string; amount: string }[])
      .filter(({ model }) => model === 'model/openai/gpt-4o-mini')
      .map(({ meter, amount }) => [meter, amount])
    expect(own).toContainEqual(['INPUT_TOKENS', '0.15'])
    // Rounded to 0.08 in other catalogues.
    expect(own).toContainEqual(['CACHED_INPUT_TOKENS', '0.075'])
  })

  it('holds models for chats and embeddings alone, each with a price', () => {
    const { resources } = declare({ vendor: 'openai', locator: null })
    const models = names(resources, 'model')
    expect(models.filter((name) => /audio|image|whisper|codex|realtime|instruct/.test(name))).toEqual([])
    const lines = find(resources, 'priceSheet', 'openai')!.lines as { model: string }[]
    const withPrice = new Set(lines.map(({ model }) => model))
    expect(models.filter((name) => !withPrice.has(`model/${name}`))).toEqual([])
  })

  it('passes the check of everything that is declared', () => {
    const all = ['openai', 'anthropic', 'google'].map((vendor) => ({ vendor, locator: null }))
    const bedrock = { vendor: 'bedrock', locator: 'env:AWS_ACCESS_KEY_ID', region: 'us-east-1' }
    for (const wish of [...all, bedrock, { vendor: 'echo' }, selfHosted]) {
      for (const { kind, input } of declare(wish).resources) {
        const { name, labels: _, ...spec } = input as Record<string, unknown>
        expect(resourceName.safeParse(name).success).toBe(true)
        const checked = declarations[kind].spec.safeParse(spec)
        expect(checked.error?.issues ?? []).toEqual([])
        expect(declarations[kind].rules?.(checked.data as never) ?? []).toEqual([])
      }
    }
  })

  const selfHosted = {
    vendor: 'self-hosted',
    baseUrl: 'http://127.0.0.1:8000/v1',
    models: [{ id: 'gemma-3-270m', contextTokens: 32_768 }, { id: 'odd name' }],
    wildcard: true,
  }

  it('costs nothing by declaration where it is self-hosted, and names what it cannot declare', () => {
    const { resources, left } = declare(selfHosted)
    expect(find(resources, 'provider', 'self-hosted')).toMatchObject({
      selfHosted: true,
      platform: 'OPENAI_COMPATIBLE',
    })
    expect(names(resources, 'priceSheet')).toEqual([])
    expect(names(resources, 'credential')).toEqual([])
    expect(names(resources, 'alias')).toEqual(['self-hosted/*', 'gemma-3-270m'])
    expect(find(resources, 'model', 'self-hosted/*')).toMatchObject({ upstreamName: '*' })
    expect(left).toEqual([{ model: 'odd name', why: 'has a name that no alias can have' }])
  })

  it('gives a named dated model the abilities of the one it is a version of', () => {
    const { resources } = declare({ vendor: 'openai', locator: null, models: [{ id: 'gpt-4o-2024-08-06' }] })
    expect(names(resources, 'alias')).toEqual(['gpt-4o-2024-08-06'])
    expect(find(resources, 'model', 'openai/gpt-4o-2024-08-06')).toMatchObject({
      maxOutputTokens: 16_384,
      capabilities: ['CHAT', 'TOOLS', 'IMAGES'],
    })
  })

  it('leaves out, by name, a model without a price', () => {
    const { left } = declare({ vendor: 'openai', locator: null, models: [{ id: 'gpt-99' }] })
    expect(left).toEqual([{ model: 'gpt-99', why: 'is not in the catalogue' }])
  })

  it('never turns an alias that stands for something else', () => {
    const { resources } = declare({ vendor: 'echo' })
    expect(withoutTakenAliases(resources, new Map([['echo', 'route/main']])).taken).toEqual(['echo'])
    expect(withoutTakenAliases(resources, new Map([['echo', 'model/echo']])).taken).toEqual([])
  })
})

describe('providers of the environment', () => {
  it('are those whose keys are there; a key is never read, only named', () => {
    const { wishes, notes } = environmentProviders(
      { OPENAI_API_KEY: 'sk-secret', SLUICE_SELF_HOSTED_URL: 'http://127.0.0.1:8000' },
      atMs,
    )
    expect(wishes).toEqual([
      { vendor: 'openai', locator: 'env:OPENAI_API_KEY', atMs },
      { vendor: 'self-hosted', baseUrl: 'http://127.0.0.1:8000/v1', wildcard: true, atMs },
    ])
    expect(notes).toEqual([])
  })

  it('are of every vendor whose variables are there, each asked in its own protocol', () => {
    const { wishes, notes } = environmentProviders(
      {
        ...{ ANTHROPIC_API_KEY: 'x', GEMINI_API_KEY: 'y', AWS_ACCESS_KEY_ID: 'z', AWS_REGION: 'eu-west-1' },
        ...{ AZURE_OPENAI_API_KEY: 'k', AZURE_OPENAI_ENDPOINT: 'https://a.openai.azure.com/' },
        AZURE_OPENAI_DEPLOYMENT: 'gpt-4o',
      },
      atMs,
    )
    expect(notes).toEqual([])
    const declared = wishes.flatMap((wish) => providerResources(wish).resources)
    const providers = declared.flatMap(({ kind, input }) => (kind === 'provider' ? [input] : []))
    expect(
      providers.map(({ platform, codecs, baseUrl, region }) => [platform, (codecs as string[])[0], baseUrl, region]),
    ).toEqual([
      ['ANTHROPIC', 'ANTHROPIC_MESSAGES', 'https://api.anthropic.com/v1', undefined],
      ['GOOGLE_AI', 'GEMINI_GENERATE', 'https://generativelanguage.googleapis.com/v1beta', undefined],
      ['AZURE_OPENAI', 'OPENAI_CHAT', 'https://a.openai.azure.com/openai/v1', undefined],
      ['AWS_BEDROCK', 'BEDROCK_CONVERSE', null, 'eu-west-1'],
    ])
    expect(find(declared, 'credential', 'bedrock')).toMatchObject({
      kind: 'AWS_KEYS',
      locator: 'env:AWS_ACCESS_KEY_ID',
    })
    expect(names(declared, 'alias')).toEqual(
      expect.arrayContaining(['claude-sonnet-4-5', 'gemini-2.5-flash', 'gpt-4o', 'amazon.nova-lite-v1:0']),
    )
  })

  it('are the echo where there are none, with a word for each that is only half there', () => {
    const { wishes, notes } = environmentProviders({ AWS_PROFILE: 'z', AZURE_OPENAI_ENDPOINT: 'u' }, atMs)
    expect(wishes.map(({ vendor }) => vendor)).toEqual(['echo'])
    expect(notes).toEqual([expect.stringContaining('AZURE_OPENAI_DEPLOYMENT'), expect.stringContaining('AWS_PROFILE')])
  })
})
