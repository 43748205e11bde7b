import type { TenantSummary as Summary } from '../domain/tenants.ts'
import { type TenantCreateInput, type TenantCreatePayload, tenantCreate, tenants } from '../domain/tenants.ts'
import { builder } from './builder.ts'
import { configInput } from './config-inputs.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import { searchOf } from './filters.ts'
import { mutation, payload } from './payload.ts'

/** Not a Tenant: what hangs below that is read as the caller's own tenant. */
const TenantSummary = builder.objectRef<Summary>('TenantSummary').implement({
  description:
    'A tenant seen from outside, by operators of the installation. To act in it, name it in x-sluice-tenant.',
  fields: (t) => ({
    id: t.exposeID('id'),
    name: t.exposeString('name'),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
})

builder.queryField('tenants', (t) =>
  t.field({
    type: connectionOf(TenantSummary),
    description: 'Every tenant of the installation, oldest first. Operators of the installation only.',
    args: { search: t.arg.string(), first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
    authScopes: { may: 'installation:tenants' },
    complexity: pageCost,
    resolve: async (_, args, ctx) => {
      const after = keysetAfter(args.after, 1)?.[0]
      const query = {
        search: searchOf(args.search),
        first: pageSize(args),
        after: after === undefined ? null : String(after),
      }
      const { rows, hasNext } = await tenants(ctx.domain, query)
      return page(rows, hasNext, (row) => [row.id], args.after)
    },
  }),
)

const IdentityInput = configInput('IdentityInput')

mutation('tenantCreate', {
  description: 'Make a tenant with its first owner. Operators of the installation only.',
  payload: payload<TenantCreatePayload>(
    'TenantCreatePayload',
    (t) => ({
      tenant: t.expose('tenant', { type: TenantSummary, nullable: true }),
      adminToken: t.exposeString('adminToken', { nullable: true }),
      replayed: t.exposeBoolean('replayed'),
    }),
    '`adminToken` is the first owner’s, and shown once: null on a replay of the same idempotency key.',
  ),
  input: builder.inputType('TenantCreateInput', {
    description: '`owner` is how the first owner signs in; without it, by the admin token alone.',
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      name: t.string({ required: true }),
      currency: t.field({ type: 'Currency' }),
      ownerName: t.string(),
      owner: t.field({ type: IdentityInput }),
      reason: t.string(),
    }),
  }),
  run: (ctx, actor, input) => tenantCreate(ctx, actor, input as TenantCreateInput),
})
