import { declare } from './declaration.ts'
import { dateTime, flag, headers, input, int, list, oneOf, ref, region, text, z } from './fields.ts'
import { dataClass } from './organisation.ts'

export const platforms = [
  'OPENAI',
  'AZURE_OPENAI',
  'ANTHROPIC',
  'AWS_BEDROCK',
  'GOOGLE_AI',
  'GOOGLE_VERTEX',
  'OPENAI_COMPATIBLE',
  'ECHO',
] as const
export type Platform = (typeof platforms)[number]

export const codecs = [
  'OPENAI_CHAT',
  'OPENAI_RESPONSES',
  'OPENAI_COMPLETIONS',
  'OPENAI_EMBEDDINGS',
  'ANTHROPIC_MESSAGES',
  'GEMINI_GENERATE',
  'BEDROCK_CONVERSE',
] as const
export type Codec = (typeof codecs)[number]

const locator = () =>
  z
    .string()
    .max(1_000)
    .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/, 'must be env:NAME or file:/path')
    .meta({ graphql: 'String' })

const baseUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(2_000)
  .refine((value) => {
    const url = URL.parse(value)
    return url !== null && !url.username && !url.password && !url.search && !url.hash
  }, 'must hold no user, query or fragment; secrets belong in a credential')
  .meta({ graphql: 'String' })

/** Headers that the gateway sets itself, or that would change where a request goes or how it is framed. */
const ownHeaders = new Set([
  'authorization',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'proxy-authorization',
  'cookie',
  'host',
  'content-length',
  'connection',
  'transfer-encoding',
  'upgrade',
  'te',
  'trailer',
  'expect',
  'keep-alive',
  'accept-encoding',
  'content-type',
  'content-encoding',
])

export const provider = declare({
  kind: 'provider',
  description: 'An endpoint and the wire protocols it speaks.',
  spec: z.strictObject({
    platform: oneOf('Platform', platforms),
    codecs: list(oneOf('Codec', codecs), codecs.length).default(['OPENAI_CHAT']),
    baseUrl: baseUrl.nullable().default(null),
    region: region().nullable().default(null),
    apiVersion: text(100).nullable().default(null),
    selfHosted: flag().default(false),
    headers: headers().default({}),
    forwardHeaders: list(
      z
        .string()
        .max(100)
        .regex(/^[a-z0-9-]+\*?$/, 'header names are lower case and may end in *')
        .meta({ graphql: 'String' }),
      100,
    ).default([]),
    proxy: locator().nullable().default(null),
    caBundle: locator().nullable().default(null),
  }),
  rules: (spec) => [
    ...(!spec.baseUrl && !(spec.platform === 'ECHO' || spec.platform === 'AWS_BEDROCK')
      ? [{ path: ['baseUrl'], message: `a ${spec.platform} provider needs a baseUrl` }]
      : []),
    ...Object.keys(spec.headers)
      .filter((name) => ownHeaders.has(name))
      .map((name) => ({ path: ['headers', name], message: 'is set by the gateway; a secret belongs in a credential' })),
    ...spec.forwardHeaders.flatMap((name, index) =>
      [...ownHeaders].some((own) => own === name || (name.endsWith('*') && own.startsWith(name.slice(0, -1))))
        ? [{ path: ['forwardHeaders', index], message: 'would pass on a header that the gateway sets itself' }]
        : [],
    ),
  ],
})

export const credentialKinds = [
  'API_KEY',
  'BEARER',
  'AWS_KEYS',
  'AWS_WEB_IDENTITY',
  'AZURE_ENTRA',
  'GCP_SERVICE_ACCOUNT',
  'NONE',
] as const

/** Kinds of credentials that a platform can hand to the gateway itself. */
const workloadKinds = new Set(['AWS_KEYS', 'AWS_WEB_IDENTITY', 'AZURE_ENTRA', 'GCP_SERVICE_ACCOUNT'])

export const credential = declare({
  kind: 'credential',
  description: 'How the gateway proves itself to a provider. The secret is set by credentialSet and never returned.',
  spec: z.strictObject({
    provider: ref('provider'),
    kind: oneOf('CredentialKind', credentialKinds).default('API_KEY'),
    source: oneOf('CredentialSource', ['STORED', 'ENVIRONMENT', 'FILE', 'WORKLOAD_IDENTITY']).default('STORED'),
    locator: locator().nullable().default(null),
  }),
  rules: (spec) => {
    const wanted = { ENVIRONMENT: 'env:', FILE: 'file:' }[spec.source as string]
    if (wanted && !spec.locator?.startsWith(wanted))
      return [{ path: ['locator'], message: `source ${spec.source} needs a locator that begins with ${wanted}` }]
    if (spec.source === 'WORKLOAD_IDENTITY' && !workloadKinds.has(spec.kind))
      return [{ path: ['source'], message: `a credential of kind ${spec.kind} has no workload identity` }]
    if (!wanted && spec.locator) return [{ path: ['locator'], message: `source ${spec.source} has no locator` }]
    return []
  },
})

/** Upper bounds on input tokens for what the length of the text does not tell. */
const inputBounds = input('InputBoundsInput', {
  tokensPerMessage: int(0, 100_000).default(16),
  tokensPerTool: int(0, 100_000).default(64),
  tokensPerImage: int(0, 10_000_000).nullable().default(null),
  tokensPerPage: int(0, 10_000_000).nullable().default(null),
  tokensPerAudioSecond: int(0, 1_000_000).nullable().default(null),
})

const tokens = () => int(1, 100_000_000).nullable().default(null)

export const model = declare({
  kind: 'model',
  description: 'A model of a provider. A name ending in * stands for every model of the provider with that prefix.',
  spec: z.strictObject({
    provider: ref('provider'),
    upstreamName: z
      .string()
      .min(1)
      .max(300)
      .regex(/^[^\s\p{Cc}\\]+$/u, 'must hold no spaces')
      .meta({ graphql: 'String' }),
    region: region().nullable().default(null),
    tier: ref('tier').nullable().default(null),
    contextTokens: tokens(),
    maxOutputTokens: tokens(),
    defaultOutputTokens: tokens(),
    bounds: inputBounds.default({
      tokensPerMessage: 16,
      tokensPerTool: 64,
      tokensPerImage: null,
      tokensPerPage: null,
      tokensPerAudioSecond: null,
    }),
    capabilities: list(
      oneOf('Capability', ['CHAT', 'EMBEDDINGS', 'TOOLS', 'IMAGES', 'FILES', 'AUDIO', 'JSON_SCHEMA', 'REASONING']),
      8,
    ).default(['CHAT']),
    maxDataClass: dataClass().default('RESTRICTED'),
  }),
  rules: (spec) =>
    spec.defaultOutputTokens && spec.maxOutputTokens && spec.defaultOutputTokens > spec.maxOutputTokens
      ? [{ path: ['defaultOutputTokens'], message: 'is larger than maxOutputTokens' }]
      : [],
})

export const tier = declare({
  kind: 'tier',
  description:
    'A class of models that may stand in for one another. A higher rank is the more capable, and dearer, class.',
  spec: z.strictObject({ rank: int(0, 1_000_000).default(0) }),
})

const deprecation = input('AliasDeprecationInput', {
  since: dateTime(),
  removeAfter: dateTime().nullable().default(null),
  use: ref('alias').nullable().default(null),
})

export const alias = declare({
  kind: 'alias',
  description: 'The model name applications ask for. A name ending in * matches by prefix; the longest wins.',
  spec: z.strictObject({
    route: ref('route').nullable().default(null),
    model: ref('model').nullable().default(null),
    allowLossy: flag().default(false),
    deprecation: deprecation.nullable().default(null),
  }),
  rules: (spec) =>
    (spec.route === null) === (spec.model === null)
      ? [{ path: ['model'], message: 'exactly one of route and model is declared' }]
      : [],
})
