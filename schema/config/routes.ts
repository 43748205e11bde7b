import { type Condition, condition, conditionIssues } from './conditions.ts'
import { declare, type RuleIssue } from './declaration.ts'
import { duration, input, int, list, oneOf, ref, z } from './fields.ts'

export const retryCauses = [
  'CONNECT_FAILED',
  'TIMEOUT',
  'RATE_LIMITED',
  'OVERLOADED',
  'SERVER_ERROR',
  'AUTH_FAILED',
  'CONTEXT_TOO_LONG',
  'CONTENT_FILTERED',
] as const
export type RetryCause = (typeof retryCauses)[number]

const retry = input('RetryInput', {
  attempts: int(1, 10),
  on: list(oneOf('RetryCause', retryCauses), retryCauses.length).default([
    'CONNECT_FAILED',
    'TIMEOUT',
    'RATE_LIMITED',
    'OVERLOADED',
    'SERVER_ERROR',
  ]),
  backoff: duration(0, 30_000).default('PT0.2S'),
})

const timeouts = input('RouteTimeoutsInput', {
  firstByte: duration(10, 3_600_000).default('PT2M'),
  idle: duration(10, 3_600_000).default('PT1M'),
  total: duration(10, 21_600_000).default('PT15M'),
})

const breaker = input('BreakerInput', {
  failures: int(1, 1_000),
  window: duration(1_000, 3_600_000),
  coolDown: duration(100, 3_600_000),
})

const routeTarget = input('RouteTargetInput', {
  model: ref('model'),
  credential: ref('credential').nullable().default(null),
  weight: int(0, 1_000_000).default(1),
  when: condition.nullable().default(null).meta({ description: 'Of a BY_TASK route: which requests it is for.' }),
})

/** What holds for an alias that names a model without a route, and for a route that leaves a field out. */
export const routeDefaults = {
  retry: {
    attempts: 2,
    on: ['CONNECT_FAILED', 'TIMEOUT', 'RATE_LIMITED', 'OVERLOADED', 'SERVER_ERROR'] as RetryCause[],
    backoff: 'PT0.2S',
  },
  timeouts: { firstByte: 'PT2M', idle: 'PT1M', total: 'PT15M' },
  breaker: { failures: 5, window: 'PT30S', coolDown: 'PT15S' },
}

export const routeStrategies = ['PRIORITY', 'WEIGHTED', 'LEAST_COST', 'LEAST_LATENCY', 'BY_TASK'] as const
export type RouteStrategy = (typeof routeStrategies)[number]

/** Application keys come in these: they say who asks, which every request of an application has in common. */
const keyHeaders = new Set(['authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'proxy-authorization', 'cookie'])

const stickyHeader = z
  .string()
  .regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header, in lower case')
  .refine((name) => !keyHeaders.has(name), 'carries a secret; name a header that holds a session')
  .meta({ graphql: 'String' })

export const route = declare({
  kind: 'route',
  description: 'Which models serve an alias, and in which order they are tried.',
  spec: z.strictObject({
    strategy: oneOf('RouteStrategy', routeStrategies).default('PRIORITY'),
    targets: list(routeTarget, 32),
    retry: retry.default(routeDefaults.retry),
    timeouts: timeouts.default(routeDefaults.timeouts),
    breaker: breaker.default(routeDefaults.breaker),
    stickyHeader: stickyHeader.nullable().default(null),
  }),
  rules: ({ strategy, targets }) => [
    ...(targets.length === 0 ? [{ path: ['targets'], message: 'a route needs at least one target' }] : []),
    ...(strategy === 'WEIGHTED' && targets.every((target) => target.weight === 0)
      ? [{ path: ['targets'], message: 'at least one target needs a weight above 0' }]
      : []),
    ...targets.flatMap(({ when }, index) => (when ? whenIssues(strategy, when, ['targets', index, 'when']) : [])),
    ...(strategy === 'BY_TASK' ? taskIssues(targets) : []),
  ],
})

/** What a target's condition may not ask, since naming the target has said it. */
const ofTarget = ['provider', 'model', 'tier', 'region', 'external'] as const

function whenIssues(strategy: RouteStrategy, when: Condition, path: RuleIssue['path']): RuleIssue[] {
  if (strategy !== 'BY_TASK')
    return [{ path, message: `is asked of BY_TASK routes only, and this one is ${strategy}; change the strategy` }]
  const asked = Object.values(when).some((value) => value !== null)
  return [
    ...conditionIssues(when, path),
    ...(asked ? [] : [{ path, message: 'asks nothing; leave it out for a target that takes every request' }]),
    ...ofTarget
      .filter((field) => when[field] !== null)
      .map((field) => ({ path: [...path, field], message: 'speaks of the target; ask only about the request' })),
  ]
}

function taskIssues(targets: readonly { when: Condition | null }[]): RuleIssue[] {
  const plain = targets.findIndex(({ when }) => when === null)
  if (plain === 0)
    return [
      { path: ['targets', 0, 'when'], message: 'is missing: the first target of a BY_TASK route needs a condition' },
    ]
  const hidden = targets.findLastIndex(({ when }) => when !== null)
  if (plain === -1 || hidden < plain) return []
  const message = `is never reached: targets.${plain} has no condition and takes every request; put it last`
  return [{ path: ['targets', hidden, 'when'], message }]
}
