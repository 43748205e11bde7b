import { CannotListen, cannotListen } from './listening.ts'

/** The control plane's port while it has no database: alive, and not ready. */
export interface WaitingRoom {
  port: number
  waitsFor(sentence: string): void
  close(): Promise<void>
}

/** Refused where the port cannot be had: better said now than after the wait. */
export function waitingRoom(options: {
  host: string
  port: number
  tls?: { cert: string; key: string }
}): WaitingRoom | { refused: string } {
  const { host, port, tls } = options
  let reason = ''
  const answer = () => new Response(`${reason}\n`, { status: 503, headers: { 'retry-after': '2' } })
  try {
    const server = Bun.serve({
      hostname: host,
      port,
      tls,
      fetch: (request) => (new URL(request.url).pathname === '/healthz' ? new Response('ok\n') : answer()),
    })
    return {
      port: server.port!,
      waitsFor: (sentence) => {
        reason = sentence
      },
      close: () => server.stop(true),
    }
  } catch (error) {
    const known = cannotListen(error, host, port)
    if (known instanceof CannotListen) return { refused: known.message }
    throw error
  }
}
