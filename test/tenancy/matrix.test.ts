import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onPglite } from './databases.ts'
import { directly } from './direct.ts'
import { runMatrix, unmatched } from './matrix.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld(await onPglite())
})
afterAll(() => world?.stop())

describe('the matrix', () => {
  it('has a case for every query, mutation and subscription of the printed schema', () => {
    expect(unmatched()).toEqual([])
  })

  it('finds what is of another tenant, or of nobody’s business, answered exactly as what is missing', async () => {
    const { short, asked } = await runMatrix(world, directly(world.ctx))
    expect(short).toEqual([])
    expect(asked).toBeGreaterThan(1_000)
  }, 120_000)
})
