import type { Resource } from '../../schema/config/index.ts'
import { type CredentialWritten, credentialSet } from '../domain/credentials.ts'
import { type ProviderChecked, providerCheck } from '../domain/provider-check.ts'
import { listResources } from '../domain/resources.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { firstMax } from './connection.ts'
import { listOf } from './lists.ts'
import { loaders, read, referenced } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { mutation, payload } from './payload.ts'
import { Credential, DataPlane, Node, Provider, ResourceType } from './refs.ts'

/** How a provider is reached is configuration; that it served a request is not. */
const reached = { may: 'config:read' } as const

Provider.implement({
  description: 'An endpoint and the wire protocols it speaks.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('provider'),
  fields: (t) => ({
    platform: t.field({
      type: configEnum('Platform'),
      description: 'Where it runs: decides URL shape and signing. What it speaks is the codec.',
      resolve: ({ spec }) => spec.platform,
    }),
    codecs: t.field({
      type: [configEnum('Codec')],
      description: 'The wire protocols it speaks; one endpoint may speak several.',
      resolve: ({ spec }) => spec.codecs,
    }),
    baseUrl: t.string({
      nullable: true,
      description: 'Null for ECHO alone.',
      authScopes: reached,
      resolve: ({ spec }) => spec.baseUrl,
    }),
    region: t.string({ nullable: true, resolve: ({ spec }) => spec.region }),
    apiVersion: t.string({ nullable: true, resolve: ({ spec }) => spec.apiVersion }),
    selfHosted: t.boolean({
      description: 'Runs inside the company: private addresses are allowed.',
      resolve: ({ spec }) => spec.selfHosted,
    }),
    headers: t.field({
      type: 'Labels',
      description: 'Sent with every request. Secrets belong in a Credential.',
      authScopes: reached,
      resolve: ({ spec }) => spec.headers,
    }),
    forwardHeaders: t.stringList({
      description: "Client headers passed on when the dialect is the provider's own, e.g. anthropic-*, openai-beta.",
      authScopes: reached,
      resolve: ({ spec }) => spec.forwardHeaders,
    }),
    proxy: t.string({
      nullable: true,
      description: 'Outbound proxy, by locator (env:, file:).',
      authScopes: reached,
      resolve: ({ spec }) => spec.proxy,
    }),
    caBundle: t.string({
      nullable: true,
      description: 'Private CA, by locator (env:, file:).',
      authScopes: reached,
      resolve: ({ spec }) => spec.caBundle,
    }),
    credentials: t.field({
      type: [Credential],
      authScopes: { may: 'config:read' },
      resolve: async ({ id }, _, ctx) => {
        const query = { kinds: ['credential'] as const, where: { provider: [id] }, first: firstMax }
        const { rows } = await read(ctx, (tx, tenant) => listResources(tx, tenant, query))
        return rows as Resource<'credential'>[]
      },
    }),
    models: listOf(t, 'model', { where: ({ id }) => ({ provider: [id] }), may: () => true }),
  }),
})

Credential.implement({
  description: 'Secret material is write-only: it is never returned, only its fingerprint and version.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('credential'),
  fields: (t) => ({
    provider: t.field({ type: Provider, resolve: ({ spec }, _, ctx) => referenced(ctx, 'provider', spec.provider) }),
    kind: t.field({ type: configEnum('CredentialKind'), resolve: ({ spec }) => spec.kind }),
    source: t.field({ type: configEnum('CredentialSource'), resolve: ({ spec }) => spec.source }),
    locator: t.string({
      nullable: true,
      description: 'env:NAME or file:/path; null when stored.',
      resolve: ({ spec }) => spec.locator,
    }),
    fingerprint: t.string({
      description: 'Of the stored secret; empty while none is set.',
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).credentialFacts.load(id)).fingerprint,
    }),
    version: t.int({ resolve: async ({ id }, _, ctx) => (await loaders(ctx).credentialFacts.load(id)).version }),
    rotatedAt: t.field({
      type: 'DateTime',
      nullable: true,
      resolve: async ({ id }, _, ctx) => (await loaders(ctx).credentialFacts.load(id)).rotatedAt,
    }),
  }),
})

mutation('credentialSet', {
  payload: payload<CredentialWritten>('CredentialPayload', (t) => ({
    credential: t.expose('credential', { type: Credential, nullable: true }),
    replayed: t.exposeBoolean('replayed'),
  })),
  input: builder.inputType('CredentialSetInput', {
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      credential: t.field({ type: 'Ref', required: true }),
      secret: t.string({ required: true }),
      reason: t.string(),
    }),
  }),
  run: credentialSet,
})

mutation('providerCheck', {
  description: 'Calls the provider once with the credential, and lists its models. Costs nothing.',
  payload: payload<ProviderChecked>('ProviderCheckPayload', (t) => ({
    ok: t.exposeBoolean('ok'),
    status: t.exposeInt('status', { nullable: true, description: 'HTTP status; null where there was no answer.' }),
    latencyMs: t.exposeInt('latencyMs', { nullable: true }),
    detail: t.exposeString('detail', { nullable: true, description: 'One sentence: why it is not ok.' }),
    models: t.exposeStringList('models', { description: 'At most 1,000.' }),
    dataPlane: t.field({
      type: DataPlane,
      nullable: true,
      description: 'Whose gateway made the call.',
      resolve: ({ dataPlane }, _, ctx) => (dataPlane === null ? null : referenced(ctx, 'dataPlane', dataPlane)),
    }),
  })),
  input: builder.inputType('ProviderCheckInput', {
    fields: (t) => ({
      provider: t.field({ type: 'Ref', required: true }),
      credential: t.field({ type: 'Ref', description: "Absent = the provider's oldest, as routes take it." }),
      dataPlane: t.field({
        type: 'Ref',
        description: 'Whose gateways may make the call: some credentials are in the environment of one fleet alone.',
      }),
    }),
  }),
  run: providerCheck,
})
