import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { isSpecialAddress, type PrivateHosts } from './private-hosts.ts'

/** Where a request really goes: the checked address in place of the name, and the name where TLS and HTTP want it. */
export interface Destination {
  /** Scheme, address and port. */
  origin: string
  /** Null where the origin holds the name itself. */
  host: string | null
  serverName: string | null
}

/** Why a URL leads nowhere: a private address that nobody allowed, or a name that is not found. */
export type Barred = { readonly barred: 'PRIVATE' | 'NOT_FOUND' }

/** Answers all addresses of a name; throws where there is none. */
export type Lookup = (host: string) => Promise<string[]>

export interface Surroundings {
  allowed: PrivateHosts
  lookup: Lookup
  /** Whether a proxy takes this request, in which case the proxy finds the address. */
  proxied: (url: URL) => boolean
}

/**
 * Where a URL leads that somebody else wrote. Every address of its name must be public, or be allowed by the operator; the one
 * that was checked is the one to connect to, so a name that answers differently the next time changes nothing. Null: as the URL
 * says. `looksUp` is false where the answer did not come from a lookup.
 */
export async function findDestination(
  url: URL,
  { allowed, lookup, proxied }: Surroundings,
): Promise<{ found: Destination | Barred | null; looksUp: boolean }> {
  const host = hostIn(url)
  const mayReach = (address: string) => !isSpecialAddress(address) || allowed.allowsAddress(address)
  if (allowed.allowsName(host)) return { found: null, looksUp: false }
  if (isIP(host)) return { found: mayReach(host) ? null : { barred: 'PRIVATE' }, looksUp: false }
  if (proxied(url)) return { found: null, looksUp: false }
  const addresses = await lookup(host).catch((): string[] => [])
  // Looking it up a second time, to connect, could find what was not checked.
  if (addresses.length === 0) return { found: { barred: 'NOT_FOUND' }, looksUp: false }
  const found = addresses.every(mayReach) ? pinned(url, addresses[0]!) : { barred: 'PRIVATE' as const }
  return { found, looksUp: true }
}

/** True where the operator allows this host by name or, where it is one, by its address. */
export function isAllowed(url: URL, allowed: PrivateHosts): boolean {
  const host = hostIn(url)
  return allowed.allowsName(host) || allowed.allowsAddress(host)
}

/** Without the brackets of IPv6 and the dot of a full name. */
export const hostIn = ({ hostname }: URL): string =>
  hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()

function pinned(url: URL, address: string): Destination {
  const literal = isIP(address) === 6 ? `[${address}]` : address
  const port = url.port ? `:${url.port}` : ''
  return {
    origin: `${url.protocol}//${literal}${port}`,
    host: url.host,
    serverName: url.protocol === 'https:' ? url.hostname : null,
  }
}

export async function lookupAll(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)
}

/** Whether the environment's proxy (HTTPS_PROXY, HTTP_PROXY, NO_PROXY) takes a request. */
export function environmentProxy(env: Record<string, string | undefined>): (url: URL) => boolean {
  const of = (name: string) => env[name] ?? env[name.toLowerCase()]
  const exempt = (of('NO_PROXY') ?? '').split(/[\s,]+/).filter(Boolean)
  return ({ protocol, hostname, host }) => {
    if (!of(protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY')) return false
    return !exempt.some((name) => {
      const bare = name.replace(/^\*?\.?/, '').toLowerCase()
      return name === '*' || host === bare || hostname === bare || hostname.endsWith(`.${bare}`)
    })
  }
}
