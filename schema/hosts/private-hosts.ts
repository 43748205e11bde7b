import { BlockList, isIP } from 'node:net'

/**
 * Addresses that are not of the public internet (IANA special-purpose registries; the metadata services of clouds are among them).
 * One list per family: a list of both takes every IPv4 address for one that is mapped into IPv6.
 */
const special = { 4: new BlockList(), 6: new BlockList() }
for (const range of `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
  192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4`.split(/\s+/))
  addRange(special[4], range)
// Those that hold an IPv4 address within (mapped, NAT64, 6to4, Teredo) lead wherever that leads.
for (const range of `::/96 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 fc00::/7
  fe80::/10 fec0::/10 ff00::/8`.split(/\s+/))
  addRange(special[6], range)

/** True for an address within a private, local or otherwise special network. */
export function isSpecialAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 6) return special[6].check(address, 'ipv6')
  return family === 0 || special[4].check(address, 'ipv4')
}

/** The private hosts that the operator lets providers be at: names, `*.suffix`, addresses, CIDR ranges. */
export class PrivateHosts {
  readonly #names = new Set<string>()
  readonly #suffixes: string[] = []
  readonly #ranges = { 4: new BlockList(), 6: new BlockList() }

  constructor(allowed: readonly string[] = []) {
    for (const each of allowed) {
      const host = each.toLowerCase()
      const family = isIP(host.split('/')[0]!)
      if (family !== 0) addRange(this.#ranges[family as 4 | 6], host)
      else if (host.startsWith('*.')) this.#suffixes.push(host.slice(1))
      else this.#names.add(host)
    }
  }

  allowsName(host: string): boolean {
    return this.#names.has(host) || this.#suffixes.some((suffix) => host.endsWith(suffix))
  }

  allowsAddress(address: string): boolean {
    const family = isIP(address)
    if (family === 6) return this.#ranges[6].check(address, 'ipv6')
    return family === 4 && this.#ranges[4].check(address, 'ipv4')
  }
}

function addRange(list: BlockList, range: string): void {
  const [address, bits] = range.split('/')
  const family = isIP(address!) === 6 ? 'ipv6' : 'ipv4'
  if (bits === undefined) list.addAddress(address!, family)
  else list.addSubnet(address!, Number(bits), family)
}
