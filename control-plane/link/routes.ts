import type { Server, ServerWebSocket, WebSocketHandler } from 'bun'
import { linkFrameBytesMax } from '../../schema/link.ts'
import type { Context } from '../domain/context.ts'
import { type LinkDomain, linkDomain } from './domain.ts'
import { enroll, refusal } from './enroll.ts'
import { servePart } from './parts.ts'
import { PlaneSession, type SessionHost } from './plane-session.ts'
import { PlaneSessions } from './sessions.ts'
import { onlineKeyOf, type RootedInstallation, rootsAfter } from './trust.ts'

/** What a plane's socket carries. */
export interface PlaneSocketData {
  kind: 'plane'
  session: PlaneSession | undefined
}

/** Everything below `/plane/v1/`, to be mounted beside the control plane's other routes. */
export interface PlaneRoutes {
  prefix: '/plane/v1/'
  kind: 'plane'
  /** Undefined where the request became a WebSocket. */
  fetch(request: Request, server: Server<never>): Promise<Response | undefined>
  websocket: WebSocketHandler<PlaneSocketData>
  /** Says goodbye to every plane and stops listening. */
  close(): Promise<void>
}

const logToStderr: SessionHost['log'] = (level, sentence) => console.error(`${level}: ${sentence}`)

/** The control plane's side of the link. */
export function planeRoutes(options: {
  ctx: Context
  installation: RootedInstallation
  log?: SessionHost['log']
}): PlaneRoutes {
  return routesOver(linkDomain(options.ctx), options.installation, options.log ?? logToStderr)
}

/** The same over any domain. */
export function routesOver(domain: LinkDomain, installation: RootedInstallation, log: SessionHost['log']): PlaneRoutes {
  const sessions = new PlaneSessions({
    domain,
    online: onlineKeyOf(installation),
    rootsAfter: rootsAfter(installation),
    log,
  })
  return {
    prefix: '/plane/v1/',
    kind: 'plane',
    async fetch(request, server) {
      const { pathname } = new URL(request.url)
      if (pathname === '/plane/v1/enroll') return enroll(request, domain, installation.trustRoot)
      if (pathname === '/plane/v1/link') return upgrade(request, server as unknown as Server<PlaneSocketData>, sessions)
      const part = /^\/plane\/v1\/parts\/([0-9a-f]{64})$/.exec(pathname)
      if (part) return servePart(request, part[1]!, sessions, domain)
      return refusal(404, 'Planes have /plane/v1/enroll, /plane/v1/link and /plane/v1/parts/<digest>.')
    },
    websocket: socketEvents(sessions),
    close: () => sessions.close(),
  }
}

function upgrade(request: Request, server: Server<PlaneSocketData>, sessions: PlaneSessions): Response | undefined {
  if (sessions.isFull) return refusal(503, 'Too many planes are opening their links at once; try again.')
  // Browsers send an origin; a plane has none, and no page may open a link in its visitor's name.
  if (request.headers.has('origin')) return refusal(403, 'A link is opened by a data plane, not by a page.')
  if (server.upgrade(request, { data: { kind: 'plane', session: undefined } })) return undefined
  return refusal(426, 'The link is a WebSocket.')
}

function socketEvents(sessions: PlaneSessions): WebSocketHandler<PlaneSocketData> {
  return {
    maxPayloadLength: linkFrameBytesMax,
    open(ws: ServerWebSocket<PlaneSocketData>) {
      ws.data.session = new PlaneSession(ws, sessions)
      sessions.add(ws.data.session)
    },
    message: (ws, frame) => ws.data.session?.receive(frame),
    drain: (ws) => ws.data.session?.drained(),
    close(ws, _code, reason) {
      if (!ws.data.session) return
      // Bun drops a frame beyond `maxPayloadLength` unread: this reason is all that is heard of it.
      if (reason === 'Received too big message') ws.data.session.tooLarge()
      ws.data.session.closed()
      sessions.remove(ws.data.session)
    },
  }
}
