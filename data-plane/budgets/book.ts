import type { PeriodRule } from '../../schema/budget-window.ts'
import type { BudgetAction } from '../../schema/config/index.ts'
import type { SnapshotBudget, SnapshotScope } from '../../schema/snapshot.ts'
import { type CounterBook, counterBook } from '../counters/book.ts'
import { type Places, placeIsKnown } from '../policies/condition.ts'
import type { RunningModel } from '../snapshot/running.ts'

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
    depth: Math.max(depths[scope.kind] ?? 0, per ? (depths[per as SnapshotScope['kind']] ?? 0) : 0),
  })
}

const actions: ReadonlySet<string> = new Set<BudgetAction>(['BLOCK', 'DOWNGRADE', 'CAP', 'WARN'])
const depths: Partial<Record<SnapshotScope['kind'], number>> = { TEAM: 1, PROJECT: 2, PRINCIPAL: 3, API_KEY: 4 }
/** A budget at least so narrow is told by name: it is of the key's own project, or below. */
export const projectDepth = depths.PROJECT!

const scopeKinds: ReadonlySet<string> = new Set<SnapshotScope['kind']>([
  ...(['TENANT', 'TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY', 'PROVIDER', 'MODEL', 'TIER', 'LABEL'] as const),
])
const pers: ReadonlySet<string | null> = new Set([
  ...([null, 'TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY', 'MODEL', 'LABEL_VALUE'] as const),
])

/** Something that nobody here could count by, so that the snapshot is not run; undefined where all is well. */
export function findBudgetFault(config: {
  models: readonly unknown[]
  providers: readonly unknown[]
  tiers: readonly unknown[]
  budgets: readonly SnapshotBudget[]
}): string | undefined {
  for (const { scope, per, downgradeTo } of config.budgets) {
    if (!scopeKinds.has(scope.kind) || !pers.has(per))
      return 'A budget counts by something that this version does not know. Update the gateway.'
    if (!placeIsKnown(config, scope)) return 'A budget is of a place that is not there.'
    if (downgradeTo !== null && !config.tiers[downgradeTo]) return 'A budget names a tier that is not there.'
  }
  return undefined
}
