import type { Resource } from '../../schema/config/index.ts'
import type { Actor } from '../domain/actor.ts'

/** What records name: who may read its own records meets these in them. */
const named = new Set<Resource['kind']>(['provider', 'model', 'tier', 'alias', 'dataPlane'])

/** Whether this actor may meet what requests are served by: names, not how they are reached. */
export const maySeeServing = ({ permissions }: Actor): boolean =>
  permissions.has('config:read') || permissions.has('record:read-own')

/**
 * Whether this actor may see a resource. What it may not see does not exist for it: null, or the same NotFound. Who has no
 * role sees itself: its principal, its keys, the teams and projects it is a member of, and which tenant it is in.
 */
export function isVisible(actor: Actor, resource: Resource): boolean {
  if (actor.permissions.has('config:read') || resource.kind === 'tenant') return true
  if (named.has(resource.kind)) return maySeeServing(actor)
  const own = actor.principal
  if (own === null) return false
  if (resource.kind === 'principal') return resource.id === own
  if (resource.kind === 'apiKey') return resource.spec.principal === own
  if (resource.kind === 'team' || resource.kind === 'project')
    return resource.spec.members.some((member) => member.principal === own)
  return false
}

/**
 * The principals whose spending or records this actor may see: null = everyone's, undefined = none, since it holds neither
 * permission.
 */
export function readablePrincipals(actor: Actor, of: 'spend' | 'record'): string[] | null | undefined {
  if (actor.permissions.has(`${of}:read`)) return null
  return actor.permissions.has(`${of}:read-own`) && actor.principal !== null ? [actor.principal] : undefined
}

interface Asking {
  load: (id: string) => Promise<Resource | undefined>
  /** Ids of a principal's keys. */
  keysOf: (principal: string) => Promise<string[]>
}

/**
 * The subjects of a budget whose spending this actor may see: null = all, undefined = none. Who sees its own spending alone sees
 * budgets on itself and its keys, and of those that count each person or key where it belongs, its own counters.
 */
export async function readableSubjects(
  actor: Actor,
  { spec }: Resource<'budget'>,
  { load, keysOf }: Asking,
): Promise<string[] | null | undefined> {
  const principals = readablePrincipals(actor, 'spend')
  if (!principals) return principals
  const own = principals[0]!
  if (spec.scope === own) return null
  const scope = spec.scope === actor.tenant ? null : await load(spec.scope)
  if (scope?.kind === 'apiKey') return scope.spec.principal === own ? null : undefined
  const belongs = scope === null || ((scope?.kind === 'team' || scope?.kind === 'project') && isVisible(actor, scope))
  if (!belongs) return undefined
  if (spec.per === 'PRINCIPAL') return [own]
  return spec.per === 'API_KEY' ? keysOf(own) : undefined
}
