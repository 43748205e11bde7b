import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Actor, authenticate } from './actor.ts'
import { archive } from './apply.ts'
import { listAudit } from './audit.ts'
import { acceptRecords, chainHeads } from './ingest.ts'
import { createTenant } from './installation.ts'
import { noteRefused } from './plane-refusals.ts'
import {
  type DataPlaneState,
  dataPlaneEnroll,
  findInstance,
  gone,
  instancesByIds,
  openEpoch,
  redeemToken,
  seen,
} from './planes.ts'
import { restore } from './restore.ts'
import { instanceKeys, TestChain, type TestContext, testContext, testInstance, testTenant } from './test-context.ts'

let ctx: TestContext
let operator: Actor
beforeAll(async () => {
  ctx = await testContext()
  const first = await createTenant(ctx, { idempotencyKey: 'operator', name: 'operator' })
  operator = (await authenticate(ctx, first.adminToken!))!
})
afterAll(() => ctx.stop())

let uses = 0
const enroll = (actor: Actor, name: string, tenants?: string[]) =>
  dataPlaneEnroll(ctx, actor, { idempotencyKey: `use-${++uses}`, name, adapter: 'STANDALONE', tenants })
const codes = ({ errors }: { errors: { path: string[]; code: string }[] }) =>
  errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const hello = { bootId: 'b', host: 'h', version: '1' }

/** A fleet of the operator's and another tenant's, with one instance whose link is open. */
async function shared(name: string) {
  const { owner: other } = await testTenant(ctx)
  const enrolled = await enroll(operator, name, [other.tenant])
  expect(enrolled.errors).toEqual([])
  const redeemed = await redeemToken(ctx, { token: enrolled.enrollmentToken!, ...instanceKeys() })
  if ('refused' in redeemed) throw new Error(redeemed.refused)
  const epoch = await openEpoch(ctx, redeemed.instance, hello)
  return { other, ...redeemed, epoch }
}

async function stateIn(actor: Actor, instance: string): Promise<DataPlaneState | undefined> {
  const [row] = await ctx.db.withTenant(actor.tenant, (tx) =>
    instancesByIds(tx, actor.tenant, [instance], ctx.clock.now()),
  )
  return row?.state
}

async function audited(actor: Actor, action: string) {
  const { rows } = await ctx.db.withTenant(actor.tenant, (tx) =>
    listAudit(tx, actor.tenant, { filter: { action: [action] }, first: 100 }),
  )
  return rows
}

describe('a data plane of several tenants', () => {
  it('is one fleet under one id, whose enrolment stands in the log of each tenant', async () => {
    const { other, instance, dataPlane, tenants } = await shared('one')
    expect(tenants.sort()).toEqual([operator.tenant, other.tenant].sort())
    expect(await findInstance(ctx, instance)).toMatchObject({ dataPlane, epoch: 1 })
    const [entry] = await audited(other, 'dataPlane.enroll')
    expect(entry!.actor).toMatchObject({ kind: 'SYSTEM', onBehalfOf: { id: operator.id } })
    expect(entry!.targets[0]!.id).toBe(dataPlane)
  })

  it('may only be made by an operator, of tenants that exist and have no fleet of that name', async () => {
    const { owner } = await testTenant(ctx)
    expect(codes(await enroll(owner, 'grab', [operator.tenant]))).toEqual(['tenants NOT_PERMITTED'])
    expect(codes(await enroll(operator, 'nowhere', ['no-such']))).toEqual(['tenants.0 NOT_FOUND'])
    await testInstance(ctx, owner, 'taken')
    expect(codes(await enroll(operator, 'taken', [owner.tenant]))).toEqual(['tenants.0 INVALID_INPUT'])
  })

  it('gives a tenant that makes a token of its own nothing of the others', async () => {
    const { other } = await shared('mine')
    const own = await enroll(other, 'mine')
    const joined = await redeemToken(ctx, { token: own.enrollmentToken!, ...instanceKeys() })
    expect(joined).toMatchObject({ tenants: [other.tenant] })
  })

  it('serves another tenant with the instances that it has, at the epoch they have', async () => {
    const { instance } = await shared('growing')
    const { owner: third } = await testTenant(ctx)
    expect((await enroll(operator, 'growing', [third.tenant])).errors).toEqual([])
    const found = await findInstance(ctx, instance)
    expect(found!.serves).toContain(third.tenant)
    expect(await openEpoch(ctx, instance, hello)).toBe(2)
    expect(await findInstance(ctx, instance)).toMatchObject({ epoch: 2 })
    expect(await stateIn(third, instance)).toBe('BEHIND')
  })

  it('records for a tenant only while it serves it, and for a day after', async () => {
    const { other, instance, dataPlane, epoch } = await shared('leaving')
    const stranger = (await testTenant(ctx)).owner
    const chain = new TestChain({ instance, dataPlane, epoch, tenant: other.tenant })
    const deliver = (tenant: string, from: number, record: string) =>
      acceptRecords(ctx, instance, { tenant, epoch, from, records: [record] })
    expect(await deliver(other.tenant, 0, chain.next())).toMatchObject({ head: { sequence: 0 } })
    expect(await deliver(stranger.tenant, 0, chain.next())).toMatchObject({ refused: true, head: null })
    expect(await chainHeads(ctx, instance)).toMatchObject([{ tenant: other.tenant, sequence: 0 }])

    const { revision } = (await audited(other, 'dataPlane.enroll'))[0]!
    await archive(ctx, other, { refs: [dataPlane], ifRevision: revision!, dryRun: false })
    expect((await findInstance(ctx, instance))!.serves).toEqual([operator.tenant])
    expect(await stateIn(other, instance)).toBe('RETIRED')
    expect(await stateIn(operator, instance)).toBe('BEHIND')
    const late = new TestChain({ instance, dataPlane, epoch, tenant: other.tenant })
    late.next()
    expect(await deliver(other.tenant, 0, late.next())).not.toMatchObject({ reason: expect.stringContaining('serves') })
    ctx.clock.nowMs += 25 * 3_600_000
    expect(await deliver(other.tenant, 0, late.next())).toMatchObject({ reason: expect.stringContaining('serves') })
  })

  it('serves a tenant that put it out again only after that tenant has restored it', async () => {
    const { other, instance, dataPlane } = await shared('returning')
    const { revision } = (await audited(other, 'dataPlane.enroll'))[0]!
    const archived = await archive(ctx, other, { refs: [dataPlane], ifRevision: revision!, dryRun: false })
    expect(codes(await enroll(operator, 'returning', [other.tenant]))).toEqual(['tenants.0 INVALID_INPUT'])
    await restore(ctx, other, { refs: [dataPlane], ifRevision: archived.revision, dryRun: false })
    expect((await findInstance(ctx, instance))!.serves).toEqual([operator.tenant])
    expect((await enroll(operator, 'returning', [other.tenant])).errors).toEqual([])
    expect((await findInstance(ctx, instance))!.serves).toContain(other.tenant)
    expect(await openEpoch(ctx, instance, hello)).toBe(2)
  })

  it('cannot speak for another data plane', async () => {
    const { other, instance, epoch } = await shared('honest')
    const chain = new TestChain({ instance, dataPlane: 'dpl_another', epoch, tenant: other.tenant })
    const answer = await acceptRecords(ctx, instance, { tenant: other.tenant, epoch, from: 0, records: [chain.next()] })
    expect(answer).toMatchObject({ refused: true, head: null, reason: expect.stringContaining('another data plane') })
  })

  it('tells each tenant of its own snapshot and its own records', async () => {
    const { other, instance, epoch } = await shared('telling')
    const sentAtMs = ctx.clock.now()
    const of = (tenant: string, revision: number, recordsThroughMs: number | null) => ({
      ...{ tenant, revision, deltaNumber: revision, snapshotAgeMs: 1, recordsThroughMs },
    })
    const applied = [of(operator.tenant, 7, sentAtMs - 60_000), of(other.tenant, 3, null)]
    await seen(ctx, { instance, epoch }, { sentAtMs, applied, recordsThroughMs: sentAtMs - 60_000 })
    const rows = await Promise.all(
      [operator, other].map(({ tenant }) =>
        ctx.db.withTenant(tenant, (tx) => instancesByIds(tx, tenant, [instance], sentAtMs)),
      ),
    )
    expect(rows.flat()).toMatchObject([
      { activeRevision: 7, recordsThrough: new Date(sentAtMs - 60_000) },
      { activeRevision: 3, recordsThrough: new Date(sentAtMs) },
    ])
  })

  it('leaves a line in the log of those it concerns for what it is refused', async () => {
    const { other, instance, dataPlane } = await shared('refused')
    await noteRefused(ctx, instance, { code: 'records', reason: 'test', times: 3, tenants: [other.tenant] })
    const [entry] = await audited(other, 'dataPlane.refuse')
    expect(entry).toMatchObject({ allowed: false, reason: 'test', actor: { kind: 'DATA_PLANE', id: instance } })
    expect(entry!.targets).toMatchObject([{ id: dataPlane, changes: [{ path: ['refused', 'records'], after: '3' }] }])
    expect(await audited(operator, 'dataPlane.refuse')).toEqual([])
  })
})

describe('a link that a newer one has taken the place of', () => {
  it('says nothing of its instance any more, neither when it beats nor when it goes', async () => {
    const { owner } = await testTenant(ctx)
    const { instance, epoch } = await testInstance(ctx, owner)
    const newer = await openEpoch(ctx, instance, hello)
    const beat = { sentAtMs: ctx.clock.now(), applied: [], recordsThroughMs: null }
    await gone(ctx, { instance, epoch })
    expect(await stateIn(owner, instance)).toBe('BEHIND')
    expect(await seen(ctx, { instance, epoch }, beat)).toBe(false)
    expect(await seen(ctx, { instance, epoch: newer }, beat)).toBe(true)
    await gone(ctx, { instance, epoch: newer })
    expect(await stateIn(owner, instance)).toBe('OFFLINE')
  })
})
