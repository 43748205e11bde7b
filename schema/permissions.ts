import { type Role, roles } from './config/index.ts'

interface PermissionRow {
  description: string
  roles: readonly Role[]
}

const row = (description: string, ...held: Role[]): PermissionRow => ({ description, roles: held })

const all = ['OWNER', 'ADMIN', 'AUDITOR', 'VIEWER'] as const

/**
 * What an actor may do, and which roles bring it. `…-own` speaks of the actor's own principal. Reading payloads and shredding
 * never come with a role: they are named on a key, one by one.
 */
export const permissions = {
  'config:read': row('Read every declared resource.', ...all),
  'config:write': row('Declare, change and archive resources.', 'OWNER', 'ADMIN'),
  'owner:grant': row('Make and unmake owners.', 'OWNER'),
  'key:issue': row('Issue, rotate and limit keys of any principal.', 'OWNER', 'ADMIN'),
  'key:issue-own': row('Issue and rotate keys of one’s own principal.', 'OWNER', 'ADMIN', 'MEMBER'),
  'key:revoke': row('Revoke any key.', 'OWNER', 'ADMIN'),
  'credential:set': row('Set the secret of a credential. It can never be read.', 'OWNER', 'ADMIN'),
  'plane:enroll': row('Enrol data planes.', 'OWNER', 'ADMIN'),
  'spend:read': row('See what everyone spends.', ...all),
  'spend:read-own': row('See what one’s own principal spends.', ...all, 'MEMBER'),
  'record:read': row('Read flight records. They hold no content.', ...all),
  'record:read-own': row('Read flight records of one’s own principal.', ...all, 'MEMBER'),
  'event:read': row('Follow configuration and data-plane events.', ...all),
  'audit:read': row('Read the audit log.', 'OWNER', 'ADMIN', 'AUDITOR'),
  'audit:export': row('Export records, proofs and evidence.', 'OWNER', 'AUDITOR'),
  'hold:place': row('Place and release legal holds.', 'OWNER', 'AUDITOR'),
  'installation:tenants': row(
    'Make tenants, list them and act in them. Owners of the first tenant hold it: they operate the installation.',
    'OWNER',
  ),
  'recorder:read-payload': row('Read what was asked and answered.'),
  'recorder:shred': row('Erase payloads for good.'),
} as const satisfies Record<string, PermissionRow>

export type Permission = keyof typeof permissions
export const permissionNames = Object.keys(permissions) as Permission[]

/** True where a text names a permission. */
export function isPermission(text: string): text is Permission {
  return Object.hasOwn(permissions, text)
}

const byRole = new Map<Role, ReadonlySet<Permission>>(
  roles.map((role) => [
    role,
    new Set(permissionNames.filter((name) => (permissions[name].roles as readonly Role[]).includes(role))),
  ]),
)

/** What a role brings in the tenant that operates the installation only. */
const operatorsOnly: ReadonlySet<Permission> = new Set(['installation:tenants'])

const byRoleElsewhere = new Map([...byRole].map(([role, held]) => [role, held.difference(operatorsOnly)]))

/** Everything a role brings; `operates` where it is held in the tenant that operates the installation. */
export function permissionsOf(role: Role, operates = false): ReadonlySet<Permission> {
  return (operates ? byRole : byRoleElsewhere).get(role)!
}

/** Permissions that no role brings; only a key can name them. */
export const namedOnly: ReadonlySet<Permission> = new Set(
  permissionNames.filter((name) => permissions[name].roles.length === 0),
)
