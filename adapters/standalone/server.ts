import type { Arrival } from '../../data-plane/arrival.ts'
import { Breakers } from '../../data-plane/breakers.ts'
import type { Call } from '../../data-plane/codecs/codec.ts'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { Exchange } from '../../data-plane/exchange.ts'
import { LabelValues } from '../../data-plane/labels/values.ts'
import type { Ports, Upstream } from '../../data-plane/ports.ts'
import { Latencies } from '../../data-plane/routing/latencies.ts'
import { refuse } from '../../schema/refusals.ts'
import { refusalAnswer } from './answers.ts'
import { Bodies, type HeldBody } from './bodies.ts'
import { Drive, type Driver } from './drive.ts'
import { keyOf } from './key.ts'
import type { Metrics } from './metrics.ts'
import { dialectFor, listModels, showModel } from './models.ts'
import { type Door, doors, geminiDoor, unknownSentence } from './surface.ts'
import { Watches } from './watch.ts'

export interface GatewayOptions {
  host: string
  port: number
  ports: Ports
  upstream: Upstream
  metrics: Metrics
  /** PEM; absent = plain HTTP. */
  tls?: { cert: string; key: string }
  bodyBytesMax: number
  /** More exchanges at once than this are refused `gateway_overloaded`. */
  exchangesMax: number
}

export interface Gateway {
  url: string
  /** Takes no new requests and waits for those under way, at most that long. */
  drain(timeoutMs: number): Promise<void>
}

/** Exchanges whose client left while the provider still works; beyond this they are cancelled and charged at the ceiling. */
const detachedMax = 256

/** A connection that says nothing for so long is closed. */
const idleS = 60

/** The gateway's surface for applications, on Bun.serve. */
export function serveGateway(options: GatewayOptions): Gateway {
  const { ports, metrics } = options
  const breakers = new Breakers()
  const latencies = new Latencies()
  const labelValues = new LabelValues()
  const driver: Driver = {
    upstream: options.upstream,
    watches: new Watches(),
    detached: { count: 0, most: detachedMax },
    onFault: metrics.fault,
  }
  const bodies = new Bodies(options.bodyBytesMax)
  let active = 0

  const serve = async (door: Door, request: Request, server: Bun.Server<undefined>): Promise<Response> => {
    if (active >= options.exchangesMax) return refusalAnswer(door.dialect, refuse('gateway_overloaded'))
    const call = callOf(door, request)
    if (!call) return refusalAnswer(door.dialect, refuse('unknown_endpoint', unknownSentence(request)))
    const body = bodies.of(request)
    const exchange = new Exchange(arrival(door, call, request, server, body), ports, breakers, latencies, labelValues)
    let lasting = false
    active++
    exchange.onClosed = () => {
      active--
      body.free()
      metrics.closed(exchange)
      if (lasting) server.timeout(request, idleS)
    }
    // While an answer lasts, the exchange's own deadline and idle timeout hold; most are over before that matters.
    const onLasting = () => {
      lasting = true
      server.timeout(request, 0)
    }
    return new Drive(exchange, driver).answer(() => request.signal, onLasting)
  }

  const list = (request: Request, server: Bun.Server<undefined>) =>
    listModels(request, callerOf(request, server), ports)
  const show = (request: Request, server: Bun.Server<undefined>) => showModel(request, callerOf(request, server), ports)
  const server = Bun.serve({
    hostname: options.host,
    port: options.port,
    tls: options.tls,
    // Ours refuses first, in the dialect's error shape; this is the wall behind it.
    maxRequestBodySize: options.bodyBytesMax * 2,
    idleTimeout: idleS,
    routes: {
      ...Object.fromEntries(doors.map((door) => [door.path, { POST: serve.bind(null, door) }])),
      '/v1/models': { GET: list },
      '/v1beta/models': { GET: list },
      '/v1/models/*': { GET: show, POST: serve.bind(null, geminiDoor) },
      '/v1beta/models/*': { GET: show, POST: serve.bind(null, geminiDoor) },
    },
    fetch: (request) => refusalAnswer(dialectFor(request), refuse('unknown_endpoint', unknownSentence(request))),
    error: (error) => {
      metrics.fault(error)
      return refusalAnswer(openaiChat, refuse('invariant_broken'))
    },
  })
  return {
    url: `${options.tls ? 'https' : 'http'}://${server.hostname}:${server.port}`,
    drain: async (timeoutMs) => {
      const stopped = server.stop(false)
      const deadlineMs = performance.now() + timeoutMs
      while (active > 0 && performance.now() < deadlineMs) await Bun.sleep(20)
      if (active > 0) await server.stop(true)
      else await Promise.race([stopped, Bun.sleep(250)])
    },
  }
}

function arrival(
  { dialect }: Door,
  call: Call,
  request: Request,
  server: Bun.Server<undefined>,
  body: HeldBody,
): Arrival {
  return {
    dialect,
    call,
    ...callerOf(request, server),
    headers: request.headers,
    readBody: () => body.read(),
  }
}

function callOf(door: Door, request: Request): Call | undefined {
  if (typeof door.call !== 'function') return door.call
  const { url } = request
  const from = url.indexOf('/', url.indexOf('//') + 2)
  const query = url.indexOf('?', from)
  return query < 0 ? door.call(url.slice(from), '') : door.call(url.slice(from, query), url.slice(query + 1))
}

/** Who calls, as far as the request itself tells. */
function callerOf(request: Request, server: Bun.Server<undefined>) {
  return { key: keyOf(request.headers), clientAddress: () => server.requestIP(request)?.address ?? null }
}
