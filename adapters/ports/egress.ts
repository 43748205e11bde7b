import { readFileSync } from 'node:fs'
import type { RunningProvider } from '../../data-plane/snapshot/running.ts'

/** How a provider is reached: through a proxy, trusting a private CA. */
export interface Egress {
  proxy?: string
  tls?: { ca: string }
}

/** Read once per provider; providers are replaced with their snapshot. */
const known = new WeakMap<RunningProvider, Egress | { missing: string }>()

/**
 * What the provider's `proxy` and `caBundle` locators say here, on this machine; a sentence where one cannot be read, since going
 * out another way than declared is not for the gateway to choose. Without them HTTPS_PROXY, NO_PROXY and the system's CAs hold.
 */
export function egressOf(provider: RunningProvider): Egress | { missing: string } {
  if (provider.proxy === null && provider.caBundle === null) return direct
  const found = known.get(provider) ?? resolve(provider)
  // What was missing may be there the next time.
  if (!('missing' in found)) known.set(provider, found)
  return found
}

const direct: Egress = {}

function resolve(provider: RunningProvider): Egress | { missing: string } {
  const proxy = provider.proxy === null ? null : read(provider.proxy)
  if (proxy === undefined) return { missing: 'The proxy that is declared for it cannot be read on this gateway.' }
  const ca = provider.caBundle === null ? null : read(provider.caBundle)
  if (ca === undefined) return { missing: 'The CA bundle that is declared for it cannot be read on this gateway.' }
  return { ...(proxy && { proxy }), ...(ca && { tls: { ca } }) }
}

/** `env:NAME` or `file:/path`; undefined where there is nothing. */
function read(locator: string): string | undefined {
  if (locator.startsWith('env:')) return process.env[locator.slice(4)]?.trim() || undefined
  try {
    return readFileSync(locator.slice(5), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}
