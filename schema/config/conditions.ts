import type { RuleIssue } from './declaration.ts'
import { flag, input, labels, oneOf, ref, region, safeInt, z } from './fields.ts'
import { languages } from './languages.ts'
import { codecs } from './models.ts'

/** Alternatives; none would be a condition that never holds. */
const anyOf = <Item extends z.ZodType>(item: Item) =>
  z.array(item).min(1, 'holds for nothing; leave it out').max(1_000).nullable().default(null)

const language = () =>
  z
    .string()
    .refine((value) => languages.includes(value), `is not told apart here; one of ${languages.join(', ')} is`)
    .meta({ graphql: 'String' })

/** When a policy holds, or which requests a target is for. A field that is null is not asked. */
export const condition = input('ConditionInput', {
  requestLabels: labels().nullable().default(null),
  provider: anyOf(ref('provider')),
  model: anyOf(ref('model')),
  tier: anyOf(ref('tier')),
  region: anyOf(region()),
  external: flag()
    .nullable()
    .default(null)
    .meta({ description: 'True: only when the target is outside the company (Provider.selfHosted is false).' }),
  dialect: anyOf(oneOf('Codec', codecs)),
  streamed: flag().nullable().default(null),
  tools: flag().nullable().default(null),
  images: flag().nullable().default(null),
  language: anyOf(language()).meta({
    description:
      'Only of a route: a guess at the language of what the user said last, ISO 639-1. One that cannot be told is none.',
  }),
  minInputTokens: safeInt().nullable().default(null),
  maxInputTokens: safeInt().nullable().default(null),
}).meta({ description: 'All fields that are given must hold; values in one list are alternatives.' })

export type Condition = z.output<typeof condition>

/** `path` leads to the condition. */
export function conditionIssues(when: Condition | null, path: RuleIssue['path']): RuleIssue[] {
  if (when?.minInputTokens == null || when.maxInputTokens === null) return []
  if (when.minInputTokens <= when.maxInputTokens) return []
  return [{ path: [...path, 'minInputTokens'], message: 'is larger than maxInputTokens, so that it never holds' }]
}
