import type { Resource } from '../../schema/config/index.ts'
import { invalidInput, type UserError } from './errors.ts'

/** Money of two currencies is never added up: a tenant has one, and its budgets are in it. */
export function checkBudget(
  tenant: Resource<'tenant'>,
  budget: Resource<'budget'>,
  path: string[],
  errors: UserError[],
) {
  const own = tenant.spec.currency
  if (budget.spec.limit.currency !== own)
    errors.push(invalidInput([...path, 'limit', 'currency'], `must be ${own}, as the tenant`))
}
