import { eq } from 'drizzle-orm'
import { instance } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { record } from './audit.ts'
import type { Context } from './context.ts'
import { resourcesByIds } from './resources.ts'

export interface RefusedPlane {
  /** What for, one word. */
  code: string
  reason: string
  /** So often since the last entry of this kind. */
  times: number
  /** In these tenants' logs; absent = in those of all that it serves or served. */
  tenants?: readonly string[]
}

/** Puts it into the audit log that an instance was refused something. Whoever calls bounds how often. */
export async function noteRefused(ctx: Context, id: string, refused: RefusedPlane): Promise<void> {
  const rows = await ctx.db.withInstallation((tx) =>
    tx.select().from(instance).where(eq(instance.id, id)).orderBy(instance.tenant),
  )
  const concerned = rows.filter(({ tenant }) => refused.tenants?.includes(tenant) ?? true)
  const { code, reason, times } = refused
  for (const { tenant, dataPlane } of concerned) {
    await ctx.db.withTenant(tenant, async (tx) => {
      const [plane] = await resourcesByIds(tx, tenant, [dataPlane])
      const name = plane?.name ?? dataPlane
      const actor: Actor = { kind: 'DATA_PLANE', id, name, tenant, principal: null, permissions: new Set() }
      const changes = [{ path: ['refused', code], before: null, after: String(times) }]
      const targets = [{ id: dataPlane, name, changes }]
      await record(tx, ctx, actor, { action: 'dataPlane.refuse', targets, reason, allowed: false })
      await ctx.db.notify(tx, 'records', tenant)
    })
  }
}
