import { idKind } from '../ids.ts'
import { condition, conditionIssues } from './conditions.ts'
import { declare, type RuleIssue } from './declaration.ts'
import { flag, input, int, list, oneOf, oneOfInput, ref, region, scope, z } from './fields.ts'

/** Null does not limit. A list that allows nothing would be a policy against everything, by a slip. */
const allowed = <Item extends z.ZodType>(item: Item) =>
  z.array(item).min(1, 'allows nothing; leave it out to allow everything').max(1_000).nullable().default(null)

const routing = input('RoutingPolicyInput', {
  allowAliases: allowed(ref('alias')),
  allowModels: allowed(ref('model')),
  allowTiers: allowed(ref('tier')),
  denyModels: list(ref('model'), 1_000).default([]),
  regions: allowed(region()),
}).meta({
  description:
    'Where requests may go. A list that is null does not limit; a target must pass each list of each policy. Regions are those of ' +
    'the model, else of its provider; a target without one is in none.',
})

export type RoutingPolicy = z.output<typeof routing>

/** One member for each kind of policy that data planes can judge. */
const policySpec = oneOfInput('PolicySpecInput', { routing })

/** Each kind of policy, with its name in the API and in snapshots. */
export const policyKinds = { routing: 'ROUTING' } as const
export type PolicyKind = (typeof policyKinds)[keyof typeof policyKinds]

export const policyModes = ['ENFORCE', 'OBSERVE', 'OFF'] as const
export const failureModes = ['CLOSED', 'OPEN'] as const

const guessed = 'is a guess, which chooses a target well enough and holds nobody to a policy; leave it out'

export const policy = declare({
  kind: 'policy',
  description: 'A rule that data planes hold requests to, within its scope.',
  spec: z.strictObject({
    scope: scope(),
    order: int(-1_000_000, 1_000_000).default(0),
    mode: oneOf('PolicyMode', policyModes).default('ENFORCE'),
    onFailure: oneOf('FailureMode', failureModes).default('CLOSED'),
    when: condition.nullable().default(null),
    overridable: flag().default(false),
    spec: policySpec,
  }),
  rules: ({ scope, when, spec }) => [
    ...conditionIssues(when, ['when']),
    ...(when?.language ? [{ path: ['when', 'language'], message: guessed }] : []),
    ...(spec.routing ? routingIssues(spec.routing, scope) : []),
  ],
})

/** Routing chooses among targets, so it cannot hang on the target that it is to choose. */
const targetKinds = new Set(['provider', 'model', 'tier'])

function routingIssues(rule: RoutingPolicy, scope: string): RuleIssue[] {
  const path = ['spec', 'routing']
  const issues: RuleIssue[] = []
  if (targetKinds.has(idKind(scope) ?? ''))
    issues.push({
      path: ['scope'],
      message: `a routing policy cannot attach to a ${idKind(scope)}, which is what it chooses: give the tenant, a team, project, principal, key or label, and name the ${idKind(scope)} in its condition`,
    })
  const { allowAliases, allowModels, allowTiers, regions, denyModels } = rule
  if (!allowAliases && !allowModels && !allowTiers && !regions && denyModels.length === 0)
    issues.push({ path, message: 'says nothing; allow or deny something' })
  if (allowModels?.every((model) => denyModels.includes(model)))
    issues.push({
      path: [...path, 'denyModels'],
      message: 'denies every model that allowModels allows: nothing is left',
    })
  return issues
}
