import type { EventKind } from '../../schema/config/index.ts'
import { deliveryFaults, listDeliveries } from '../domain/webhooks/deliveries.ts'
import {
  type WebhookSecretRotateInput,
  type WebhookSecretWritten,
  webhookSecretRotate,
} from '../domain/webhooks/secrets.ts'
import { type WebhookTested, webhookTest } from '../domain/webhooks/trial.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import { loaders, read } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { mutation, payload } from './payload.ts'
import { Node, ResourceType, Webhook, WebhookDelivery } from './refs.ts'

const WebhookState = builder.enumType('WebhookState', {
  description:
    'PAUSED: declared so, or without a secret to sign with. FAILING: an attempt went wrong for the third time and nothing arrived since.',
  values: ['ACTIVE', 'PAUSED', 'FAILING'] as const,
})

const WebhookConnection = connectionOf(WebhookDelivery)

Webhook.implement({
  description: 'Where events are sent, signed as Standard Webhooks does.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('webhook'),
  fields: (t) => ({
    url: t.string({ resolve: ({ spec }) => spec.url }),
    events: t.field({
      type: [configEnum('EventKind')],
      description: 'What it is sent, beside the alerts of the rules that name it.',
      resolve: ({ spec }) => spec.events,
    }),
    paused: t.boolean({ resolve: ({ spec }) => spec.paused }),
    state: t.field({ type: WebhookState, resolve: ({ id }, _, ctx) => loaders(ctx).webhookState.load(id) }),
    deliveries: t.field({
      type: WebhookConnection,
      description: 'Newest first; kept for 30 days.',
      args: { first: t.arg.int({ defaultValue: 20 }), after: t.arg({ type: 'Cursor' }) },
      authScopes: { may: 'config:read' },
      complexity: pageCost,
      resolve: async ({ id }, args, ctx) => {
        const after = keysetAfter(args.after, 1)?.[0]
        const query = { webhook: id, first: pageSize(args), after: after === undefined ? null : String(after) }
        const { rows, hasNext } = await read(ctx, (tx, tenant) => listDeliveries(tx, tenant, query))
        return page(rows, hasNext, (row) => [row.id], args.after)
      },
    }),
  }),
})

const DeliveryFault = builder.enumType('DeliveryFault', {
  description:
    'PRIVATE_ADDRESS and PLAIN_HTTP are allowed by the operator alone (SLUICE_PRIVATE_HOSTS). GONE: the receiver answered 410, ' +
    'which ends the delivery.',
  values: deliveryFaults,
})

WebhookDelivery.implement({
  description: 'One event to one webhook. Its id is the webhook-id header, the same at each attempt.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'webhook' in value && 'delivered' in value,
  fields: (t) => ({
    id: t.exposeID('id'),
    event: t.field({ type: configEnum('EventKind'), resolve: ({ event }) => event }),
    at: t.expose('at', { type: 'DateTime' }),
    attempts: t.exposeInt('attempts'),
    status: t.exposeInt('status', { nullable: true, description: 'HTTP status of the last answer.' }),
    delivered: t.exposeBoolean('delivered'),
    fault: t.expose('fault', {
      type: DeliveryFault,
      nullable: true,
      description: 'Why the last attempt did not deliver it.',
    }),
    nextAt: t.expose('nextAt', { type: 'DateTime', nullable: true, description: 'Null: it is over, well or not.' }),
  }),
})

mutation('webhookTest', {
  description: 'Sends one event that says it is a test. The answer does not wait for it: ask for the delivery again.',
  payload: payload<WebhookTested>('WebhookTestPayload', (t) => ({
    delivery: t.expose('delivery', { type: WebhookDelivery, nullable: true }),
    replayed: t.exposeBoolean('replayed'),
  })),
  input: builder.inputType('WebhookTestInput', {
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      webhook: t.field({ type: 'Ref', required: true }),
      event: t.field({ type: configEnum('EventKind'), required: true }),
    }),
  }),
  run: (ctx, actor, input) => webhookTest(ctx, actor, { ...input, event: input.event as EventKind }),
})

mutation('webhookSecretRotate', {
  description:
    'Makes the secret that deliveries are signed with. For `overlap` they carry the signature of the one before, too.',
  payload: payload<WebhookSecretWritten>(
    'WebhookSecretPayload',
    (t) => ({
      webhook: t.expose('webhook', { type: Webhook, nullable: true }),
      secret: t.exposeString('secret', { nullable: true }),
      replayed: t.exposeBoolean('replayed'),
    }),
    '`secret` (whsec_…) is shown once: null on a replay of the same idempotency key.',
  ),
  input: builder.inputType('WebhookSecretRotateInput', {
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      webhook: t.field({ type: 'Ref', required: true }),
      overlap: t.field({ type: 'Duration', required: true, defaultValue: 'PT1H' }),
      reason: t.string(),
    }),
  }),
  run: (ctx, actor, input) => webhookSecretRotate(ctx, actor, input as WebhookSecretRotateInput),
})
