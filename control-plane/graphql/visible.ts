import type { Resource } from '../../schema/config/index.ts'
import type { Actor } from '../domain/actor.ts'

/** What any member may see, since the answers to its own requests name them anyway. */
const shared = new Set<Resource['kind']>(['tenant', 'provider', 'model', 'tier', 'alias', 'route', 'dataPlane'])

/** Whether this actor may see a resource. What it may not see does not exist for it: null, or the same NotFound. */
export function isVisible(actor: Actor, resource: Resource): boolean {
  if (actor.permissions.has('config:read') || shared.has(resource.kind)) return true
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
