import type { Resource } from '../../schema/config/index.ts'
import { parseAmount, unitPrice } from '../../schema/money.ts'
import { permissionsOf } from '../../schema/permissions.ts'
import type { Actor } from './actor.ts'
import { checkBudget } from './check-budgets.ts'
import { invalidInput, notPermitted, type UserError } from './errors.ts'
import type { Lookup } from './lookup.ts'
import { actionOf, type Draft } from './plan.ts'
import { keyPermissions, lacking, rolePermissions } from './privileges.ts'

/** Rules between resources, which no declaration can check alone. */
export function checkBetween(lookup: Lookup, tenant: Resource<'tenant'>, draft: Draft, errors: UserError[]) {
  const { after, path } = draft
  if (after.kind === 'route') checkTargets(lookup, after, path, errors)
  if (after.kind === 'budget') checkBudget(tenant, after, path, errors)
  if (after.kind === 'priceSheet') checkCurrencies(tenant, after, path, errors)
  if (after.kind === 'tenant' && actionOf(draft) !== 'UNCHANGED') checkOwned(lookup, after, path, errors)
}

/** Without an owner nobody could ever make one again. An owner that this same write archives is none. */
function checkOwned(lookup: Lookup, tenant: Resource<'tenant'>, path: string[], errors: UserError[]) {
  const owned = tenant.spec.members.some(({ principal, role }) => role === 'OWNER' && lookup.find(principal))
  if (!owned) errors.push(invalidInput([...path, 'members'], 'must have at least one OWNER', 'a principal as OWNER'))
}

function checkTargets(lookup: Lookup, route: Resource<'route'>, path: string[], errors: UserError[]) {
  route.spec.targets.forEach((target, index) => {
    const model = lookup.find(target.model)
    const credential = target.credential ? lookup.find(target.credential) : undefined
    if (model?.kind !== 'model' || credential?.kind !== 'credential') return
    if (model.spec.provider === credential.spec.provider) return
    const at = [...path, 'targets', String(index), 'credential']
    errors.push(invalidInput(at, `is of another provider than model/${model.name}`))
  })
}

function checkCurrencies(
  tenant: Resource<'tenant'>,
  sheet: Resource<'priceSheet'>,
  path: string[],
  errors: UserError[],
) {
  const { currency, exchangeRate, unpricedCeiling } = sheet.spec
  const own = tenant.spec.currency
  if (currency !== own && exchangeRate === null)
    errors.push(
      invalidInput([...path, 'exchangeRate'], `is required: the sheet is in ${currency}, the tenant in ${own}`),
    )
  if (currency === own && exchangeRate !== null && exchangeRate !== '1')
    errors.push(invalidInput([...path, 'exchangeRate'], `must be left out: the sheet is in the tenant's currency`))
  if (unpricedCeiling && unpricedCeiling.currency !== currency)
    errors.push(invalidInput([...path, 'unpricedCeiling', 'currency'], `must be ${currency}, as the sheet`))
  const ceiling = unpricedCeiling && parseAmount(unpricedCeiling.amount)
  if (typeof ceiling !== 'bigint') return
  if (ceiling < 0n || unitPrice(ceiling, 1, parseAmount(exchangeRate ?? '1')!) === undefined)
    errors.push(invalidInput([...path, 'unpricedCeiling', 'amount'], 'must not be negative, and exact at 12 decimals'))
}

/**
 * Nobody gives away what they do not hold: making a member, letting somebody sign in as another, and widening a key need
 * every permission that the change would open.
 */
export function checkPrivileges(actor: Actor, tenant: Resource<'tenant'>, draft: Draft, errors: UserError[]) {
  const { before, after, path } = draft
  if (actionOf(draft) === 'UNCHANGED') return
  const missing = (field: string, needed: Parameters<typeof lacking>[1]) => {
    const permission = lacking(actor.permissions, needed)
    if (permission) errors.push(notPermitted(permission, field ? [...path, field] : path))
  }
  if (after.kind === 'tenant' && before?.kind === 'tenant') {
    const changed = differing(before.spec.members, after.spec.members)
    missing('members', new Set(changed.flatMap(({ role }) => [...permissionsOf(role, actor.operates)])))
  }
  if (after.kind === 'principal' && identitiesChanged(before, after))
    missing('identities', rolePermissions(tenant, after.id, actor.operates))
  if (after.kind !== 'apiKey') return
  missing('', ['key:issue'])
  if (after.spec.kind === 'ADMIN' && !after.archivedAt)
    missing('permissions', keyPermissions(tenant, after, actor.operates))
}

type Member = { principal: string; role: Parameters<typeof permissionsOf>[0] }

/** Members that are in one of two lists only. */
function differing(before: Member[], after: Member[]): Member[] {
  const key = ({ principal, role }: Member) => `${principal} ${role}`
  const old = new Set(before.map(key))
  const now = new Set(after.map(key))
  return [...before.filter((member) => !now.has(key(member))), ...after.filter((member) => !old.has(key(member)))]
}

function identitiesChanged(before: Resource | undefined, after: Resource<'principal'>): boolean {
  const old = before?.kind === 'principal' ? before.spec.identities : []
  return JSON.stringify(old) !== JSON.stringify(after.spec.identities)
}
