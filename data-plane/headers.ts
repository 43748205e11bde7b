import type { RunningProvider } from './snapshot/running.ts'

const traceparent = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}/

/** The trace id of a W3C `traceparent` header; null where there is none or it is void. */
export function traceIdOf(headers: Headers): string | null {
  const match = traceparent.exec(headers.get('traceparent') ?? '')
  return match && match[1] !== '0'.repeat(32) ? match[1]! : null
}

/**
 * The headers of a request to a provider: its declared ones, and those of the client's that it declares to be passed on. The
 * credential is added by who sends the request, last, so nothing here can stand in for it.
 */
export function upstreamHeaders(client: Headers, provider: RunningProvider): Record<string, string> {
  const headers: Record<string, string> = {}
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
  const id = headers.get('x-request-id') ?? headers.get('request-id')
  return id && /^[\x21-\x7e]{1,128}$/.test(id) ? id : null
}
