import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { findDestination, isAllowed, type Lookup, lookupAll } from '../../../schema/hosts/destination.ts'
import type { PrivateHosts } from '../../../schema/hosts/private-hosts.ts'
import type { DeliveryFault } from './deliveries.ts'

export interface Post {
  url: string
  headers: Record<string, string>
  body: string
}

export type Posted = { status: number; retryAfterMs: number | null } | { fault: DeliveryFault }

export interface Outward {
  allowed: PrivateHosts
  lookup?: Lookup
  timeoutMs?: number
  /** Ends it early, as if nothing had answered. */
  signal?: AbortSignal
}

const timeoutMsDefault = 10_000
/** A longer answer is cut off; nothing of it is looked at. */
const answerBytesMax = 64 * 1024

/**
 * One POST to an address that a tenant chose: https, at a public address that was checked and is connected to, no redirects, a
 * bounded answer of which only the status is told. http and private addresses only where the operator allows the host.
 */
export async function post(
  { url, headers, body }: Post,
  { allowed, lookup, timeoutMs, signal }: Outward,
): Promise<Posted> {
  const to = new URL(url)
  if (to.protocol !== 'https:' && !isAllowed(to, allowed)) return { fault: 'PLAIN_HTTP' }
  const { found } = await findDestination(to, { allowed, lookup: lookup ?? lookupAll, proxied: () => false })
  if (found && 'barred' in found) return { fault: faults[found.barred] }
  const at = found ? new URL(found.origin) : to
  const timeout = AbortSignal.timeout(timeoutMs ?? timeoutMsDefault)
  const send = to.protocol === 'https:' ? requestTls : requestPlain
  return new Promise((resolve) => {
    const call = send({
      ...{ method: 'POST', host: at.hostname.replace(/^\[|\]$/g, ''), path: to.pathname + to.search, agent: false },
      ...(to.port && { port: Number(to.port) }),
      ...(found?.serverName && { servername: found.serverName }),
      headers: { ...headers, host: to.host, 'content-length': String(Buffer.byteLength(body)) },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    call.on('response', (answer) => {
      resolve({ status: answer.statusCode ?? 0, retryAfterMs: retryAfterOf(answer.headers['retry-after']) })
      let bytes = 0
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > answerBytesMax) call.destroy()
      })
      answer.on('error', () => {})
    })
    // What it says may tell of what stands behind the address.
    call.on('error', () => resolve({ fault: 'NO_ANSWER' }))
    call.end(body)
  })
}

const faults = { PRIVATE: 'PRIVATE_ADDRESS', NOT_FOUND: 'NAME_NOT_FOUND' } as const

const retryAfterOf = (value: string | undefined) => (value && /^\d{1,5}$/.test(value) ? Number(value) * 1_000 : null)
