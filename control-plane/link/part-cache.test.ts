import { expect, it } from 'vitest'
import { cachedParts } from './part-cache.ts'

const asked: string[] = []
const there = new Map<string, Buffer>()
const find = async (tenant: string, digest: string) => {
  asked.push(`${tenant} ${digest}`)
  return there.get(`${tenant} ${digest}`)
}

it('a part is read once for all who fetch it, also at the same time, and for each tenant apart', async () => {
  there.set('a 1', Buffer.from('one'))
  const part = cachedParts(find)
  const all = await Promise.all([part('a', '1'), part('a', '1'), part('b', '1')])
  expect([...all.map(String), String(await part('a', '1'))]).toEqual(['one', 'one', 'undefined', 'one'])
  expect(asked.splice(0)).toEqual(['a 1', 'b 1'])
})

it('what is not there, and what failed, is asked for again', async () => {
  const part = cachedParts(async (tenant, digest) => {
    const found = await find(tenant, digest)
    if (digest === 'broken') throw new Error('the database is away')
    return found
  })
  for (const digest of ['none', 'broken', 'none', 'broken']) await part('a', digest).catch(() => {})
  expect(asked.splice(0)).toHaveLength(4)
})

it('what was asked for longest ago makes room', async () => {
  for (const digest of ['x', 'y', 'z']) there.set(`a ${digest}`, Buffer.alloc(10))
  const part = cachedParts(find, 20)
  for (const digest of ['x', 'y', 'x', 'z', 'x', 'y']) await part('a', digest)
  expect(asked.splice(0)).toEqual(['a x', 'a y', 'a z', 'a y'])
})
