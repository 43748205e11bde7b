import { describe, expect, it } from 'vitest'
import { mintId } from './ids.ts'
import {
  findKey,
  hashKey,
  isShard,
  type KeyRow,
  keyPrefix,
  mintKey,
  packKeys,
  packShard,
  readShard,
} from './key-table.ts'

const rowOf = (key: string, index: number): KeyRow => ({
  hash: hashKey(key),
  apiKey: mintId('apiKey'),
  grant: index,
  revoked: index % 3 === 0,
  expiresAtMs: index % 2 === 0 ? null : 1_800_000_000_000 + index,
})

describe('the table of keys', () => {
  const keys = Array.from({ length: 5_000 }, () => mintKey('slk'))
  const rows = keys.map(rowOf)
  const shards = packKeys([...rows])

  it('finds every key, whole', () => {
    for (const [index, key] of keys.entries()) {
      const hash = hashKey(key)
      const found = findKey(shards.get(hash[0]!)!, hash)!
      expect({ ...found, hash: Buffer.from(found.hash).toString('hex') }).toEqual({
        ...rows[index],
        hash: hash.toString('hex'),
      })
    }
  })
  it('finds no key that is not in it', () => {
    for (let at = 0; at < 1_000; at++) {
      const hash = hashKey(mintKey('slk'))
      expect(findKey(shards.get(hash[0]!) ?? new Uint8Array(0), hash)).toBeUndefined()
    }
  })
  it('gives its rows back, of which the same shard is made', () => {
    for (const shard of shards.values()) expect(packShard(readShard(shard).reverse())).toEqual(shard)
  })
  it('tells a shard that is not one', () => {
    for (const [first, shard] of shards) {
      expect(isShard(shard, first)).toBe(true)
      expect(isShard(shard, first ^ 1)).toBe(false)
      expect(isShard(shard.subarray(1), first)).toBe(false)
      if (shard.length > 64)
        expect(isShard(Buffer.concat([shard.subarray(64), shard.subarray(0, 64)]), first)).toBe(false)
    }
  })
  it('holds keys of 240 random bits, of which ten characters are shown', () => {
    expect(keys[0]).toMatch(/^slk_[A-Za-z0-9_-]{40}$/)
    expect(keyPrefix(keys[0]!)).toHaveLength(10)
  })
})
