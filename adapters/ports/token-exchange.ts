import { readBoundedText } from './bounded-text.ts'
import type { TokenExchange, TokenRequest } from './credentials/token-cache.ts'
import { addressed, type Destinations } from './destination.ts'
import { egressOf } from './egress.ts'

const exchangeTimeoutMs = 10_000

/** Asks token services. What one answers on an error is not told on, since it may repeat what it was sent. */
export function tokenExchange(destinations: Destinations): TokenExchange {
  return async (request) => {
    const { host } = new URL(request.url)
    const of = `for a credential of ${request.provider.name}`
    const destination = request.ofTenant ? await destinations.of(request.provider, request.url) : null
    if (destination && 'barred' in destination) return { missing: `The token service ${of}: ${destination.barred}` }
    const egress = egressOf(request.provider)
    if ('missing' in egress) return { missing: egress.missing }
    try {
      const answer = await fetch(addressed(request.url, destination), initOf(request, destination, egress))
      const text = await readBoundedText(answer.body)
      if (answer.status !== 200) return { missing: `The token service at ${host} answered ${answer.status} ${of}.` }
      const object = JSON.parse(text)
      if (typeof object === 'object' && object !== null) return object
    } catch {
      // Said below: neither the URL's query nor the body may show.
    }
    return { missing: `The token service at ${host} could not be asked ${of}.` }
  }
}

function initOf(
  { method, headers, body }: TokenRequest,
  destination: Parameters<typeof addressed>[1],
  egress: { tls?: object },
): BunFetchRequestInit {
  const signal = AbortSignal.timeout(exchangeTimeoutMs)
  const tls = destination?.serverName ? { ...egress.tls, serverName: destination.serverName } : egress.tls
  const named = destination?.host ? { ...headers, host: destination.host } : headers
  return { method, headers: named, body, redirect: 'manual', decompress: false, signal, ...egress, ...(tls && { tls }) }
}
