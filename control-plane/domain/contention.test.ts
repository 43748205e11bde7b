import { asc, eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditEntry } from '../db/tables.ts'
import { acceptRecords } from './ingest.ts'
import { apiKeyIssue } from './keys.ts'
import { openEpoch } from './planes.ts'
import { startSequencer } from './sequencer.ts'
import { snapshotOf } from './snapshots.ts'
import { spend } from './spend.ts'
import {
  declareAll,
  smallConfig,
  TestChain,
  type TestContext,
  testContext,
  testInstance,
  testTenant,
} from './test-context.ts'

// PGlite has one connection, so it proves the outcome but not the contention: run this with SLUICE_TEST_DATABASE_URL too.
let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

describe('many at once', () => {
  it('writers each get a revision and an audit entry of their own, in one unbroken chain', async () => {
    const { owner } = await testTenant(ctx)
    const first = await declareAll(ctx, owner, smallConfig)
    const writes = Array.from({ length: 12 }, (_, index) =>
      index % 3
        ? declareAll(ctx, owner, [['team', { name: `t${index}` }]])
        : apiKeyIssue(ctx, owner, {
            ...{ idempotencyKey: `k${index}`, kind: 'APPLICATION', name: `k${index}` },
            ...{ principal: owner.principal!, project: 'project/bot' },
          }),
    )
    const written = await Promise.all(writes)
    expect(written.flatMap(({ errors }) => errors)).toEqual([])
    const revisions = written.map(({ audit }) => audit!.revision!).sort((a, b) => a - b)
    expect(revisions).toEqual(revisions.map((_, index) => first.revision + 1 + index))
    const rows = await ctx.db.withTenant(owner.tenant, (tx) =>
      tx.select().from(auditEntry).where(eq(auditEntry.tenant, owner.tenant)).orderBy(asc(auditEntry.sequence)),
    )
    rows.slice(1).forEach((row, index) => {
      expect(row.previousHash).toBe(rows[index]!.hash)
    })
  })

  it('the same idempotent call makes one key', async () => {
    const { owner } = await testTenant(ctx)
    await declareAll(ctx, owner, smallConfig)
    const input = {
      ...{ idempotencyKey: 'once', kind: 'APPLICATION' as const, name: 'once' },
      ...{ principal: owner.principal!, project: 'project/bot' },
    }
    const issued = await Promise.all(Array.from({ length: 6 }, () => apiKeyIssue(ctx, owner, input)))
    expect(new Set(issued.map(({ apiKey }) => apiKey!.id)).size).toBe(1)
    expect(issued.filter(({ secret }) => secret).length).toBe(1)
  })

  it('the same batch, sent by several links, counts once, while several sequencers number it', async () => {
    const { owner } = await testTenant(ctx)
    const { tenant, instance, epoch, ...rest } = await testInstance(ctx, owner)
    const chain = new TestChain({ tenant, instance, epoch, ...rest })
    const sequencers = await Promise.all([startSequencer(ctx), startSequencer(ctx)])
    const records = Array.from({ length: 60 }, () => chain.next({ costUnits: 11n }))
    for (let from = 0; from < records.length; from += 20) {
      const batch = { tenant, epoch, from, records: records.slice(from, from + 20) }
      const accepted = await Promise.all(Array.from({ length: 4 }, () => acceptRecords(ctx, instance, batch)))
      for (const one of accepted) expect(one).toMatchObject({ head: { sequence: from + 19 } })
    }
    for (const sequencer of sequencers) await sequencer.drain()
    const series = await ctx.db.withTenant(tenant, (tx) =>
      spend(tx, tenant, { window: {}, interval: 'TOTAL' }, ctx.clock.now()),
    )
    expect(series.total).toBe(660n)
    for (const sequencer of sequencers) await sequencer.stop()
  })

  it('links that open together get different epochs, and snapshots that are asked for together are one', async () => {
    const { owner } = await testTenant(ctx)
    await declareAll(ctx, owner, smallConfig)
    const { instance, epoch } = await testInstance(ctx, owner)
    const hello = { bootId: 'b', host: 'h', version: '1' }
    const epochs = await Promise.all(Array.from({ length: 5 }, () => openEpoch(ctx, instance, hello)))
    expect(epochs.sort((a, b) => a - b)).toEqual(epochs.map((_, index) => epoch + 1 + index))
    const snapshots = await Promise.all(Array.from({ length: 5 }, () => snapshotOf(ctx, owner.tenant)))
    expect(new Set(snapshots.map(({ contentDigest }) => contentDigest)).size).toBe(1)
  })
})
