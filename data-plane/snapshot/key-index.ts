import { keyRowBytes } from '../../schema/key-table.ts'

/** Key tables by first byte of the hash; a shard without keys is absent. */
export type KeyShards = readonly (Uint8Array | undefined)[]

/** More members than this do not fit beside 32 bits of a hash in an exact number. */
const membersMax = 2 ** 20

const nothing = new Float64Array(0)

/**
 * Says which members of a set may hold a key, so that a lookup asks one table and not one per tenant. Per first byte of the hash
 * a sorted list of numbers: the next 32 bits of the hash, then the member's place. Immutable; a swap makes anew only the lists of
 * that member's shards that changed, and shares the rest.
 */
export class KeyIndex {
  static readonly empty = new KeyIndex(Array.from({ length: 256 }, () => nothing))
  readonly #lists: readonly Float64Array[]

  private constructor(lists: readonly Float64Array[]) {
    this.#lists = lists
  }

  /** The same with other tables at this place; `before` are the ones it holds there now. */
  replace(place: number, before: KeyShards | undefined, after: KeyShards | undefined): KeyIndex {
    if (place >= membersMax) throw new Error(`a set has at most ${membersMax} members`)
    const lists = this.#lists.map((list, first) =>
      before?.[first] === after?.[first] ? list : merge(list, place, after?.[first]),
    )
    return new KeyIndex(lists)
  }

  /**
   * The first that `ask` gives for the place of a member whose table holds a key that begins like this one: the one that has it,
   * and rarely another.
   */
  find<T>(hash: Uint8Array, ask: (place: number) => T | undefined): T | undefined {
    const list = this.#lists[hash[0]!]!
    const from = prefixAt(hash, 0) * membersMax
    for (let at = lowerBound(list, from); at < list.length && list[at]! < from + membersMax; at++) {
      const found = ask(list[at]! - from)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function merge(list: Float64Array, place: number, table: Uint8Array | undefined): Float64Array {
  const others = list.filter((entry) => entry % membersMax !== place)
  if (!table) return others
  const rows = table.byteLength / keyRowBytes
  const merged = new Float64Array(others.length + rows)
  merged.set(others)
  for (let row = 0; row < rows; row++)
    merged[others.length + row] = prefixAt(table, row * keyRowBytes) * membersMax + place
  return merged.sort()
}

/** Bytes 1 to 4 of the hash that begins here; byte 0 names the list. */
function prefixAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at + 1]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!) >>> 0
}

function lowerBound(list: Float64Array, value: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (list[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}
