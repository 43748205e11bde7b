import { BlockList, isIP } from 'node:net'
import { hashKey } from '../schema/key-table.ts'
import { type Refusal, refuse } from '../schema/refusals.ts'
import type { Arrival } from './arrival.ts'
import type { FoundKey, RunningGrant, RunningSet } from './snapshot/running.ts'

/** One way to prove who calls: found, refused, or not its business, and then the next one is asked. */
type Authenticator = (credential: string, set: RunningSet) => FoundKey | Refusal | undefined

/** By the SHA-256 of the key. Keys are unique over all tenants, so the key also tells the tenant. */
const applicationKey: Authenticator = (key, set) =>
  key.startsWith('slk_') ? (set.lookupKey(hashKey(key)) ?? refuse('unauthenticated')) : undefined

/** In the order in which they are asked. */
const authenticators: readonly Authenticator[] = [applicationKey]

/** Finds who calls. */
export function authenticate(arrival: Pick<Arrival, 'key'>, set: RunningSet): FoundKey | Refusal {
  if (set.tenants.size === 0) return refuse('snapshot_missing')
  if (!arrival.key) return refuse('unauthenticated', 'Send it as "Authorization: Bearer slk_…".')
  for (const prove of authenticators) {
    const verdict = prove(arrival.key, set)
    if (verdict) return verdict
  }
  return refuse('unauthenticated', notOurs(arrival.key))
}

/** What a known key may not be used for any more, or from here. */
export function checkKey(found: FoundKey, arrival: Pick<Arrival, 'clientAddress'>, nowMs: number): Refusal | undefined {
  if (found.revoked) return refuse('key_revoked')
  if (found.expiresAtMs !== null && found.expiresAtMs <= nowMs) return refuse('key_expired')
  if (found.tenant.isExpired(nowMs)) return refuse('snapshot_expired')
  if (!mayCallFrom(found.grant, arrival.clientAddress))
    return refuse('not_permitted', 'It is bound to other addresses.')
  return undefined
}

function notOurs(key: string): string {
  if (key.startsWith('sla_')) return 'An admin token was sent; models are called with an application key (slk_…).'
  return 'Application keys begin with slk_; a key of the provider itself is not used here.'
}

/** Address lists are compiled once per grant; grants are replaced with their snapshot. */
const lists = new WeakMap<RunningGrant, BlockList>()

function mayCallFrom(grant: RunningGrant, clientAddress: () => string | null): boolean {
  if (grant.allowedAddresses.length === 0) return true
  const address = clientAddress()
  const family = address ? isIP(address) : 0
  if (!address || family === 0) return false
  const list = lists.get(grant) ?? compileList(grant.allowedAddresses)
  lists.set(grant, list)
  return list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

function compileList(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address, bits] = range.split('/')
    const family = isIP(address!) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address!, family)
    else list.addSubnet(address!, Number(bits), family)
  }
  return list
}
