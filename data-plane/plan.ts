import { type Refusal, refuse } from '../schema/refusals.ts'
import type { StandingCounters } from './counters/book.ts'
import type { RunningLimit } from './limits/book.ts'
import type { StandingPolicy } from './policies/book.ts'
import { isPermitted } from './policies/permit.ts'
import type { FoundKey, RunningAlias, RunningBudget } from './snapshot/running.ts'

/** What applies to a request. */
export interface Plan {
  alias: RunningAlias
  /** What a wildcard alias leaves of the name that was asked for; empty where the alias is exact. */
  rest: string
  /** Those of which only the request, or the place it goes to, tells whether they apply, included. */
  policies: readonly StandingPolicy[]
  /** What the request spends under. */
  budgets: StandingCounters<RunningBudget>
  /** What limits how many there are. */
  limits: StandingCounters<RunningLimit>
}

/** Finds what applies: the alias, and the policies. An alias that the key may not use does not exist for it. */
export function plan(found: FoundKey, asked: string, nowMs: number): Plan | Refusal {
  const alias = found.snapshot.findAlias(asked)
  if (!alias || !mayUse(found, alias)) return refuse('unknown_alias', undefined, 'model')
  const removeAfter = alias.deprecation?.removeAfterMs
  if (removeAfter != null && removeAfter <= nowMs) return refuse('alias_retired', replacement(found, alias), 'model')
  return {
    alias,
    rest: alias.prefix === null ? '' : asked.slice(alias.prefix.length),
    policies: found.snapshot.policies.standingFor(found),
    budgets: found.snapshot.budgets(found),
    limits: found.snapshot.limits(found),
  }
}

/** The aliases a key may ask for now, as GET /v1/models lists them. */
export function usableAliases(found: FoundKey, nowMs: number): RunningAlias[] {
  return found.snapshot.aliases.filter((alias) => {
    const removeAfter = alias.deprecation?.removeAfterMs
    return mayUse(found, alias) && !(removeAfter != null && removeAfter <= nowMs) && isPermitted(found, alias)
  })
}

function mayUse(found: FoundKey, alias: RunningAlias): boolean {
  return found.grant.aliases === null || found.grant.aliases.has(alias.id)
}

function replacement(found: FoundKey, alias: RunningAlias): string | undefined {
  const use = found.snapshot.aliases.find(({ id }) => id === alias.deprecation?.use)
  return use && mayUse(found, use) ? `Use ${use.name}.` : undefined
}
