import type { CounterPer } from '../../schema/config/index.ts'
import type { SnapshotCredentialScope, SnapshotScope } from '../../schema/snapshot.ts'
import { placeIsKnown } from '../policies/condition.ts'

type Scope = SnapshotScope | SnapshotCredentialScope

const depths: Partial<Record<Scope['kind'], number>> = { TEAM: 1, PROJECT: 2, PRINCIPAL: 3, API_KEY: 4 }
/** What is at least so narrow is told by name: it is of the key's own project, or below. */
export const projectDepth = depths.PROJECT!

/** How narrow something is that counts requests. Places and labels are no part of the order: a client may choose them. */
export function depthOf(scope: Scope, per: CounterPer | null): number {
  return Math.max(depths[scope.kind] ?? 0, per ? (depths[per as Scope['kind']] ?? 0) : 0)
}

const scopeKinds: ReadonlySet<string> = new Set<SnapshotScope['kind']>([
  ...(['TENANT', 'TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY', 'PROVIDER', 'MODEL', 'TIER', 'LABEL'] as const),
])
const pers: ReadonlySet<string | null> = new Set([
  ...([null, 'TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY', 'MODEL', 'LABEL_VALUE'] as const),
])

/** Something that nobody here could count by; undefined where all is well. `further` = kinds of scopes beside the usual ones. */
export function findCounterFault(
  config: Parameters<typeof placeIsKnown>[0],
  scope: Scope,
  per: CounterPer | null,
  further: readonly Scope['kind'][] = [],
): string | undefined {
  if ((!scopeKinds.has(scope.kind) && !further.includes(scope.kind)) || !pers.has(per))
    return 'counts by something that this version does not know. Update the gateway.'
  return placeIsKnown(config, scope) ? undefined : 'is of a place that is not there.'
}
