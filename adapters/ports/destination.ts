import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { RunningProvider } from '../../data-plane/snapshot/running.ts'
import { isSpecialAddress, PrivateHosts } from './private-hosts.ts'

/** Where a request really goes: the checked address in place of the name, and the name where TLS and HTTP want it. */
export interface Destination {
  /** Scheme, address and port. */
  origin: string
  /** Null where the origin holds the name itself. */
  host: string | null
  serverName: string | null
}

export type Barred = { readonly barred: string }

/** Answers all addresses of a name; throws where there is none. */
export type Lookup = (host: string) => Promise<string[]>

/** A name is looked up anew after this long; providers move behind their names. */
const freshMs = 30_000
const knownMax = 10_000

interface Known {
  destination: Destination | Barred
  untilMs: number
}

/**
 * Keeps providers from being used to reach what is not theirs: a provider that is not declared self-hosted may not lie at a
 * private, link-local or otherwise special address unless the operator allows the host. The address that was checked is the one
 * that is connected to, so a name that answers differently the next time changes nothing.
 */
export class Destinations {
  readonly #allowed: PrivateHosts
  readonly #lookup: Lookup
  readonly #proxied: (url: URL) => boolean
  readonly #known = new Map<string, Known>()

  constructor(
    options: { privateHosts?: readonly string[]; lookup?: Lookup; env?: Record<string, string | undefined> } = {},
  ) {
    this.#allowed = new PrivateHosts(options.privateHosts)
    this.#lookup = options.lookup ?? lookupAll
    this.#proxied = environmentProxy(options.env ?? process.env)
  }

  /** Null = as the URL says: the provider's own network, or a proxy's business. A known destination is answered at once. */
  of(provider: RunningProvider, url: string): Destination | Barred | null | Promise<Destination | Barred | null> {
    if (provider.selfHosted || provider.proxy !== null) return null
    const origin = originOf(url)
    const known = this.#known.get(origin)
    if (known && performance.now() < known.untilMs) return known.destination
    return this.#resolve(new URL(url), origin)
  }

  /** Whether the name in a URL can be found, for who explains a failure; true where finding it is a proxy's business. */
  async finds(provider: RunningProvider, url: string): Promise<boolean> {
    const parsed = new URL(url)
    const host = hostIn(parsed)
    if (provider.proxy !== null || isIP(host) || this.#proxied(parsed)) return true
    return (await this.#lookup(host).catch((): string[] => [])).length > 0
  }

  async #resolve(url: URL, origin: string): Promise<Destination | Barred | null> {
    const host = hostIn(url)
    if (this.#allowed.allowsName(host)) return null
    if (isIP(host)) return this.#mayReach(host) ? null : barred
    if (this.#proxied(url)) return null
    const addresses = await this.#lookup(host).catch((): string[] => [])
    // Looking it up a second time, to connect, could find what was not checked.
    if (addresses.length === 0) return notFound
    const forbidden = addresses.find((address) => !this.#mayReach(address))
    const destination = forbidden ? barred : pinned(url, addresses[0]!)
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(origin, { destination, untilMs: performance.now() + freshMs })
    return destination
  }

  #mayReach(address: string): boolean {
    return !isSpecialAddress(address) || this.#allowed.allowsAddress(address)
  }
}

/** Without the brackets of IPv6 and the dot of a full name. */
const hostIn = ({ hostname }: URL) =>
  hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()

/** The URL with the checked address in it. */
export function addressed(url: string, destination: Destination | null): string {
  return destination ? destination.origin + url.slice(originOf(url).length) : url
}

function originOf(url: string): string {
  const from = url.indexOf('//') + 2
  const end = url.indexOf('/', from)
  return end < 0 ? url : url.slice(0, end)
}

/** Callers may see the sentence, so it names no address. */
const barred: Barred = {
  barred:
    'It is at a private address. Declare the provider selfHosted, or allow its host with SLUICE_PRIVATE_HOSTS on the gateway.',
}

const notFound: Barred = { barred: 'Its name could not be found.' }

function pinned(url: URL, address: string): Destination {
  const literal = isIP(address) === 6 ? `[${address}]` : address
  const port = url.port ? `:${url.port}` : ''
  return {
    origin: `${url.protocol}//${literal}${port}`,
    host: url.host,
    serverName: url.protocol === 'https:' ? url.hostname : null,
  }
}

async function lookupAll(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)
}

/** Whether the environment's proxy takes this request, in which case the proxy finds the address. */
function environmentProxy(env: Record<string, string | undefined>): (url: URL) => boolean {
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
