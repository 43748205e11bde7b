import { and, eq } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import { resource } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { record } from './audit.ts'
import type { Context } from './context.ts'
import { draftNew } from './draft.ts'
import { invalidInput, notFound, notPermitted, type UserError } from './errors.ts'
import { Lookup } from './lookup.ts'
import { changeOf } from './plan.ts'
import { joinInstances } from './plane-joining.ts'
import type { DataPlaneEnrollInput } from './planes.ts'
import { lockTenant } from './tenant-lock.ts'
import { actAs } from './tenants.ts'
import { writeRevision } from './write.ts'

/** Enrolled again with others, a fleet can serve more. */
const tenantsMax = 100
const permission: Permission = 'installation:tenants'
const action = 'dataPlane.enroll'

/** A tenant that a data plane is to serve beside its own, as the operator acts there. */
export interface Further {
  there: Actor
  path: string[]
}

/** Whom an operator of the installation may act as in the tenants it names. Locks of tenants are taken in this order. */
export async function furtherTenants(
  ctx: Context,
  actor: Actor,
  refs: readonly string[],
): Promise<{ tenants: Further[]; errors: UserError[] }> {
  if (refs.length === 0) return { tenants: [], errors: [] }
  if (!actor.permissions.has(permission)) return { tenants: [], errors: [notPermitted(permission, ['tenants'])] }
  if (refs.length > tenantsMax)
    return { tenants: [], errors: [invalidInput(['tenants'], `names at most ${tenantsMax} tenants at once`)] }
  const errors: UserError[] = []
  const tenants = new Map<string, Further>()
  for (const [at, ref] of refs.entries()) {
    const path = ['tenants', String(at)]
    const there = await actAs(ctx, actor, ref)
    if (there === 'NO_SUCH_TENANT') errors.push(notFound(path, ref))
    else if (there === 'SEVERAL_SUCH_TENANTS')
      errors.push(invalidInput(path, 'is the name of several tenants; name the one by its id'))
    else if (!there.permissions.has('plane:enroll')) errors.push(notPermitted('plane:enroll', path))
    else if (there.tenant !== actor.tenant) tenants.set(there.tenant, { there, path })
  }
  const inOrder = [...tenants.values()].sort((a, b) => (a.there.tenant < b.there.tenant ? -1 : 1))
  return { tenants: inOrder, errors }
}

/**
 * Declares the data plane in one more tenant, under the same id: it is one fleet, and its records name it so in every tenant. A
 * tenant's own fleet of that name is left alone, and one that the tenant has archived comes back only by the tenant.
 */
export async function declareFurther(
  tx: Tx,
  ctx: Context,
  operator: Actor,
  { there, path }: Further,
  plane: Resource,
  input: DataPlaneEnrollInput,
  errors: UserError[],
): Promise<void> {
  const { tenant } = there
  await lockTenant(tx, tenant)
  const [known] = await tx
    .select({ archivedAt: resource.archivedAt })
    .from(resource)
    .where(and(eq(resource.tenant, tenant), eq(resource.id, plane.id)))
  if (known?.archivedAt)
    return void errors.push(
      invalidInput(
        path,
        'has archived this data plane; it can be enrolled there again once that tenant has restored it',
      ),
    )
  if (known) await noteAgain(tx, ctx, there, plane, input.reason)
  else await declareThere(tx, ctx, there, path, plane, input, errors)
  if (errors.length === 0) await joinInstances(tx, ctx, plane.id, operator.tenant, tenant)
}

async function noteAgain(tx: Tx, ctx: Context, there: Actor, { id, name }: Resource, reason?: string | null) {
  await record(tx, ctx, there, { action, reason, targets: [{ id, name, changes: [] }] })
  await ctx.db.notify(tx, 'records', there.tenant)
}

async function declareThere(
  tx: Tx,
  ctx: Context,
  there: Actor,
  path: string[],
  plane: Resource,
  input: DataPlaneEnrollInput,
  errors: UserError[],
) {
  const lookup = new Lookup(tx, there.tenant)
  const handle = handleOf('dataPlane', plane.name)
  await lookup.load([handle])
  if (lookup.find(handle))
    return void errors.push(invalidInput(path, `has a ${handle} of its own; choose another name for this one`))
  const { adapter, labels, reason } = input
  const fields = { name: plane.name, adapter, labels }
  const draft = await draftNew(lookup, 'dataPlane', fields, ctx.clock.now(), errors)
  if (!draft || errors.length > 0) return
  const same = { ...draft, after: { ...draft.after, id: plane.id } }
  const changes = [changeOf(same, (id) => id)]
  await writeRevision(tx, ctx, there, [same], { action, reason, changes })
}
