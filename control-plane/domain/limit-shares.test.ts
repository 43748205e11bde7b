import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dealShares, sharesTaken } from './limit-shares.ts'
import { dataPlaneFacts, openEpoch } from './planes.ts'
import { type TestContext, testContext, testInstance, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const hello = { bootId: 'b', host: 'h', version: '1' }

/** A tenant with instances whose links are open, in the order of their ids. */
async function planes(count: number, how: { can?: string[]; limitStore?: boolean } = { can: ['shares'] }) {
  const { owner } = await testTenant(ctx)
  const made = []
  for (let at = 0; at < count; at++) made.push(await testInstance(ctx, owner, `plane-${at}`))
  const ids = made.map(({ instance }) => instance).sort()
  for (const id of ids) await openEpoch(ctx, id, { ...hello, ...how })
  return { owner, tenant: owner.tenant, ids, planes: made.map(({ dataPlane }) => dataPlane) }
}

describe('shares of rate limits', () => {
  it('are dealt at once to who is first, and to others once those that had something have taken less', async () => {
    const { tenant, ids } = await planes(3)
    const [one, two, three] = ids as [string, string, string]
    await openEpoch(ctx, two, hello)
    await openEpoch(ctx, three, hello)
    expect((await dealShares(ctx, tenant)).get(one)).toMatchObject({
      deal: 1,
      at: 0,
      of: 1,
      settled: true,
      fresh: true,
    })
    await openEpoch(ctx, two, { ...hello, can: ['shares'] })
    const dealt = await dealShares(ctx, tenant)
    expect(dealt.get(one)).toMatchObject({ deal: 2, at: 0, of: 2, settled: false, holds: true })
    expect(dealt.get(two)).toMatchObject({ at: 1, of: 2, settled: false, holds: false })
    expect((await sharesTaken(ctx, one, { tenant, deal: 1, leaving: false })).get(two)!.settled).toBe(false)
    expect((await sharesTaken(ctx, one, { tenant, deal: 2, leaving: false })).get(two)!.settled).toBe(true)
  })

  it('come back at once from one that leaves, and a minute later from one that fell silent', async () => {
    const { tenant, ids } = await planes(3)
    const [one, two, three] = ids as [string, string, string]
    await dealShares(ctx, tenant)
    const left = await sharesTaken(ctx, two, { tenant, deal: 1, leaving: true })
    expect([left.has(two), left.get(one)!.of]).toEqual([false, 2])
    for (const id of [one, three]) await sharesTaken(ctx, id, { tenant, deal: 2, leaving: false })
    ctx.clock.nowMs += 61_000
    await openEpoch(ctx, one, { ...hello, can: ['shares'] })
    expect((await dealShares(ctx, tenant)).get(one)).toMatchObject({ of: 1, at: 0, settled: false })
    expect((await sharesTaken(ctx, one, { tenant, deal: 3, leaving: false })).get(one)!.settled).toBe(true)
  })

  it('are the same whoever deals, however many deal at once', async () => {
    const { tenant, ids } = await planes(4)
    const all = await Promise.all(Array.from({ length: 8 }, () => dealShares(ctx, tenant)))
    for (const dealt of all) expect(dealt).toEqual(all[0])
    expect(ids.map((id) => all[0]!.get(id)!.at)).toEqual([0, 1, 2, 3])
  })

  it('are not dealt to gateways that count in a store, and the data plane says how it counts', async () => {
    const { tenant, planes: of, ids } = await planes(2, { limitStore: true })
    expect((await dealShares(ctx, tenant)).size).toBe(0)
    const facts = () =>
      ctx.db
        .withTenant(tenant, (tx) => dataPlaneFacts(tx, tenant, of, ctx.clock.now()))
        .then((all) => all.map(({ limitSharing }) => limitSharing))
    expect(await facts()).toEqual(['SHARED_STORE', 'SHARED_STORE'])
    for (const id of ids) await openEpoch(ctx, id, { ...hello, can: ['shares'] })
    await dealShares(ctx, tenant)
    expect(await facts()).toEqual(['SHARES', 'SHARES'])
  })
})
