import type { Kind } from '../handles.ts'
import * as alerts from './alerts.ts'
import * as budgets from './budgets.ts'
import type { Declaration, SpecOf } from './declaration.ts'
import { z } from './fields.ts'
import * as limits from './limits.ts'
import * as models from './models.ts'
import * as organisation from './organisation.ts'
import * as policies from './policies.ts'
import * as prices from './prices.ts'
import * as routes from './routes.ts'

const declared = {
  tenant: organisation.tenant,
  team: organisation.team,
  project: organisation.project,
  principal: organisation.principal,
  apiKey: organisation.apiKey,
  provider: models.provider,
  credential: models.credential,
  model: models.model,
  tier: models.tier,
  alias: models.alias,
  route: routes.route,
  priceSheet: prices.priceSheet,
  budget: budgets.budget,
  rateLimit: limits.rateLimit,
  policy: policies.policy,
  webhook: alerts.webhook,
  alertRule: alerts.alertRule,
  dataPlane: organisation.dataPlane,
} as const satisfies Record<Kind, { kind: Kind }>

/** The stored fields of each kind. */
export type Specs = { [K in Kind]: SpecOf<(typeof declared)[K]> }

/** Every kind's declaration, seen alike. */
export const declarations = declared as unknown as Record<Kind, Declaration>

/** A resource as it is stored: what all kinds share, and the kind's own fields with references by id. */
export type Resource<K extends Kind = Kind> = K extends Kind
  ? {
      id: string
      kind: K
      name: string
      labels: Record<string, string>
      revision: number
      createdAt: Date
      updatedAt: Date
      archivedAt: Date | null
      spec: Specs[K]
    }
  : never

/** Names of resources: they are never rewritten, and hold what model names hold. `*` may only end a name. */
export const resourceName = z
  .string()
  .max(200)
  .regex(
    /^(\*|[A-Za-z0-9][A-Za-z0-9._:@/+-]*\*?)$/,
    'must begin with a letter or digit and hold only letters, digits and . _ : @ / + -',
  )

export * from './alerts.ts'
export { type BudgetAction, type BudgetPeriod, budgetActions, budgetPeriods } from './budgets.ts'
export type { Condition } from './conditions.ts'
export { type CounterPer, counterPers } from './counters.ts'
export type { Declaration, RuleIssue, SpecOf } from './declaration.ts'
export { labels, z } from './fields.ts'
export { labelFault, type RequestLabel } from './labels.ts'
export { languages } from './languages.ts'
export { type RateUnit, rateMax, rateUnits } from './limits.ts'
export * from './models.ts'
export { type DataClass, type Role, roles } from './organisation.ts'
export { failureModes, type PolicyKind, policyKinds, policyModes, type RoutingPolicy } from './policies.ts'
export { type Meter, meters } from './prices.ts'
export * from './routes.ts'
