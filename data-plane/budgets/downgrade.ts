import type { Judgement } from '../policies/judgement.ts'
import { usable } from '../snapshot/build.ts'
import type { RunningBudget, RunningSnapshot, RunningTarget } from '../snapshot/running.ts'

/** That an exchange left its route for the models of a budget's tier. */
export interface Downgraded {
  readonly budget: string
  /** The model that there was no money for. */
  readonly from: { readonly id: string; readonly name: string }
}

/**
 * The models of the tier that a budget goes down to, those that policies permit. A model that stands for many says no name that
 * could be asked for.
 */
export function tierTargets(
  { downgradeTo }: RunningBudget,
  { credentials }: RunningSnapshot,
  judgement: Judgement | null,
): readonly RunningTarget[] {
  const models = [...(downgradeTo?.models ?? [])].filter(({ upstreamPrefix }) => upstreamPrefix === null)
  const targets = models.map((model) => ({
    ...{ model, credentials: usable(credentials, model.provider), weight: 1, when: null },
  }))
  return judgement === null ? targets : judgement.permittedToo(targets)
}
