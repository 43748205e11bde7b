import { idKind } from '../ids.ts'
import { parseAmount } from '../money.ts'
import { declare, type RuleIssue } from './declaration.ts'
import { decimal, flag, list, oneOf, ref, scope, z } from './fields.ts'

/** What a tenant's stream of events tells of. The last two are of the stream itself and go to no webhook. */
export const eventKinds = [
  'CONFIG_CHANGED',
  'BUDGET_CHANGED',
  'DATA_PLANE_CHANGED',
  'ALERT_RAISED',
  'ALERT_RESOLVED',
  'STREAM_RESET',
  'HEARTBEAT',
] as const
export type EventKind = (typeof eventKinds)[number]

const ofTheStream: ReadonlySet<EventKind> = new Set(['STREAM_RESET', 'HEARTBEAT'])

/** True where a webhook can be sent such an event. */
export const isSent = (kind: EventKind): boolean => !ofTheStream.has(kind)

const webhookUrl = () =>
  z
    .string()
    .max(2_000)
    .transform((value, context) => {
      const url = URL.parse(value)
      const plain = url && (url.protocol === 'https:' || url.protocol === 'http:')
      if (plain && !url.username && !url.password && !url.hash) return url.href
      const message = 'must be an https:// URL without user name, password and fragment'
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
    .meta({ graphql: 'String' })

export const webhook = declare({
  kind: 'webhook',
  description:
    'Where events are sent, signed as Standard Webhooks does. Nothing is sent before webhookSecretRotate has made its secret.',
  spec: z.strictObject({
    url: webhookUrl().meta({
      description:
        'https, at a public address. The operator lets a host be reached by http or at a private address with SLUICE_PRIVATE_HOSTS.',
    }),
    events: list(oneOf('EventKind', eventKinds), 20)
      .default([])
      .meta({ description: 'What it is sent, beside the alerts of the rules that name it.' }),
    paused: flag()
      .default(false)
      .meta({ description: 'While true nothing is sent, and what happens is not kept for it.' }),
  }),
  rules: ({ events }) =>
    events.flatMap((kind, index) =>
      isSent(kind) ? [] : [{ path: ['events', index], message: `${kind} is of the stream itself and is not sent` }],
    ),
})

export const severities = ['INFO', 'WARNING', 'CRITICAL'] as const
export type Severity = (typeof severities)[number]

interface Trigger {
  /** What `threshold` means; null = the trigger takes none. */
  threshold: { unit: string; fallback: string | null; least: string; most: string } | null
  /** Of the whole tenant only: what it tells of belongs to no team or model. */
  tenantOnly?: true
  /** It can be asked of these scopes alone. */
  scopes?: readonly string[]
}

const percent = (fallback: string | null, most: string) => ({ unit: 'percent', fallback, least: '0.01', most })

/** What a rule may look for, and what its threshold means there. */
export const alertTriggers = {
  BUDGET_THRESHOLD: { threshold: percent(null, '1000') },
  BUDGET_EXHAUSTED: { threshold: null },
  BURN_RATE: { threshold: { unit: 'times', fallback: '10', least: '1', most: '1000000' } },
  BUDGET_FORECAST: { threshold: percent('100', '100000') },
  ERROR_RATE: { threshold: percent('10', '100') },
  DATA_PLANE_BEHIND: { threshold: { unit: 'minutes', fallback: '5', least: '1', most: '525600' }, tenantOnly: true },
  RECORDS_QUARANTINED: { threshold: null, tenantOnly: true },
  LEDGER_INCIDENT: { threshold: null, tenantOnly: true },
  API_KEY_EXPIRING: {
    threshold: { unit: 'days', fallback: '7', least: '0.01', most: '3650' },
    scopes: ['tenant', 'team', 'project', 'principal', 'apiKey'],
  },
} as const satisfies Record<string, Trigger>

export type AlertTrigger = keyof typeof alertTriggers
export const alertTriggerNames = Object.keys(alertTriggers) as [AlertTrigger, ...AlertTrigger[]]

/** Of budgets: such a rule covers every budget attached to its scope or below it. */
export const budgetTriggers: ReadonlySet<AlertTrigger> = new Set([
  'BUDGET_THRESHOLD',
  'BUDGET_EXHAUSTED',
  'BURN_RATE',
  'BUDGET_FORECAST',
])

/** Told with or without a rule; a rule says who else hears of it. */
export const incidentTriggers = ['RECORDS_QUARANTINED', 'LEDGER_INCIDENT'] as const satisfies AlertTrigger[]
export type IncidentTrigger = (typeof incidentTriggers)[number]

export const alertRule = declare({
  kind: 'alertRule',
  description: 'What somebody is to be told of.',
  spec: z.strictObject({
    scope: scope(),
    on: oneOf('AlertTrigger', alertTriggerNames),
    threshold: decimal()
      .nullable()
      .default(null)
      .meta({
        description:
          "BUDGET_THRESHOLD: percent spent of limit and adjustments (null = the budget's own thresholds). BURN_RATE: how many times " +
          'faster than what is left lasts (null = 10). BUDGET_FORECAST: percent of the limit at the end of the window (null = 100). ' +
          'ERROR_RATE: percent of requests that failed (null = 10). DATA_PLANE_BEHIND: minutes (null = 5). API_KEY_EXPIRING: days ' +
          'before (null = 7). The others take none.',
      }),
    severity: oneOf('Severity', severities).default('WARNING'),
    webhooks: list(ref('webhook'), 20).default([]),
  }),
  rules: ({ on, threshold, scope }) => [...thresholdIssues(on, threshold), ...scopeIssues(on, scope)],
})

function thresholdIssues(on: AlertTrigger, given: string | null): RuleIssue[] {
  if (given === null) return []
  const { threshold } = alertTriggers[on] as Trigger
  const path = ['threshold']
  if (!threshold) return [{ path, message: `${on} takes none; leave it out` }]
  const { unit, least, most } = threshold
  const value = parseAmount(given)!
  if (value >= parseAmount(least)! && value <= parseAmount(most)!) return []
  return [{ path, message: `is from ${least} to ${most} (${unit}) for ${on}` }]
}

function scopeIssues(on: AlertTrigger, scope: string): RuleIssue[] {
  const { tenantOnly, scopes } = alertTriggers[on] as Trigger
  const kind = idKind(scope) ?? 'label'
  const path = ['scope']
  if (tenantOnly && kind !== 'tenant') return [{ path, message: `${on} is of the whole tenant: give the tenant` }]
  if (scopes && !scopes.includes(kind)) return [{ path, message: `${on} is asked of ${scopes.join(', ')}` }]
  return []
}
