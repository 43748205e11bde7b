import { sql } from 'drizzle-orm'
import type { Actor } from '../../control-plane/domain/actor.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { acceptRecords } from '../../control-plane/domain/ingest.ts'
import { type LeaseDesk, openDesk } from '../../control-plane/domain/ledger/desk.ts'
import { liveResources } from '../../control-plane/domain/resources.ts'
import { declareAll, TestChain, type TestInstance, testInstance } from '../../control-plane/domain/test-context.ts'
import type { KnownLease } from '../../schema/link-lease.ts'

const instances = 8
const recordsPerBatch = 50
/** Of each plane: 500 records a second of all of them. */
const batchEveryMs = 800
/** Of each plane between two calls: a plane asks when it runs low, not all the time. */
const pauseMs = 50
const levels = ['one', 'two', 'three', 'four']

/** What grants cost while records post to the same leases: eight planes that ask under four budgets each, one call at a time. */
export async function leaseLoad(ctx: Context, owner: Actor, forMs: number) {
  const limit = { amount: '1000000', currency: 'USD' }
  await declareAll(
    ctx,
    owner,
    levels.map((name) => ['budget', { name, scope: owner.tenant, limit, period: 'DAY' }]),
  )
  const budgets = await ctx.db.withTenant(owner.tenant, (tx) => liveResources(tx, owner.tenant, ['budget']))
  const desk = openDesk(ctx)
  const ids = budgets.map(({ id }) => id)
  const planes: Plane[] = []
  for (let number = 0; number < instances; number++)
    planes.push(new Plane(ctx, desk, await testInstance(ctx, owner, `leases-${number}-${Date.now()}`), ids))
  const before = await deadlocks(ctx)
  const untilMs = performance.now() + forMs
  await Promise.all(planes.map((plane) => plane.run(untilMs)))
  await desk.close()
  return {
    latenciesMs: planes.flatMap(({ latenciesMs }) => latenciesMs),
    records: planes.reduce((sum, { records }) => sum + records, 0),
    deadlocks: (await deadlocks(ctx)) - before,
  }
}

class Plane {
  readonly latenciesMs: number[] = []
  records = 0
  readonly #ctx: Context
  readonly #desk: LeaseDesk
  readonly #of: TestInstance
  readonly #budgets: string[]
  readonly #chain: TestChain
  #leases: KnownLease[] = []

  constructor(ctx: Context, desk: LeaseDesk, of: TestInstance, budgets: string[]) {
    this.#ctx = ctx
    this.#desk = desk
    this.#of = of
    this.#budgets = budgets
    this.#chain = new TestChain(of)
  }

  async run(untilMs: number): Promise<void> {
    await this.#ask()
    this.latenciesMs.length = 0
    const over = () => performance.now() > untilMs
    const asking = async () => {
      while (!over()) {
        await this.#ask()
        await Bun.sleep(pauseMs)
      }
    }
    const posting = async () => {
      while (!over()) {
        await this.#post()
        await Bun.sleep(batchEveryMs)
      }
    }
    await Promise.all([asking(), posting()])
  }

  async #ask(): Promise<void> {
    const { instance, epoch, tenant } = this.#of
    const beganMs = performance.now()
    const answer = await this.#desk.call(
      { instance, epoch },
      {
        ...{ type: 'leaseCall', call: 1, tenant, leases: [], whole: false, waitMs: 0 },
        wants: this.#budgets.map((budget) => ({ budget, subject: null, missing: '0.1', perSecond: '0', next: false })),
      },
    )
    if ('fault' in answer || answer.refused) throw new Error('a grant was refused in the bench')
    this.latenciesMs.push(performance.now() - beganMs)
    this.#leases = answer.leases
  }

  async #post(): Promise<void> {
    const { instance, epoch, tenant } = this.#of
    const postings = this.#leases.map(({ budget, subject, window, epoch: leaseEpoch }) => ({
      ...{ amount: '0.000001', budget, subject, window, leaseEpoch },
    }))
    const records = Array.from({ length: recordsPerBatch }, () =>
      this.#chain.next({ at: Date.now(), costUnits: 1_000_000n, reserved: '0.000001', postings }),
    )
    const accepted = await acceptRecords(this.#ctx, instance, { tenant, epoch, from: this.records, records })
    if ('refused' in accepted) throw new Error(accepted.reason)
    this.records += records.length
  }
}

/** Of this database since it began; the server shows them within a second or so. */
async function deadlocks(ctx: Context): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const rows = await ctx.db.withOwner((tx) =>
    tx.execute(sql`select deadlocks from pg_stat_database where datname = current_database()`),
  )
  return Number((rows as unknown as { deadlocks: string }[])[0]!.deadlocks)
}
