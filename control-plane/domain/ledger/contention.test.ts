import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KnownLease, LeaseCall } from '../../../schema/link-lease.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Actor } from '../actor.ts'
import { acceptRecords } from '../ingest.ts'
import { dataPlaneEnroll, openEpoch, redeemToken } from '../planes.ts'
import { liveResources } from '../resources.ts'
import { declareAll, instanceKeys, TestChain, type TestContext, testContext, testTenant } from '../test-context.ts'
import { balancesOf } from './balance.ts'
import { type LeaseDesk, openDesk } from './desk.ts'
import { tend } from './tend.ts'

// PGlite has one connection, so it proves the outcome but not the contention: test/postgres runs this on a server.
let ctx: TestContext
let desk: LeaseDesk
beforeAll(async () => {
  ctx = await testContext()
  desk = openDesk(ctx)
})
afterAll(async () => {
  await desk.close()
  await ctx.stop()
})

const instances = 8
const rounds = 2

async function fleetOf(owner: Actor): Promise<Plane[]> {
  const enrolled = await dataPlaneEnroll(ctx, owner, { idempotencyKey: 'fleet', name: 'edge', adapter: 'STANDALONE' })
  const budgets = await ctx.db.withTenant(owner.tenant, (tx) => liveResources(tx, owner.tenant, ['budget']))
  const made: Plane[] = []
  for (let number = 0; number < instances; number++) {
    const redeemed = await redeemToken(ctx, { token: enrolled.enrollmentToken!, ...instanceKeys() })
    if ('refused' in redeemed) throw new Error(redeemed.refused)
    const epoch = await openEpoch(ctx, redeemed.instance, { bootId: 'b', host: 'h', version: '1' })
    const ids = budgets.map(({ id }) => id)
    made.push(new Plane({ ...redeemed, tenant: owner.tenant, epoch }, number % 2 ? ids.reverse() : ids))
  }
  return made
}

class Plane {
  readonly #of: ConstructorParameters<typeof TestChain>[0]
  readonly #budgets: string[]
  readonly #chain: TestChain
  #sequence = 0
  #leases: KnownLease[] = []
  spent = 0n

  constructor(of: ConstructorParameters<typeof TestChain>[0], budgets: string[]) {
    this.#of = of
    this.#budgets = budgets
    this.#chain = new TestChain(of)
  }

  /** Asks under every budget, spends some of it, gives some of it back. */
  async run(): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await this.#call({ missing: '0.5' })
      await Promise.all([this.#spend(), this.#call({ missing: '0.25' })])
      await this.#call({ returning: '0.25' })
    }
  }

  async #call({ missing = '0', returning = '0' }: { missing?: string; returning?: string }): Promise<void> {
    const { instance, epoch, tenant } = this.#of
    const leases = this.#leases.map(({ budget, subject, window, epoch: of, granted, mac, returned }) => {
      const total = parseAmount(returned)! + parseAmount(returning)!
      return { budget, subject, window, epoch: of, granted, mac, returned: String(Number(total) / 1e12) }
    })
    const wants = this.#budgets.map((budget) => ({ budget, subject: null, missing, perSecond: '0', next: false }))
    const message: LeaseCall = { type: 'leaseCall', call: 1, tenant, leases, whole: false, wants, waitMs: 2_000 }
    const answer = await desk.call({ instance, epoch }, message)
    if ('fault' in answer) throw new Error(answer.fault)
    const known = new Map([...this.#leases, ...answer.leases].map((lease) => [lease.budget, lease]))
    this.#leases = [...known.values()]
  }

  async #spend(): Promise<void> {
    const { tenant, instance, epoch } = this.#of
    const postings = this.#leases.map(({ budget, subject, window, epoch: leaseEpoch }) => ({
      ...{ amount: '0.0625', budget, subject, window, leaseEpoch },
    }))
    const cost = parseAmount('0.0625')!
    const records = [0, 1].map(() => this.#chain.next({ costUnits: cost, reserved: '0.0625', postings }))
    const accepted = await acceptRecords(ctx, instance, { tenant, epoch, from: this.#sequence, records })
    expect(accepted).toHaveProperty('head')
    this.#sequence += records.length
    this.spent += cost * BigInt(records.length)
  }
}

/** Since the server began; flushed to the view within a second or so. */
async function deadlocks(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ctx.db.kind === 'postgres' ? 1_500 : 0))
  const [row] = (await ctx.db.withOwner((tx) =>
    tx.execute(sql`select deadlocks from pg_stat_database where datname = current_database()`),
  )) as unknown as { deadlocks: string }[]
  return Number(row!.deadlocks)
}

describe('many planes of many tenants', () => {
  it('are granted, post and give back all at once, without a deadlock and without a cent too much', async () => {
    const tenants = ctx.db.kind === 'postgres' ? 50 : 3
    const houses: { owner: Actor; planes: Plane[] }[] = []
    for (let number = 0; number < tenants; number++) {
      const { owner } = await testTenant(ctx)
      // Together they want more than there is: some wait, some are refused.
      const limit = { amount: '12', currency: 'USD' }
      const budgets = ['a', 'b'].map((name) => ['budget', { name, scope: owner.tenant, limit, period: 'DAY' }] as const)
      const rolling = { name: 'c', scope: owner.tenant, limit, period: 'ROLLING', window: 'PT1H' }
      const applied = await declareAll(ctx, owner, [
        ...budgets.map(([kind, spec]): ['budget', typeof spec] => [kind, spec]),
        ['budget', rolling],
      ])
      expect(applied.errors).toEqual([])
      houses.push({ owner, planes: await fleetOf(owner) })
    }
    const before = await deadlocks()
    let running = true
    const tending = (async () => {
      while (running) await tend(ctx)
    })()
    await Promise.all(houses.flatMap(({ planes }) => planes.map((plane) => plane.run())))
    running = false
    await tending
    expect(await deadlocks()).toBe(before)
    for (const { owner, planes } of houses) {
      const balances = await ctx.db.withTenant(owner.tenant, (tx) =>
        balancesOf(tx, owner.tenant, { nowMs: ctx.clock.now() }),
      )
      const spent = planes.reduce((sum, plane) => sum + plane.spent, 0n)
      for (const balance of balances) {
        expect(balance).toMatchObject({ spent, overruns: 0n, adjustments: 0n })
        expect(balance.available >= 0n).toBe(true)
        expect(balance.limit).toBe(balance.available + balance.leased + balance.spent)
      }
    }
  }, 180_000)
})
