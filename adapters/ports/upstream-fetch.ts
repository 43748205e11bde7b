import type { Upstream, UpstreamAnswer, UpstreamFailure, UpstreamRequest } from '../../data-plane/ports.ts'
import type { RunningProvider, Secrets } from '../../data-plane/snapshot/running.ts'
import { type Proof, type Prover, prover } from './credentials/proof.ts'
import { addressed, Destinations } from './destination.ts'
import { egressOf } from './egress.ts'
import { tokenExchange } from './token-exchange.ts'
import { answerEcho } from './upstream-echo.ts'

/**
 * The way out of the standalone adapter: Bun's own fetch, which keeps connections. The credential is added here, last, and
 * redirects are not followed, since they would carry it elsewhere. `privateHosts` are those the operator allows.
 */
export function fetchUpstream(secrets: Secrets, options: { privateHosts?: readonly string[] } = {}): Upstream {
  const destinations = new Destinations(options)
  const way: Way = { prover: prover(secrets, tokenExchange(destinations)), destinations }
  return {
    send: (request, signal) =>
      request.provider.platform === 'ECHO' ? Promise.resolve(answerEcho(request)) : send(request, signal, way),
  }
}

interface Way {
  prover: Prover
  destinations: Destinations
}

async function send(
  request: UpstreamRequest,
  signal: AbortSignal,
  { prover, destinations }: Way,
): Promise<UpstreamAnswer | UpstreamFailure> {
  const egress = egressOf(request.provider)
  if ('missing' in egress) return { failed: 'EGRESS_UNAVAILABLE', detail: egress.missing }
  const url = baseOf(request.provider, request.region) + request.path
  const found = destinations.of(request.provider, url)
  const destination = found instanceof Promise ? await found : found
  if (destination && 'barred' in destination) return { failed: 'EGRESS_UNAVAILABLE', detail: destination.barred }
  const proven = prover.prove(request, url)
  const proof = proven instanceof Promise ? await proven : proven
  if ('missing' in proof) return { failed: 'CREDENTIAL_UNAVAILABLE', detail: proof.missing }
  try {
    const answer = await fetch(addressed(url, destination), {
      method: 'POST',
      headers: { ...request.headers, ...proof.headers, ...(destination?.host && { host: destination.host }) },
      body: request.body,
      redirect: 'manual',
      decompress: false,
      signal,
      ...egress,
      ...(destination?.serverName && { tls: { ...egress.tls, serverName: destination.serverName } }),
    })
    return {
      status: answer.status,
      headers: answer.headers,
      body: () => answer.body,
      bytes: () => answer.bytes(),
      scrub: scrubber(proof),
    }
  } catch (error) {
    if (error instanceof TypeError && headerRefused.test(error.message))
      return { failed: 'CREDENTIAL_UNAVAILABLE', detail: 'It holds characters that no header may have.' }
    const code = (error as { code?: string }).code ?? 'unknown'
    return { failed: neverReached.test(code) ? 'CONNECT_FAILED' : 'BROKE_OFF', detail: code }
  }
}

/** Bun's fetch on a header that cannot be sent: nothing was. */
const headerRefused = /^Header '[^']*' has invalid value$/

/** Codes of Bun's fetch, and of the system, that mean that not one byte of the request arrived. */
export const neverReached =
  /^(ConnectionRefused|FailedToOpenSocket|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|DNS_.*|.*CERT.*|.*SELF_SIGNED.*|ERR_TLS.*|ERR_SSL.*|UNABLE_TO_.*|HOSTNAME_MISMATCH)$/

/** Base URLs without their last slash, by provider: providers are replaced with their snapshot. */
const bases = new WeakMap<RunningProvider, string>()

/** A Bedrock provider without a base URL is asked at the region's own endpoint. */
export function baseOf(provider: RunningProvider, region: string | null): string {
  if (provider.baseUrl === null) return `https://bedrock-runtime.${region ?? 'us-east-1'}.amazonaws.com`
  const known = bases.get(provider)
  if (known !== undefined) return known
  const base = provider.baseUrl.replace(/\/+$/, '')
  bases.set(provider, base)
  return base
}

/** Removes what proved the gateway from a text that the provider wrote. */
export function scrubber({ secrets }: Proof): (text: string) => string {
  if (secrets.length === 0) return (text) => text
  return (text) => secrets.flatMap(formsOf).reduce((clean, form) => clean.replaceAll(form, '[secret]'), text)
}

/** A secret as it is, and as JSON and URLs write it. */
function formsOf(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1)
  return [json.replaceAll('/', '\\/'), json, encodeURIComponent(secret.toWellFormed()), secret]
}
