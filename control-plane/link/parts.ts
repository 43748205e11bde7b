import type { LinkDomain } from './domain.ts'
import { refusal } from './enroll.ts'
import type { PlaneSessions } from './sessions.ts'

/** `GET /plane/v1/parts/<digest>`: a manifest or part of a snapshot that this very link was told of. */
export async function servePart(request: Request, digest: string, sessions: PlaneSessions, domain: LinkDomain) {
  if (request.method !== 'GET') return refusal(405, 'Parts are fetched with GET.')
  const bearer = /^Bearer (\S{1,200})$/i.exec(request.headers.get('authorization') ?? '')?.[1]
  const session = bearer && sessions.withToken(bearer)
  if (!session) return refusal(401, 'Parts are given only to a plane whose link is open, with the token of that link.')
  const offered = session.offered(digest)
  const bytes = offered === true ? await domain.part(session.instance.tenant, digest) : offered || undefined
  // What this plane was not told of does not exist for it, whether another tenant has it or not.
  if (!bytes) return refusal(404, 'There is no such part.')
  return new Response(new Uint8Array(bytes), {
    headers: { 'content-type': 'application/octet-stream', 'cache-control': 'no-store' },
  })
}
