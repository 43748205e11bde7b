import type { Permission } from '../../schema/permissions.ts'
import type { Context } from './context.ts'

export type ActorKind = 'PERSON' | 'SERVICE' | 'API_KEY' | 'DATA_PLANE' | 'SYSTEM'

/** Who acts, derived from what was authenticated and never from input. */
export interface Actor {
  kind: ActorKind
  id: string
  name: string
  tenant: string
  /** The principal behind it; null for data planes and the system itself. */
  principal: string | null
  permissions: ReadonlySet<Permission>
  /** For a key: the principal whose key it is. */
  onBehalfOf?: Actor
}

/**
 * The actor behind an admin token (`sla_…`), found by its SHA-256. Undefined where it is unknown, revoked or expired, where
 * its principal was archived, or where the key is bound to addresses and `address` is not one of them.
 */
export async function authenticate(ctx: Context, token: string, address?: string): Promise<Actor | undefined> {
  void ctx, token, address
  throw new Error('not built yet')
}
