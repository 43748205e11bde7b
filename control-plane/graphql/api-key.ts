import type { ApiKeyFacts, ApiKeyIssueInput as IssueInput, KeySecretWritten, KeyWritten } from '../domain/keys.ts'
import { apiKeyIssue, apiKeyRevoke, apiKeyRotate } from '../domain/keys.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import type { GraphContext } from './context.ts'
import { loaders, referenced, resourceOf, resourcesOf } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { mutation, payload } from './payload.ts'
import { Alias, ApiKey, Node, Principal, Project, ResourceType } from './refs.ts'

const ApiKeyState = builder.enumType('ApiKeyState', { values: ['ACTIVE', 'ROTATING', 'REVOKED', 'EXPIRED'] as const })

const unknown: ApiKeyFacts = { prefix: '', state: 'REVOKED', expiresAt: null, lastUsedAt: null }

/** What is known of a key beside its declaration. A key whose secrets are all gone works for nobody. */
const factsOf = async (ctx: GraphContext, id: string) => (await loaders(ctx).apiKeyFacts.load(id)) ?? unknown

ApiKey.implement({
  description: 'APPLICATION (slk_…) calls models; ADMIN (sla_…) calls this API.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('apiKey'),
  fields: (t) => ({
    kind: t.field({ type: configEnum('ApiKeyKind'), resolve: ({ spec }) => spec.kind }),
    principal: t.field({
      type: Principal,
      resolve: ({ spec }, _, ctx) => referenced(ctx, 'principal', spec.principal),
    }),
    project: t.field({
      type: Project,
      nullable: true,
      resolve: ({ spec }, _, ctx) => resourceOf(ctx, 'project', spec.project),
    }),
    prefix: t.string({
      description: 'First characters only; the secret is shown once, by apiKeyIssue or apiKeyRotate.',
      resolve: async ({ id }, _, ctx) => (await factsOf(ctx, id)).prefix,
    }),
    permissions: t.stringList({
      nullable: true,
      description: "Names from `permissions`. Null = what its kind and its principal's roles give.",
      resolve: ({ spec }) => spec.permissions,
    }),
    aliases: t.field({
      type: [Alias],
      nullable: true,
      description: 'Null = every alias.',
      resolve: ({ spec }, _, ctx) => (spec.aliases === null ? null : resourcesOf(ctx, 'alias', spec.aliases)),
    }),
    requestLabels: t.field({
      type: 'Labels',
      description: 'Set on every request of this key; a client cannot change them.',
      resolve: ({ spec }) => spec.requestLabels,
    }),
    allowedAddresses: t.stringList({
      description: 'Addresses and CIDR ranges; empty = anywhere.',
      resolve: ({ spec }) => spec.allowedAddresses,
    }),
    state: t.field({ type: ApiKeyState, resolve: async ({ id }, _, ctx) => (await factsOf(ctx, id)).state }),
    expiresAt: t.field({ type: 'DateTime', nullable: true, resolve: ({ spec }) => spec.expiresAt }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      resolve: async ({ id }, _, ctx) => (await factsOf(ctx, id)).lastUsedAt,
    }),
  }),
})

const ApiKeyPayload = payload<KeyWritten>('ApiKeyPayload', (t) => ({
  apiKey: t.expose('apiKey', { type: ApiKey, nullable: true }),
}))

const ApiKeySecretPayload = payload<KeySecretWritten>(
  'ApiKeySecretPayload',
  (t) => ({
    apiKey: t.expose('apiKey', { type: ApiKey, nullable: true }),
    secret: t.exposeString('secret', { nullable: true }),
    replayed: t.exposeBoolean('replayed'),
  }),
  '`secret` is null on a replay of the same idempotency key.',
)

mutation('apiKeyIssue', {
  payload: ApiKeySecretPayload,
  input: builder.inputType('ApiKeyIssueInput', {
    description:
      "`project` is needed for APPLICATION. `permissions` null = what the kind and the principal's role give.",
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      kind: t.field({ type: configEnum('ApiKeyKind'), required: true }),
      name: t.string({ required: true }),
      principal: t.field({ type: 'Ref', required: true }),
      project: t.field({ type: 'Ref' }),
      permissions: t.stringList(),
      aliases: t.field({ type: ['Ref'] }),
      requestLabels: t.field({ type: 'Labels' }),
      allowedAddresses: t.stringList(),
      expiresAt: t.field({ type: 'DateTime' }),
      labels: t.field({ type: 'Labels' }),
      reason: t.string(),
    }),
  }),
  run: (ctx, actor, input) => apiKeyIssue(ctx, actor, input as IssueInput),
})

mutation('apiKeyRotate', {
  payload: ApiKeySecretPayload,
  input: builder.inputType('ApiKeyRotateInput', {
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      apiKey: t.field({ type: 'Ref', required: true }),
      overlap: t.field({ type: 'Duration', required: true, defaultValue: 'PT1H' }),
      reason: t.string(),
    }),
  }),
  run: apiKeyRotate,
})

mutation('apiKeyRevoke', {
  payload: ApiKeyPayload,
  input: builder.inputType('ApiKeyRevokeInput', {
    fields: (t) => ({
      apiKey: t.field({ type: 'Ref', required: true }),
      reason: t.string({ required: true }),
    }),
  }),
  run: apiKeyRevoke,
})
