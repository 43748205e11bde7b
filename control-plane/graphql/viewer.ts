import { roles } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import { permissionNames, permissions } from '../../schema/permissions.ts'
import type { Actor as ActorShape } from '../domain/actor.ts'
import { Actor } from './audit.ts'
import { builder } from './builder.ts'
import { configEnum } from './config-inputs.ts'
import { configSchema } from './config-schema.ts'
import { loaders, referenced } from './loaders.ts'
import { ResourceKind } from './node.ts'
import { Membership } from './organisation.ts'
import { Tenant } from './refs.ts'

const Viewer = builder.objectRef<ActorShape>('Viewer').implement({
  description: 'Who asks, and what it may do.',
  fields: (t) => ({
    actor: t.field({ type: Actor, resolve: (actor) => actor }),
    tenant: t.field({ type: Tenant, resolve: ({ tenant }, _, ctx) => referenced(ctx, 'tenant', tenant) }),
    memberships: t.field({
      type: [Membership],
      resolve: ({ principal }, _, ctx) => (principal ? loaders(ctx).memberships.load(principal) : []),
    }),
    permissions: t.stringList({ resolve: (actor) => [...actor.permissions].sort() }),
  }),
})

const PermissionType = builder.objectRef<(typeof permissionNames)[number]>('Permission').implement({
  fields: (t) => ({
    name: t.string({ resolve: (name) => name }),
    description: t.string({ resolve: (name) => permissions[name].description }),
    roles: t.field({
      type: [configEnum('Role')],
      resolve: (name) => roles.filter((role) => (permissions[name].roles as readonly string[]).includes(role)),
    }),
  }),
})

builder.queryFields((t) => ({
  viewer: t.field({ type: Viewer, resolve: (_, _args, { actor }) => actor }),
  permissions: t.field({
    type: [PermissionType],
    description: 'Every permission there is, and the roles that hold it.',
    resolve: () => permissionNames,
  }),
  configSchema: t.field({
    type: 'JSONSchema',
    description: 'JSON Schema of the config file, for editor completion.',
    args: { kind: t.arg({ type: ResourceKind }) },
    resolve: (_, { kind }) => configSchema(kind as Kind | null | undefined),
  }),
}))
