import type { RuleIssue } from './declaration.ts'
import { flag, input, int, list, z } from './fields.ts'

/** What the gateway says of a request itself; a label of that name would be taken for it. */
const reserved = new Set(
  ['tenant', 'team', 'project', 'principal', 'key', 'api-key', 'provider', 'credential', 'model', 'tier', 'alias']
    .concat(['route', 'data-plane', 'instance', 'region', 'policy', 'budget', 'rate-limit', 'label'])
    .flatMap((name) => [name, name.replace('-', '_'), name.replace('-', '')]),
)

const key = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9._-]{0,62}$/, 'must begin with a letter and hold only letters, digits and . _ -')
  .refine((value) => !reserved.has(value.toLowerCase()) && !/^sluice/i.test(value), {
    error: ({ input }) => `${input} is a name that the gateway keeps for itself; choose another`,
  })
  .meta({ graphql: 'String' })

/** Members of a request's body that providers set aside for the caller. */
const source = z
  .string()
  .regex(/^(user|safety_identifier|metadata\.[A-Za-z0-9_][A-Za-z0-9._-]{0,63})$/, {
    error: 'must be user, safety_identifier or metadata. and a name, such as metadata.case',
  })
  .meta({ graphql: 'String' })

/** What stands in the header x-sluice-labels: neither its separators nor anything that is not seen. */
const labelValue = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\s\p{C},]([^\p{C},]*[^\s\p{C},])?$/u, 'must hold no comma or control character, and no space at its ends')
  .meta({ graphql: 'String' })

/** A key that requests may carry. */
export const requestLabel = input('RequestLabelInput', {
  key,
  from: list(source, 8).default([]),
  required: flag().default(false),
  values: z.array(labelValue).min(1, 'allows no value; leave it out to allow any').max(1_000).nullable().default(null),
  maxValues: int(1, 1_000_000).default(1_000),
  subject: flag().default(false),
})

export type RequestLabel = z.output<typeof requestLabel>

/** Each key once, whatever its case: headers and dashboards would mix them up. */
export function labelIssues(labels: RequestLabel[]): RuleIssue[] {
  const seen = new Set<string>()
  return labels.flatMap(({ key, values, maxValues }, index) => {
    const path = ['requestLabels', index]
    const issues: RuleIssue[] = []
    if (seen.has(key.toLowerCase())) issues.push({ path: [...path, 'key'], message: `${key} is declared twice` })
    seen.add(key.toLowerCase())
    if (values && new Set(values).size < values.length)
      issues.push({ path: [...path, 'values'], message: 'names a value twice' })
    if (values && values.length > maxValues)
      issues.push({
        path: [...path, 'maxValues'],
        message: `is less than the ${values.length} values that are allowed`,
      })
    return issues
  })
}

/** Why a request may not carry this value; undefined = it may. `declared` are the tenant's labels. */
export function labelFault(declared: readonly RequestLabel[], key: string, value: string | null): string | undefined {
  const label = declared.find((one) => one.key === key)
  if (!label) {
    const known = declared.map((one) => one.key).join(', ') || 'none'
    return `${key} is no request label of this tenant; declared are: ${known}`
  }
  if (value === null || label.values?.includes(value)) return undefined
  if (label.values) return `${key} is one of ${label.values.join(', ')}`
  return labelValue.safeParse(value).error?.issues[0]?.message
}
