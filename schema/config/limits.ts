import { counterPer, perIssues } from './counters.ts'
import { declare, type RuleIssue } from './declaration.ts'
import { duration, limitScope, oneOf, safeInt, z } from './fields.ts'
import { policyModes } from './policies.ts'

export const rateUnits = ['REQUESTS', 'TOKENS', 'INPUT_TOKENS', 'OUTPUT_TOKENS', 'CONCURRENT_REQUESTS'] as const
export type RateUnit = (typeof rateUnits)[number]

/** Of a limit and of a burst: their sum in the smallest steps of time stays within what a double counts exactly. */
export const rateMax = 1_000_000_000

const fields = z.strictObject({
  scope: limitScope(),
  per: counterPer(),
  mode: oneOf('PolicyMode', policyModes).default('ENFORCE'),
  unit: oneOf('RateUnit', rateUnits),
  limit: safeInt(1, rateMax).meta({
    description: 'What flows back in each window; of CONCURRENT_REQUESTS the most at once.',
  }),
  window: duration(1_000, 31 * 86_400_000)
    .nullable()
    .default(null)
    .meta({ description: 'Such as PT1M. Unused for CONCURRENT_REQUESTS.' }),
  burst: safeInt(0, rateMax).nullable().default(null).meta({
    description:
      'At most limit + burst are admitted in any interval as long as the window, and at most burst + 1 at one moment, so one request of more tokens is never admitted. Null = as many as the limit.',
  }),
})
type Fields = z.output<typeof fields>

export const rateLimit = declare({
  kind: 'rateLimit',
  description: 'How many requests or tokens a scope may have in any interval of time, or how many requests at once.',
  spec: fields,
  rules: (spec) => [...perIssues(spec), ...windowIssues(spec)],
})

function windowIssues({ unit, window, burst }: Fields): RuleIssue[] {
  if (unit !== 'CONCURRENT_REQUESTS')
    return window === null
      ? [{ path: ['window'], message: `is needed: the limit holds for which length of time, such as PT1M` }]
      : []
  const unused = (field: string) => ({
    path: [field],
    message: 'says nothing of CONCURRENT_REQUESTS, which are counted while they are under way; leave it out',
  })
  return [...(window === null ? [] : [unused('window')]), ...(burst === null ? [] : [unused('burst')])]
}
