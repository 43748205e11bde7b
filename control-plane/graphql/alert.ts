import { type AlertWritten, alertAcknowledge, listAlerts } from '../domain/alerts/alerts.ts'
import { Actor } from './audit.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import { read, resourceOf, resourcesOf, visibleResource } from './loaders.ts'
import { ofKind } from './organisation.ts'
import { mutation, payload } from './payload.ts'
import { Scope } from './policy.ts'
import { AlertRule, AlertType, Node, ResourceType, Webhook } from './refs.ts'

AlertRule.implement({
  description: 'What somebody is to be told of.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('alertRule'),
  fields: (t) => ({
    scope: t.field({
      type: Scope,
      description: 'A rule on budgets covers every budget attached to this scope or below it.',
      resolve: ({ spec }) => ({ stored: spec.scope }),
    }),
    on: t.field({ type: configEnum('AlertTrigger'), resolve: ({ spec }) => spec.on }),
    threshold: t.field({ type: 'Decimal', nullable: true, resolve: ({ spec }) => spec.threshold }),
    severity: t.field({ type: configEnum('Severity'), resolve: ({ spec }) => spec.severity }),
    webhooks: t.field({
      type: [Webhook],
      description: 'They are sent its alerts, whatever else they ask for.',
      resolve: ({ spec }, _, ctx) => resourcesOf(ctx, 'webhook', spec.webhooks),
    }),
  }),
})

AlertType.implement({
  description:
    'What happened that somebody is to know. A quarantined chain and an incident of the ledger are told without a rule.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'trigger' in value,
  fields: (t) => ({
    id: t.exposeID('id'),
    rule: t.field({
      type: AlertRule,
      nullable: true,
      resolve: ({ rule }, _, ctx) => resourceOf(ctx, 'alertRule', rule),
    }),
    trigger: t.field({ type: configEnum('AlertTrigger'), resolve: ({ trigger }) => trigger }),
    severity: t.field({ type: configEnum('Severity'), resolve: ({ severity }) => severity }),
    at: t.expose('at', { type: 'DateTime' }),
    summary: t.exposeString('summary'),
    figures: t.expose('figures', { type: 'Labels', description: 'What it was judged from, such as spent and limit.' }),
    subject: t.field({
      type: ResourceType,
      nullable: true,
      resolve: ({ subject }, _, ctx) => visibleResource(ctx, subject),
    }),
    resolvedAt: t.expose('resolvedAt', { type: 'DateTime', nullable: true }),
    acknowledgedAt: t.expose('acknowledgedAt', { type: 'DateTime', nullable: true }),
    acknowledgedBy: t.expose('acknowledgedBy', { type: Actor, nullable: true }),
  }),
})

builder.queryField('alerts', (t) =>
  t.field({
    type: connectionOf(AlertType),
    description: 'Newest first. `open`: true = those that are not over, false = those that are.',
    args: {
      open: t.arg.boolean(),
      first: t.arg.int({ defaultValue: 50 }),
      after: t.arg({ type: 'Cursor' }),
    },
    authScopes: { may: 'event:read' },
    complexity: pageCost,
    resolve: async (_, args, ctx) => {
      const after = keysetAfter(args.after, 1)?.[0]
      const query = { open: args.open, first: pageSize(args), after: after === undefined ? null : String(after) }
      const { rows, hasNext } = await read(ctx, (tx, tenant) => listAlerts(tx, tenant, query))
      return page(rows, hasNext, (row) => [row.id], args.after)
    },
  }),
)

mutation('alertAcknowledge', {
  description: 'Says that somebody takes care of it. Who was first stays.',
  payload: payload<AlertWritten>('AlertPayload', (t) => ({
    alert: t.expose('alert', { type: AlertType, nullable: true }),
  })),
  input: builder.inputType('AlertAcknowledgeInput', {
    fields: (t) => ({ alert: t.id({ required: true }), note: t.string() }),
  }),
  run: alertAcknowledge,
})
