import type { Server } from 'bun'
import { mintId } from '../../schema/ids.ts'
import { documents } from '../dashboard/documents.ts'
import { DatabaseUnavailable } from '../db/trouble.ts'
import type { Context } from '../domain/context.ts'
import { Quota } from '../graphql/quota.ts'
import { cookieName } from '../sessions/cookie.ts'
import { isForeign } from '../sessions/origin.ts'
import { type Authenticator, adminToken, browserSession } from './authenticators.ts'
import { addressOf, callerOf, presentedBy } from './caller.ts'
import { buildDashboard, type Dashboard } from './dashboard.ts'
import { graphiqlPage } from './graphiql.ts'
import { makeYoga, type Yoga } from './graphql.ts'
import { type GraphqlSocketData, graphqlSocket, upgradeGraphql } from './graphql-socket.ts'
import { addressUrl, cannotListen } from './listening.ts'
import { isJson } from './media-type.ts'
import { Metrics } from './metrics.ts'
import type { GraphqlOptions } from './operation.ts'
import { readinessOf } from './ready.ts'
import { refused } from './refused.ts'
import { type SessionParts, signIn, signOut, ticketRoute } from './session-routes.ts'
import { dispatchSockets, type MountedRoutes, type SocketData } from './sockets.ts'

export interface ServeOptions {
  host: string
  /** 0 = any free port. */
  port: number
  tls?: { cert: string; key: string }
  /** Largest request body; default 16 MiB. */
  bodyBytesMax?: number
  /** Routes of others on the same port, such as `/plane/v1/`. */
  mounts?: MountedRoutes[]
  /** Asked in this order who a caller is; default: admin tokens, then, where there are any, sessions of browsers. */
  authenticators?: Authenticator[]
  /** Points that one caller may spend a minute; default two million. */
  apiQuota?: number
  /** Hears of errors that callers see only as INTERNAL. */
  report?: (error: unknown, requestId: string) => void
}

export interface ControlPlaneServer {
  /** `http://127.0.0.1:4000` */
  url: string
  port: number
  /** Lets requests in flight finish for at most a second, then closes every connection. */
  stop(): Promise<void>
}

export { CannotListen } from './listening.ts'

const mebibyte = 1024 * 1024
const stopGraceMs = 1_000

/** The control plane on one port: GraphQL by POST, GET, SSE and WebSocket, the dashboard, GraphiQL, health, metrics, mounts. */
export async function serveControlPlane(ctx: Context, options: ServeOptions): Promise<ControlPlaneServer> {
  const { host, port, mounts = [] } = options
  const metrics = new Metrics()
  const log = options.report ?? ((error, requestId) => console.error(`${requestId}:`, error))
  // A session's cookie is named after the port, which is known once this listens.
  const authenticators = options.authenticators ?? [adminToken]
  const graphql: GraphqlOptions = {
    ctx,
    authenticators,
    quota: new Quota(ctx.clock, options.apiQuota),
    bodyBytesMax: options.bodyBytesMax ?? 16 * mebibyte,
    sessionDocuments: new Set(Object.values(documents).map((document) => document.trim())),
    report(error, requestId) {
      metrics.masked()
      log(error, requestId)
    },
  }
  const yoga = makeYoga(graphql)
  const dashboard = await buildDashboard()
  const secure = options.tls !== undefined
  const parts: Parts = { ctx, graphql, yoga, dashboard, metrics, mounts, secure, cookie: '' }
  const server = listen(host, port, () =>
    Bun.serve<SocketData>({
      hostname: host,
      port,
      tls: options.tls,
      idleTimeout: 30,
      // Four times ours, so that what is too large is mostly answered by us, in words.
      maxRequestBodySize: 4 * graphql.bodyBytesMax,
      fetch: (request, own) => measured(parts, request, own as never),
      error: (error) => internalError(graphql, error),
      websocket: dispatchSockets(
        new Map([
          ['graphql', graphqlSocket(yoga, graphql) as never],
          ...mounts.flatMap(({ kind, websocket }) => (websocket ? [[kind, websocket] as const] : [])),
        ]),
      ),
    }),
  )
  parts.cookie = cookieName(server.port!, secure)
  if (!options.authenticators) authenticators.push(browserSession(ctx, parts.cookie))
  return {
    url: addressUrl(host, server.port!, secure),
    port: server.port!,
    async stop() {
      const finished = server.stop(false)
      if (server.pendingRequests > 0) await Promise.race([finished, Bun.sleep(stopGraceMs)])
      await server.stop(true)
    },
  }
}

interface Parts extends SessionParts {
  yoga: Yoga
  dashboard: Dashboard
  metrics: Metrics
  mounts: MountedRoutes[]
}

function listen<S>(host: string, port: number, start: () => S): S {
  try {
    return start()
  } catch (error) {
    throw cannotListen(error, host, port)
  }
}

async function measured(parts: Parts, request: Request, server: Server<never>): Promise<Response | undefined> {
  const startedAt = performance.now()
  const { pathname } = new URL(request.url)
  const mount = parts.mounts.find(({ prefix }) => pathname.startsWith(prefix))
  const response = await (mount ? mount.fetch(request, server) : route(parts, request, server, pathname))
  const known = mount?.prefix ?? (/^\/(graphql|session|healthz|readyz|metrics)?(?=\/|$)/.exec(pathname)?.[0] || 'other')
  parts.metrics.observe(known, response?.status ?? 101, performance.now() - startedAt)
  return response
}

async function route(parts: Parts, request: Request, server: Server<never>, pathname: string) {
  if (pathname === '/graphql') return graphqlRoute(parts, request, server)
  if (pathname === '/healthz') return new Response('ok\n')
  if (pathname === '/readyz') return ready(parts.ctx)
  if (pathname === '/metrics') return parts.metrics.answer()
  if (pathname === '/session/ticket') return ticketRoute(parts, request, server)
  if (pathname === '/session') return signOut(parts, request)
  if (request.method === 'GET' || request.method === 'HEAD') {
    const ticket = pathname === '/' && new URL(request.url).searchParams.get('ticket')
    const answer = ticket ? await signIn(parts, ticket) : parts.dashboard.answer(pathname)
    if (answer) return answer
  }
  return new Response('Not found. There is /, /graphql, /healthz, /readyz and /metrics.\n', { status: 404 })
}

async function graphqlRoute(parts: Parts, request: Request, server: Server<never>): Promise<Response | undefined> {
  const { ctx, graphql, yoga } = parts
  if (isPageVisit(request)) return graphiqlPage()
  const requestId = mintId('correlation')
  if (isForeign(request)) return refused('FOREIGN_ORIGIN', requestId)
  const presented = presentedBy(request.headers, addressOf(request, server))
  if (request.headers.get('upgrade')?.toLowerCase() === 'websocket')
    return upgradeGraphql(request, server as unknown as Server<GraphqlSocketData>, presented)
  if (Number(request.headers.get('content-length') ?? 0) > graphql.bodyBytesMax) return refused('TOO_LARGE', requestId)
  if (request.method === 'POST' && !isJson(request.headers.get('content-type') ?? ''))
    return refused('UNSUPPORTED_MEDIA_TYPE', requestId)
  const caller = await callerOf(ctx, graphql.authenticators, presented)
  // A stream is quiet for as long as nothing happens; its pings keep proxies in between awake.
  if (request.headers.get('accept')?.includes('text/event-stream')) server.timeout(request, 0)
  const response = await yoga.fetch(request, { caller, requestId })
  response.headers.set('x-sluice-request-id', requestId)
  return response
}

/** A browser that opens /graphql as a page, not a page that asks it something. */
function isPageVisit(request: Request): boolean {
  return (
    request.method === 'GET' &&
    (request.headers.get('accept') ?? '').includes('text/html') &&
    !new URL(request.url).searchParams.has('query')
  )
}

function internalError(graphql: GraphqlOptions, error: unknown): Response {
  const requestId = mintId('correlation')
  if (error instanceof DatabaseUnavailable) return refused('UNAVAILABLE', requestId, error.message)
  graphql.report(error, requestId)
  return refused('INTERNAL', requestId)
}

async function ready(ctx: Context): Promise<Response> {
  const { ready, line } = await readinessOf(ctx)
  return ready ? new Response(line) : new Response(line, { status: 503, headers: { 'retry-after': '2' } })
}
