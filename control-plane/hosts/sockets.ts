import type { Server, ServerWebSocket, WebSocketHandler } from 'bun'

/** What every socket carries; `kind` says whose it is. */
export interface SocketData {
  kind: string
}

/**
 * Routes of another part of the control plane that live on the same port. `fetch` answers, or returns undefined after it has
 * upgraded the request with `data: { kind, … }`; the socket's events then come to `websocket`.
 */
export interface MountedRoutes {
  /** `/plane/v1/`: everything below goes to `fetch`. */
  prefix: string
  /** The `kind` its sockets carry. */
  kind: string
  fetch: (request: Request, server: Server<never>) => Response | Promise<Response | undefined> | undefined
  websocket?: WebSocketHandler<unknown>
}

type Handler = WebSocketHandler<SocketData>

/**
 * One WebSocket handler for Bun.serve out of several, told apart by `ws.data.kind`. Bounds are the largest that any part asks
 * for; each part checks its own smaller ones. A part that throws loses its socket, not the process.
 */
export function dispatchSockets(handlers: ReadonlyMap<string, WebSocketHandler<unknown>>): Handler {
  const of = (ws: ServerWebSocket<SocketData>) => handlers.get(ws.data.kind) as Handler | undefined
  const largest = (name: 'maxPayloadLength' | 'backpressureLimit', least: number) =>
    Math.max(least, ...[...handlers.values()].map((handler) => handler[name] ?? 0))
  return {
    maxPayloadLength: largest('maxPayloadLength', 1024 * 1024),
    backpressureLimit: largest('backpressureLimit', 16 * 1024 * 1024),
    // A reader that does not keep up is cut off, not buffered for.
    closeOnBackpressureLimit: true,
    idleTimeout: 120,
    sendPings: true,
    open: (ws) => guarded(ws, () => of(ws)?.open?.(ws)),
    message: (ws, message) => guarded(ws, () => of(ws)?.message?.(ws, message)),
    drain: (ws) => guarded(ws, () => of(ws)?.drain?.(ws)),
    close: (ws, code, reason) => guarded(ws, () => of(ws)?.close?.(ws, code, reason)),
  }
}

async function guarded(ws: ServerWebSocket<SocketData>, work: () => unknown): Promise<void> {
  try {
    await work()
  } catch (error) {
    console.error(`A ${ws.data.kind} socket failed:`, error)
    ws.close(1011, 'Internal error')
  }
}
