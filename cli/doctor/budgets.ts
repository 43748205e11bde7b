import type { Client } from '../api/client.ts'
import { figuresOf, listBudgets } from '../budgets/balances.ts'
import { counterName } from '../budgets/report.ts'
import { isFailed } from '../trouble.ts'
import { type Finding, failureOf, ok, warn } from './finding.ts'

const recoveryDocument = 'query Recovery { tenant { budgetsRecoveringSince } }'
const toldMax = 3

/** Whether spending is bounded at all, and what of the bounds did not hold or is used up. */
export async function budgetFindings(client: Client): Promise<Finding[]> {
  const budgets = await listBudgets(client)
  if (isFailed(budgets)) return [failureOf('budget', budgets)]
  if (budgets.length === 0)
    return [
      warn(
        'budget',
        'there is no budget: spending is unlimited',
        'declare one with `sluice apply` (kind: Budget); `sluice budget --help` shows the rest',
      ),
    ]
  const recovery = await client.ask<{ tenant: { budgetsRecoveringSince: string | null } }>(recoveryDocument)
  if (isFailed(recovery)) return [failureOf('budget', recovery)]
  const counters = budgets.flatMap((budget) =>
    budget.balances.nodes.map((balance) => {
      return { name: counterName(budget, balance), hard: budget.onExhausted !== 'WARN', ...figuresOf(balance) }
    }),
  )
  const overrun = counters.filter(({ overruns }) => overruns !== 0n).map(({ name }) => name)
  const exhausted = counters
    .filter(({ hard, available, leased }) => hard && available + leased <= 0n)
    .map(({ name }) => name)
  return [
    ok('budget', `${budgets.length} declared`),
    ...recovering(recovery.tenant.budgetsRecoveringSince),
    ...some(
      'overrun',
      overrun,
      'a provider billed more than its model may cost',
      'correct the bounds of the model, then `sluice budget adjust`',
    ),
    ...some(
      'exhausted',
      exhausted,
      'requests are not served as usual',
      '`sluice budget adjust NAME +50 --reason …`, or wait for the next window',
    ),
  ]
}

const recovering = (since: string | null): Finding[] =>
  since === null
    ? []
    : [
        warn(
          'budget recovery',
          `the books came from a backup at ${since}; nothing is leased until every gateway has reported`,
          'start the gateways that held money; `sluice budget write-off INSTANCE` for those that will not come back',
        ),
      ]

function some(state: string, names: readonly string[], what: string, wayOut: string): Finding[] {
  if (names.length === 0) return []
  const more = names.length > toldMax ? ` and ${names.length - toldMax} more` : ''
  return [warn('budget', `${state}: ${names.slice(0, toldMax).join(', ')}${more}; ${what}`, wayOut)]
}
