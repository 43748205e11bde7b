import { isIP } from 'node:net'
import type { RunningProvider } from '../../data-plane/snapshot/running.ts'
import {
  type Destination,
  environmentProxy,
  findDestination,
  hostIn,
  type Lookup,
  lookupAll,
  type Surroundings,
} from '../../schema/hosts/destination.ts'
import { PrivateHosts } from '../../schema/hosts/private-hosts.ts'

export type { Destination, Lookup } from '../../schema/hosts/destination.ts'

/** Callers may see the sentence, so it names no address. */
export type Barred = { readonly barred: string }

/** A name is looked up anew after this long; providers move behind their names. */
const freshMs = 30_000
const knownMax = 10_000

interface Known {
  destination: Destination | Barred | null
  untilMs: number
}

const sentences = {
  PRIVATE:
    'It is at a private address. Declare the provider selfHosted, or allow its host with SLUICE_PRIVATE_HOSTS on the gateway.',
  NOT_FOUND: 'Its name could not be found.',
}

/**
 * Keeps providers from being used to reach what is not theirs: a provider that is not declared self-hosted may not lie at a
 * private, link-local or otherwise special address unless the operator allows the host.
 */
export class Destinations {
  readonly #surroundings: Surroundings
  readonly #known = new Map<string, Known>()

  constructor(
    options: { privateHosts?: readonly string[]; lookup?: Lookup; env?: Record<string, string | undefined> } = {},
  ) {
    this.#surroundings = {
      allowed: new PrivateHosts(options.privateHosts),
      lookup: options.lookup ?? lookupAll,
      proxied: environmentProxy(options.env ?? process.env),
    }
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
    const { proxied, lookup } = this.#surroundings
    if (provider.proxy !== null || isIP(host) || proxied(parsed)) return true
    return (await lookup(host).catch((): string[] => [])).length > 0
  }

  async #resolve(url: URL, origin: string): Promise<Destination | Barred | null> {
    const { found, looksUp } = await findDestination(url, this.#surroundings)
    const destination = found && 'barred' in found ? { barred: sentences[found.barred] } : found
    if (!looksUp) return destination
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(origin, { destination, untilMs: performance.now() + freshMs })
    return destination
  }
}

/** The URL with the checked address in it. */
export function addressed(url: string, destination: Destination | null): string {
  return destination ? destination.origin + url.slice(originOf(url).length) : url
}

function originOf(url: string): string {
  const from = url.indexOf('//') + 2
  const end = url.indexOf('/', from)
  return end < 0 ? url : url.slice(0, end)
}
