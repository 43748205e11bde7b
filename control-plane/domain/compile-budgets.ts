import type { PeriodRule } from '../../schema/budget-window.ts'
import type { Resource } from '../../schema/config/index.ts'
import { parseDuration } from '../../schema/duration.ts'
import type { SnapshotBudget, SnapshotScope } from '../../schema/snapshot.ts'

/** Budgets made ready for running. `scopeOf` and `tierAt` give positions of what is compiled with them. */
export function compileBudgets(
  budgets: Resource<'budget'>[],
  scopeOf: (scope: string) => SnapshotScope,
  tierAt: (id: string) => number,
): SnapshotBudget[] {
  return budgets.map((budget) => {
    const { id, name, spec } = budget
    return {
      ...{ id, name, scope: scopeOf(spec.scope), per: spec.per, onExhausted: spec.onExhausted },
      downgradeTo: spec.downgradeTo === null ? null : tierAt(spec.downgradeTo),
      waitForFundsMs: parseDuration(spec.waitForFunds)!,
      rule: periodRule(budget),
    }
  })
}

/** When a budget's windows begin and end. */
export function periodRule({ spec }: Pick<Resource<'budget'>, 'spec'>): PeriodRule {
  return {
    period: spec.period,
    windowMs: spec.window === null ? null : parseDuration(spec.window)!,
    timeZone: spec.timeZone,
    anchorMs: spec.anchor === null ? null : Date.parse(spec.anchor),
  }
}
