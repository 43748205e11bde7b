import type { LinkDomain } from './domain.ts'
import { refusal } from './enroll.ts'
import type { PlaneSession } from './plane-session.ts'
import type { PlaneSessions } from './sessions.ts'

/**
 * `GET /plane/v1/parts/<digest>?tenant=<tenant>`: a manifest or part of a snapshot. Of a link that is held here, only what that very link was
 * told of; of a link that another control plane holds, only what that tenant's kept snapshots are made of.
 */
export async function servePart(request: Request, digest: string, sessions: PlaneSessions, domain: LinkDomain) {
  if (request.method !== 'GET') return refusal(405, 'Parts are fetched with GET.')
  const bearer = /^Bearer (\S{1,200})$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  const holder = bearer && (await sessions.withToken(bearer))
  if (!holder) return refusal(401, 'Parts are given only to a plane whose link is open, with the token of that link.')
  const { serves } = 'offered' in holder ? holder.instance : holder
  // A plane that names no tenant is of the time when each served one.
  const tenant = new URL(request.url).searchParams.get('tenant') ?? serves[0]!
  if (!serves.includes(tenant)) return refusal(404, 'There is no such part.')
  const bytes =
    'offered' in holder ? await offeredPart(holder, tenant, digest, domain) : await anyPart(tenant, digest, domain)
  // What this plane was not told of does not exist for it, whether another tenant has it or not.
  if (!bytes) return refusal(404, 'There is no such part.')
  return new Response(new Uint8Array(bytes), {
    headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' },
  })
}

async function offeredPart(
  session: PlaneSession,
  tenant: string,
  digest: string,
  domain: LinkDomain,
): Promise<Buffer | undefined> {
  const offered = session.offered(tenant, digest)
  return offered === true ? domain.part(tenant, digest) : offered || undefined
}

async function anyPart(tenant: string, digest: string, domain: LinkDomain): Promise<Buffer | undefined> {
  return (await domain.part(tenant, digest)) ?? domain.manifest(tenant, digest)
}
