import { randomBytes } from 'node:crypto'
import type { RunningProvider } from './snapshot/running.ts'

/** Version, trace id, span id, flags (W3C Trace Context, "traceparent"). A trace id of zeros is void. */
const traceparent = /^[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})/

/** The trace id of a `traceparent` header; null where there is none or it is void. */
export function traceIdOf(headers: Headers): string | null {
  const given = headers.get('traceparent')
  return given === null ? null : (traceparent.exec(given)?.[1] ?? null)
}

/** The trace goes on to the provider with a span of our own, so that its spans hang below this gateway's. */
function forwardTrace(client: Headers, into: Record<string, string>): void {
  const given = client.get('traceparent')
  const match = given === null ? null : traceparent.exec(given)
  if (!match) return
  into.traceparent = `00-${match[1]}-${randomBytes(8).toString('hex')}-${match[2]}`
  const state = client.get('tracestate')
  if (state !== null && state.length <= 512) into.tracestate = state
}

/**
 * The headers of a request to a provider: what the protocol itself says (`own`), the client's that the protocol (`forwards`) or
 * the provider's declaration passes on, and the provider's declared ones, each over those before. The credential is added by who sends the request, last, so nothing here can stand in for it.
 */
export function upstreamHeaders(
  client: Headers,
  provider: RunningProvider,
  forwards: readonly string[],
  own: Record<string, string> | undefined,
): Record<string, string> {
  const headers: Record<string, string> = {}
  forwardTrace(client, headers)
  if (own) Object.assign(headers, own)
  for (const pattern of forwards) {
    if (pattern.startsWith('!')) delete headers[pattern.slice(1)]
    else forward(client, pattern, headers)
  }
  for (const pattern of provider.forwardHeaders) forward(client, pattern, headers)
  Object.assign(headers, provider.headers)
  headers['content-type'] = 'application/json'
  headers['accept-encoding'] = 'identity'
  return headers
}

function forward(client: Headers, pattern: string, into: Record<string, string>): void {
  if (!pattern.endsWith('*')) {
    const value = client.get(pattern)
    if (value !== null) into[pattern] = value
    return
  }
  const prefix = pattern.slice(0, -1)
  client.forEach((value, name) => {
    if (name.startsWith(prefix)) into[name] = value
  })
}

/** The id under which the provider knows the request, for its support. */
export function upstreamRequestId(headers: Headers): string | null {
  const id = headers.get('x-request-id') ?? headers.get('request-id') ?? headers.get('x-amzn-requestid')
  return id && /^[\x21-\x7e]{1,128}$/.test(id) ? id : null
}
