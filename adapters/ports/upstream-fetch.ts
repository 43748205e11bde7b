import type { Upstream, UpstreamAnswer, UpstreamFailure, UpstreamRequest } from '../../data-plane/ports.ts'
import type { RunningCredential, RunningProvider, Secrets } from '../../data-plane/snapshot/running.ts'
import { egressOf } from './egress.ts'
import { answerEcho } from './upstream-echo.ts'

/**
 * The way out of the standalone adapter: Bun's own fetch, which keeps connections. The credential is added here, last, and
 * redirects are not followed, since they would carry it elsewhere.
 */
export function fetchUpstream(secrets: Secrets): Upstream {
  return {
    send: (request, signal) =>
      request.provider.platform === 'ECHO' ? Promise.resolve(answerEcho(request)) : send(request, signal, secrets),
  }
}

async function send(
  request: UpstreamRequest,
  signal: AbortSignal,
  secrets: Secrets,
): Promise<UpstreamAnswer | UpstreamFailure> {
  const { credential } = request
  const secret = credential && credential.kind !== 'NONE' ? secrets.secretOf(credential) : undefined
  if (secret && 'missing' in secret) return { failed: 'CREDENTIAL_UNAVAILABLE', detail: secret.missing }
  const egress = egressOf(request.provider)
  if ('missing' in egress) return { failed: 'EGRESS_UNAVAILABLE', detail: egress.missing }
  const headers = secret ? { ...request.headers, ...credentialHeader(credential!, secret.expose()) } : request.headers
  try {
    const answer = await fetch(baseOf(request.provider) + request.path, {
      method: 'POST',
      headers,
      body: request.body,
      redirect: 'manual',
      signal,
      ...egress,
    })
    const scrub = (text: string) => (secret ? text.replaceAll(secret.expose(), '[secret]') : text)
    return {
      status: answer.status,
      headers: answer.headers,
      body: () => answer.body,
      bytes: () => answer.bytes(),
      scrub,
    }
  } catch (error) {
    const code = (error as { code?: string }).code ?? 'unknown'
    return { failed: neverReached.test(code) ? 'CONNECT_FAILED' : 'BROKE_OFF', detail: code }
  }
}

/** Codes of Bun's fetch, and of the system, that mean that not one byte of the request arrived. */
const neverReached =
  /^(ConnectionRefused|FailedToOpenSocket|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|DNS_.*|.*CERT.*|.*SELF_SIGNED.*|ERR_TLS.*|ERR_SSL.*|UNABLE_TO_.*|HOSTNAME_MISMATCH)$/

/** Base URLs without their last slash, by provider: providers are replaced with their snapshot. */
const bases = new WeakMap<RunningProvider, string>()

function baseOf(provider: RunningProvider): string {
  const known = bases.get(provider)
  if (known !== undefined) return known
  const base = provider.baseUrl!.replace(/\/+$/, '')
  bases.set(provider, base)
  return base
}

function credentialHeader(credential: RunningCredential, secret: string): Record<string, string> {
  const azureKey = credential.provider.platform === 'AZURE_OPENAI' && credential.kind === 'API_KEY'
  return azureKey ? { 'api-key': secret } : { authorization: `Bearer ${secret}` }
}
