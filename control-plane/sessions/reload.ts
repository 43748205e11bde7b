import type { Resource } from '../../schema/config/index.ts'
import type { Actor } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import { apiKeyFacts } from '../domain/keys.ts'
import { keyPermissions } from '../domain/privileges.ts'
import { resourcesByIds } from '../domain/resources.ts'

/**
 * The actor of a session as it is now. A session ends with the key it was opened by: revoked, expired or archived, or its
 * principal archived. What the principal's roles give is looked up again each time.
 */
export async function reloadActor(ctx: Context, actor: Actor): Promise<Actor | undefined> {
  if (actor.kind !== 'API_KEY') return actor
  const nowMs = ctx.clock.now()
  return ctx.db.withTenant(actor.tenant, async (tx) => {
    const asked = [actor.tenant, actor.id, actor.principal ?? '']
    const [tenant, key, principal] = await resourcesByIds(tx, actor.tenant, asked)
    if (tenant?.kind !== 'tenant' || key?.kind !== 'apiKey' || !isLive(key) || !isLive(principal)) return undefined
    const [facts] = await apiKeyFacts(tx, actor.tenant, [key.id], nowMs)
    if (!facts || facts.state === 'REVOKED' || facts.state === 'EXPIRED') return undefined
    return { ...actor, permissions: keyPermissions(tenant, key, actor.operates) }
  })
}

const isLive = (resource: Resource | undefined) => resource !== undefined && resource.archivedAt === null
