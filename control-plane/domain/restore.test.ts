import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Actor } from './actor.ts'
import { type Applied, archive } from './apply.ts'
import { listAudit } from './audit.ts'
import { apiKeyFacts, apiKeyIssue } from './keys.ts'
import { findResource } from './resources.ts'
import { restore } from './restore.ts'
import { declareAll, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const paths = ({ errors }: Applied) => errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const find = (owner: Actor, ref: string) => ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, ref))

async function configured() {
  const { owner } = await testTenant(ctx)
  const { revision } = await declareAll(ctx, owner, smallConfig)
  const newest = async () => (await declareAll(ctx, owner, [])).revision
  const act = async (verb: typeof archive, refs: string[], more: object = {}) =>
    verb(ctx, owner, { refs, ifRevision: await newest(), dryRun: false, ...more })
  return { owner, revision, act, newest }
}

describe('restore', () => {
  it('brings back what was archived, under its id, as a new revision that the log tells of', async () => {
    const { owner, act } = await configured()
    const before = (await find(owner, 'alias/chat'))!
    await act(archive, ['alias/chat', 'price-sheet/list', 'model/small'])
    const restored = await act(restore, ['model/small', 'alias/chat'])
    expect(paths(restored)).toEqual([])
    expect(restored.plan!.changes).toEqual([
      { action: 'RESTORE', ref: 'model/small', fields: [] },
      { action: 'RESTORE', ref: 'alias/chat', fields: [] },
    ])
    expect(await find(owner, 'alias/chat')).toMatchObject({ id: before.id, spec: before.spec, archivedAt: null })
    expect((await find(owner, 'alias/chat'))!.revision).toBe(restored.revision)
    const { rows } = await ctx.db.withTenant(owner.tenant, (tx) => listAudit(tx, owner.tenant, { first: 1 }))
    expect(rows[0]).toMatchObject({ action: 'config.restore', allowed: true })
    expect(rows[0]!.targets[0]!.changes).toEqual([{ path: ['archived'], before: 'true', after: 'false' }])
    expect((await act(archive, ['model/small'])).errors[0]!.code).toBe('STILL_REFERENCED')
  })

  it('changes nothing for what is there, and knows nothing of what never was', async () => {
    const { act, revision } = await configured()
    const again = await act(restore, ['team/support'])
    expect(again.plan!.changes).toEqual([{ action: 'UNCHANGED', ref: 'team/support', fields: [] }])
    expect(again.revision).toBe(revision)
    expect(paths(await act(restore, ['team/nowhere', 'garbage']))).toEqual(['refs.0 NOT_FOUND', 'refs.1 INVALID_INPUT'])
  })

  it('refuses a name that is held by now, also by another that comes back with it', async () => {
    const { owner, act } = await configured()
    const make = async () => (await declareAll(ctx, owner, [['team', { name: 'twice' }]])).resources[0]!
    const first = await make()
    await act(archive, [first.id])
    const second = await make()
    const held = await act(restore, ['team/twice'])
    expect(paths(held)).toEqual(['refs.0.name NAME_TAKEN'])
    expect(held.errors[0]).toMatchObject({ holder: { id: second.id } })
    await act(archive, [second.id])
    expect(paths(await act(restore, [first.id, second.id]))).toEqual(['refs.1.name NAME_TAKEN'])
    expect((await act(restore, ['team/twice'])).resources).toMatchObject([{ id: second.id }])
  })

  it('refuses what names something that is still archived, and takes both together', async () => {
    const { act } = await configured()
    await act(archive, ['alias/chat', 'price-sheet/list', 'model/small'])
    const alone = await act(restore, ['alias/chat'])
    expect(paths(alone)).toEqual(['refs.0.model INVALID_INPUT'])
    expect(alone.errors[0]!.message).toBe('alias/chat names model/small, which is archived; restore that too')
    expect(paths(await act(restore, ['alias/chat', 'model/small'], { dryRun: true }))).toEqual([])
    expect(paths(await act(restore, ['alias/chat']))).toEqual(['refs.0.model INVALID_INPUT'])
  })

  it('leaves the secrets of a key revoked, and says so', async () => {
    const { owner, act } = await configured()
    const key = { idempotencyKey: 'k', kind: 'APPLICATION' as const, name: 'k', principal: owner.principal! }
    const { apiKey } = await apiKeyIssue(ctx, owner, { ...key, project: 'project/bot' })
    await act(archive, ['api-key/k'])
    const restored = await act(restore, ['api-key/k'])
    expect(restored.plan!.warnings).toEqual([{ path: ['refs', '0'], message: expect.stringContaining('stay so') }])
    const facts = await ctx.db.withTenant(owner.tenant, (tx) => apiKeyFacts(tx, owner.tenant, [apiKey!.id], 0))
    expect(facts[0]!.state).toBe('REVOKED')
  })

  it('gives back no key to somebody who may not issue keys', async () => {
    const { owner, act, newest } = await configured()
    const key = { idempotencyKey: 'k', kind: 'APPLICATION' as const, name: 'k', principal: owner.principal! }
    await apiKeyIssue(ctx, owner, { ...key, project: 'project/bot' })
    await act(archive, ['api-key/k'])
    const writer: Actor = { ...owner, permissions: new Set(['config:write']) }
    const input = { refs: ['api-key/k'], ifRevision: await newest(), dryRun: false }
    expect(paths(await restore(ctx, writer, input))).toEqual(['refs.0 NOT_PERMITTED'])
    const reader: Actor = { ...owner, permissions: new Set(['config:read']) }
    expect(paths(await restore(ctx, reader, input))).toEqual([' NOT_PERMITTED'])
  })
})
