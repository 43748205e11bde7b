import type { PeriodRule } from '../../schema/budget-window.ts'
import type { BudgetAction } from '../../schema/config/index.ts'
import type { SnapshotBudget } from '../../schema/snapshot.ts'
import { depthOf, findCounterFault } from '../counters/attached.ts'
import { type CounterBook, counterBook } from '../counters/book.ts'
import type { Places } from '../policies/condition.ts'
import type { RunningModel } from '../snapshot/running.ts'

export { projectDepth } from '../counters/attached.ts'

/** A budget made ready when its snapshot is activated. */
export interface RunningBudget {
  readonly id: string
  readonly name: string
  readonly action: BudgetAction
  /** False: it is posted, and never refuses. */
  readonly isHard: boolean
  /** Where DOWNGRADE goes; null for other actions. */
  readonly downgradeTo: {
    readonly tier: string
    readonly name: string
    readonly models: ReadonlySet<RunningModel>
  } | null
  readonly waitForFundsMs: number
  readonly rule: PeriodRule
  /** How narrow it is: a larger one is nearer to the key. */
  readonly depth: number
}

export function budgetBook(
  budgets: readonly SnapshotBudget[],
  tiers: readonly { id: string; name: string }[],
  places: Places,
): CounterBook<RunningBudget> {
  const entries = budgets.map((budget) => ({ attached: budget, of: runningBudget(budget, tiers, places) }))
  return counterBook(entries, places)
}

function runningBudget(
  { id, name, scope, per, onExhausted, downgradeTo, waitForFundsMs, rule }: SnapshotBudget,
  tiers: readonly { id: string; name: string }[],
  places: Places,
): RunningBudget {
  const action = actions.has(onExhausted) ? onExhausted : 'BLOCK'
  const tier = downgradeTo === null ? undefined : tiers[downgradeTo]
  return Object.freeze({
    ...{ id, name, action, isHard: action !== 'WARN', waitForFundsMs, rule: Object.freeze(rule) },
    downgradeTo: tier ? Object.freeze({ tier: tier.id, name: tier.name, models: places.tiers[downgradeTo!]! }) : null,
    depth: depthOf(scope, per),
  })
}

const actions: ReadonlySet<string> = new Set<BudgetAction>(['BLOCK', 'DOWNGRADE', 'CAP', 'WARN'])
/** Something that nobody here could count by, so that the snapshot is not run; undefined where all is well. */
export function findBudgetFault(
  config: { budgets: readonly SnapshotBudget[] } & Parameters<typeof findCounterFault>[0],
): string | undefined {
  for (const { scope, per, downgradeTo } of config.budgets) {
    const fault = findCounterFault(config, scope, per)
    if (fault) return `A budget ${fault}`
    if (downgradeTo !== null && !config.tiers[downgradeTo]) return 'A budget names a tier that is not there.'
  }
  return undefined
}
