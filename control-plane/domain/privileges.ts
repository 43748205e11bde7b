import type { Resource, Role } from '../../schema/config/index.ts'
import { isPermission, namedOnly, type Permission, permissionsOf } from '../../schema/permissions.ts'

const none: ReadonlySet<Permission> = new Set()

/** The role a principal holds on the whole tenant. Roles on teams and projects bring no permission over the tenant. */
export function tenantRole(tenant: Resource<'tenant'>, principal: string): Role | undefined {
  return tenant.spec.members.find((member) => member.principal === principal)?.role
}

/** What a principal may do through its role; `operates` where the tenant operates the installation. */
export function rolePermissions(
  tenant: Resource<'tenant'>,
  principal: string,
  operates = false,
): ReadonlySet<Permission> {
  const role = tenantRole(tenant, principal)
  return role ? permissionsOf(role, operates) : none
}

/**
 * What a key may do: what it names, as far as its principal's role still brings it; where it names nothing, all that the role
 * brings. Permissions that no role brings hold where the key names them.
 */
export function keyPermissions(
  tenant: Resource<'tenant'>,
  key: Resource<'apiKey'>,
  operates = false,
): ReadonlySet<Permission> {
  const brought = rolePermissions(tenant, key.spec.principal, operates)
  if (key.spec.permissions === null) return brought
  return new Set(key.spec.permissions.filter(isPermission).filter((name) => brought.has(name) || namedOnly.has(name)))
}

/** The first permission of `given` that `held` lacks: nobody gives away what they do not hold. */
export function lacking(held: ReadonlySet<Permission>, given: Iterable<Permission>): Permission | undefined {
  for (const permission of given) if (!held.has(permission)) return permission
  return undefined
}
