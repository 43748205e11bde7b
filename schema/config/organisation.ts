import { declare, type RuleIssue } from './declaration.ts'
import { currency, dateTime, duration, input, labels, list, oneOf, ref, text, z } from './fields.ts'
import { labelIssues, requestLabel } from './labels.ts'

const day = 86_400_000

export const roles = ['OWNER', 'ADMIN', 'AUDITOR', 'MEMBER', 'VIEWER'] as const
export type Role = (typeof roles)[number]

const membership = input('MembershipInput', { principal: ref('principal'), role: oneOf('Role', roles) })

const members = () => list(membership, 10_000).default([])

const eachPrincipalOnce = (spec: { members: { principal: string }[] }): RuleIssue[] => {
  const seen = new Set<string>()
  return spec.members.flatMap(({ principal }, index) => {
    if (!seen.has(principal)) return seen.add(principal) && []
    return [{ path: ['members', index, 'principal'], message: 'is listed twice; a principal has one role per scope' }]
  })
}

export const tenant = declare({
  kind: 'tenant',
  description: 'A company or installation-wide customer; everything else belongs to one.',
  spec: z.strictObject({
    currency: currency().default('USD'),
    maxStaleness: duration(60_000, 90 * day).default('P1D'),
    members: members(),
    requestLabels: list(requestLabel, 64).default([]),
  }),
  fixed: ['currency'],
  rules: (spec) => [...eachPrincipalOnce(spec), ...labelIssues(spec.requestLabels)],
})

export const team = declare({
  kind: 'team',
  description: 'People who share projects and a cost centre.',
  spec: z.strictObject({ costCenter: text(200).nullable().default(null), members: members() }),
  rules: eachPrincipalOnce,
})

const dataClasses = ['PUBLIC', 'INTERNAL', 'CONFIDENTIAL', 'RESTRICTED'] as const
export type DataClass = (typeof dataClasses)[number]
export const dataClass = () => oneOf('DataClass', dataClasses)

/** Retention of SOC 2, HIPAA and the EU AI Act; `CUSTOM` needs both durations. */
const retention = input('RetentionInput', {
  preset: oneOf('RetentionPreset', ['SOC2', 'HIPAA', 'EU_AI_ACT', 'CUSTOM']),
  records: duration(day, 36_500 * day)
    .nullable()
    .default(null),
  payloads: duration(0, 36_500 * day)
    .nullable()
    .default(null),
})

export const project = declare({
  kind: 'project',
  description: 'A use case: the unit that is approved, budgeted and audited.',
  spec: z.strictObject({
    team: ref('team'),
    owner: ref('principal').nullable().default(null),
    purpose: text().nullable().default(null),
    riskClass: oneOf('RiskClass', ['MINIMAL', 'LIMITED', 'HIGH', 'PROHIBITED']).nullable().default(null),
    dataClass: dataClass().default('INTERNAL'),
    retention: retention.default({ preset: 'SOC2', records: null, payloads: null }),
    members: members(),
  }),
  rules: (spec) => [
    ...eachPrincipalOnce(spec),
    ...(spec.retention.preset === 'CUSTOM' && !(spec.retention.records && spec.retention.payloads)
      ? [{ path: ['retention'], message: 'a CUSTOM retention needs both records and payloads' }]
      : []),
  ],
})

const identity = input('IdentityInput', { issuer: text(500), subject: text(500) })

export const principal = declare({
  kind: 'principal',
  description: 'Whoever or whatever acts: a person or a service.',
  spec: z.strictObject({
    kind: oneOf('PrincipalKind', ['PERSON', 'SERVICE']).default('SERVICE'),
    identities: list(identity, 32).default([]),
  }),
})

const addressRange = z
  .union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], 'must be an address or a CIDR range')
  .meta({ graphql: 'String' })

export const apiKey = declare({
  kind: 'apiKey',
  description: 'APPLICATION (slk_…) calls models; ADMIN (sla_…) calls the GraphQL API.',
  spec: z.strictObject({
    kind: oneOf('ApiKeyKind', ['APPLICATION', 'ADMIN']).meta({ issued: true, graphql: 'ApiKeyKind' }),
    principal: ref('principal').meta({ issued: true, graphql: 'Ref', ref: ['principal'] }),
    project: ref('project').nullable().default(null).meta({ issued: true }),
    permissions: list(text(100), 200).nullable().default(null),
    aliases: list(ref('alias'), 1_000).nullable().default(null),
    requestLabels: labels().default({}),
    allowedAddresses: list(addressRange, 100).default([]),
    expiresAt: dateTime().nullable().default(null),
  }),
  rules: (spec) =>
    spec.kind === 'APPLICATION' && !spec.project
      ? [{ path: ['project'], message: 'an APPLICATION key belongs to a project; name one' }]
      : [],
})

export const dataPlane = declare({
  kind: 'dataPlane',
  description: 'A declared fleet of gateway processes.',
  spec: z.strictObject({
    adapter: oneOf('Adapter', ['STANDALONE', 'ENVOY_EXT_PROC', 'AIR_GAPPED']).meta({
      issued: true,
      graphql: 'Adapter',
    }),
    presumeLostAfter: duration(60_000, 365 * day)
      .nullable()
      .default(null),
  }),
})
