import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readShard } from '../../schema/key-table.ts'
import type { SnapshotManifest } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { snapshot, snapshotPart } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { apply, archive } from './apply.ts'
import { allKeyParts, type KeyParts, keysForm, nextKeyParts } from './key-parts.ts'
import { apiKeyIssue, apiKeyRevoke, apiKeyRotate } from './keys.ts'
import { liveResources } from './resources.ts'
import { restore } from './restore.ts'
import { readParts } from './snapshot-parts.ts'
import { lastSnapshot, snapshotOf } from './snapshots.ts'
import { declareAll, declareLabels, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const dayMs = 86_400_000
const teams = ['support', 'sales']
const keyNames = ['a', 'b', 'c', 'd', 'e']

/** One thing that happens; `key` is one of a few names, so that the same key meets several. */
type Step =
  | { do: 'issue' | 'revoke' | 'archive' | 'restore'; key: string }
  | { do: 'rotate'; key: string; overlap: string }
  | { do: 'label'; key: string; label: string | null }
  | { do: 'allow'; key: string; alias: boolean }
  | { do: 'expire'; key: string; days: number | null }
  | { do: 'move'; project: string; team: string }
  | { do: 'wait'; days: number }
  | { do: 'alias' }
  | { do: 'compile' }

const key = fc.constantFrom(...keyNames)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('issue' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'archive' as const), key }) },
  fc.record({ do: fc.constant('restore' as const), key }),
  fc.record({ do: fc.constant('rotate' as const), key, overlap: fc.constantFrom('PT0S', 'PT1H', 'P3D') }),
  fc.record({ do: fc.constant('label' as const), key, label: fc.constantFrom('x', 'y', null) }),
  fc.record({ do: fc.constant('allow' as const), key, alias: fc.boolean() }),
  fc.record({ do: fc.constant('expire' as const), key, days: fc.constantFrom(-40, -1, 2, 50, null) }),
  fc.record({
    do: fc.constant('move' as const),
    project: fc.constantFrom('bot', 'shop'),
    team: fc.constantFrom(...teams),
  }),
  fc.constant({ do: 'alias' as const }),
  { weight: 4, arbitrary: fc.constant({ do: 'compile' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), days: fc.constantFrom(0.1, 1, 7, 31) }) },
)

/** Does one step as an administrator would; what is refused, since the key is gone or not there yet, changes nothing. */
async function act(owner: Actor, one: Step, unique: number): Promise<void> {
  const change = (name: string, fields: object) => declareAll(ctx, owner, [['apiKey', { name, ...fields }]])
  const idempotencyKey = `step-${unique}`
  if (one.do === 'issue') {
    const project = one.key < 'c' ? 'project/bot' : 'project/shop'
    const requestLabels: Record<string, string> = one.key === 'e' ? { case: String(unique) } : {}
    const fields = { kind: 'APPLICATION' as const, name: one.key, principal: owner.principal!, project, requestLabels }
    await apiKeyIssue(ctx, owner, { idempotencyKey, ...fields })
  } else if (one.do === 'revoke') await apiKeyRevoke(ctx, owner, { apiKey: `api-key/${one.key}`, reason: 'test' })
  else if (one.do === 'archive' || one.do === 'restore') {
    const { revision } = await apply(ctx, owner, { resources: [], ifRevision: 0, dryRun: true })
    const write = one.do === 'archive' ? archive : restore
    await write(ctx, owner, { refs: [`api-key/${one.key}`], ifRevision: revision, dryRun: false })
  } else if (one.do === 'rotate')
    await apiKeyRotate(ctx, owner, { idempotencyKey, apiKey: `api-key/${one.key}`, overlap: one.overlap })
  else if (one.do === 'label') await change(one.key, { requestLabels: one.label ? { case: one.label } : {} })
  else if (one.do === 'allow') await change(one.key, { aliases: one.alias ? ['alias/chat'] : null })
  else if (one.do === 'expire') await change(one.key, { expiresAt: one.days && at(one.days) })
  else if (one.do === 'move')
    await declareAll(ctx, owner, [['project', { name: one.project, team: `team/${one.team}` }]])
  else if (one.do === 'alias') await declareAll(ctx, owner, [['alias', { name: `n-${unique}`, model: 'model/small' }]])
  else if (one.do === 'compile') await snapshotOf(ctx, owner.tenant)
  else if (one.do === 'wait') ctx.clock.nowMs += one.days * dayMs
}

const at = (days: number) => new Date(ctx.clock.nowMs + days * dayMs).toISOString()

async function tenantWithTeams(): Promise<Actor> {
  const { owner } = await testTenant(ctx)
  await declareAll(ctx, owner, [
    ...smallConfig,
    ['team', { name: 'sales' }],
    ['project', { name: 'shop', team: 'team/sales' }],
  ])
  await declareLabels(ctx, owner, 'case')
  await snapshotOf(ctx, owner.tenant)
  return owner
}

async function around(tx: Tx, tenant: string) {
  const projects = await liveResources(tx, tenant, ['project'])
  return { tx, tenant, nowMs: ctx.clock.now(), projectOf: new Map(projects.map((one) => [one.id, one])) }
}

/** Every key row with its grant written out, in a form that can be compared; and whether the counts are those of the rows. */
async function meaningOf(tx: Tx, tenant: string, { grants, grantUses, listed, made }: KeyParts) {
  const kept = await readParts(
    tx,
    tenant,
    listed.map(({ digest }) => digest),
  )
  const rows = listed.flatMap(({ digest }) => readShard(made.get(digest) ?? kept.get(digest)!))
  expect(grants.map((_, index) => rows.filter(({ grant }) => grant === index).length)).toEqual(grantUses)
  const written = rows.map(({ hash, grant, ...row }) => [
    Buffer.from(hash).toString('hex'),
    { ...row, ...grants[grant] },
  ])
  return Object.fromEntries(written.sort(([a], [b]) => (a! < b! ? -1 : 1)))
}

/** How many rows the next snapshot has; made from the last one and from the beginning they are the same. */
function sameAsAll(tenant: string): Promise<number> {
  return ctx.db.withTenant(tenant, async (tx) => {
    const next = await nextKeyParts(await around(tx, tenant), (await lastSnapshot(tx, tenant))!)
    const all = await meaningOf(tx, tenant, await allKeyParts(await around(tx, tenant)))
    expect(await meaningOf(tx, tenant, next!)).toEqual(all)
    return Object.keys(all).length
  })
}

describe('keys that are taken over from the last snapshot', () => {
  it('are those of a compile from the beginning, whatever happened since', async () => {
    let unique = 0
    const sequences = fc.array(step, { minLength: 8, maxLength: 24 })
    await fc.assert(
      fc.asyncProperty(sequences, async (steps) => {
        const { tenant, ...owner } = await tenantWithTeams()
        for (const one of steps) await act({ tenant, ...owner }, one, ++unique)
        await sameAsAll(tenant)
      }),
      { seed: 20_261_123, numRuns: Number(process.env.SLUICE_TEST_RUNS ?? 12) },
    )
  }, 300_000)

  it('leave with the day on which their end is thirty days ago, without a change', async () => {
    // At noon, so that an hour later is the same day.
    ctx.clock.nowMs = (Math.ceil(ctx.clock.nowMs / dayMs) + 0.5) * dayMs
    const owner = await tenantWithTeams()
    for (const name of keyNames) await act(owner, { do: 'issue', key: name }, 3_000 + name.charCodeAt(0))
    await act(owner, { do: 'revoke', key: 'a' }, 0)
    await act(owner, { do: 'rotate', key: 'b', overlap: 'PT1H' }, 3_001)
    await act(owner, { do: 'expire', key: 'c', days: 2 }, 0)
    await act(owner, { do: 'archive', key: 'd' }, 0)
    const counts: number[] = []
    for (const days of [0, 29, 2, 1, 1]) {
      ctx.clock.nowMs += days * dayMs
      counts.push(await sameAsAll(owner.tenant))
      await act(owner, { do: 'alias' }, 4_000 + counts.length)
      await snapshotOf(ctx, owner.tenant)
    }
    // a, two of b, c and e; then without a and the older of b; then without c.
    expect(counts).toEqual([5, 5, 3, 3, 2])
  })

  it('leave every other shard as it is when one key changes', async () => {
    const owner = await tenantWithTeams()
    for (let n = 0; n < 8; n++) await act(owner, { do: 'issue', key: keyNames[n % 5]! }, 1_000 + n)
    const before = await partsOf(owner.tenant)
    await act(owner, { do: 'revoke', key: 'a' }, 0)
    const after = await partsOf(owner.tenant)
    const changed = Object.keys(after).filter((name) => after[name] !== before[name])
    expect(changed.map((name) => name.replace(/[0-9a-f]{2}$/, '')).sort()).toEqual(['config', 'keys/'])
  })

  it('are read from the beginning where a part of the last snapshot is gone, or something else compiled it', async () => {
    const owner = await tenantWithTeams()
    await act(owner, { do: 'issue', key: 'a' }, 2_000)
    const before = await partsOf(owner.tenant)
    const inTenant = <T>(work: (tx: Tx) => Promise<T>) => ctx.db.withTenant(owner.tenant, work)
    const next = () =>
      inTenant(async (tx) => nextKeyParts(await around(tx, owner.tenant), (await lastSnapshot(tx, owner.tenant))!))
    expect(await next()).toBeDefined()
    await inTenant((tx) => tx.update(snapshot).set({ keysForm: '0.0.0 team,project' }))
    expect(await next()).toBeUndefined()
    await inTenant((tx) => tx.update(snapshot).set({ keysForm }))
    await inTenant((tx) => tx.delete(snapshotPart))
    await act(owner, { do: 'revoke', key: 'a' }, 0)
    expect(await next()).toBeUndefined()
    const after = await partsOf(owner.tenant)
    expect(Object.keys(after)).toEqual(Object.keys(before))
    const found = await inTenant((tx) => readParts(tx, owner.tenant, Object.values(after)))
    expect(found.size).toBe(Object.keys(after).length)
  })
})

describe('what is kept', () => {
  it('is the parts of the newest twenty revisions, all of them and no other', async () => {
    const owner = await tenantWithTeams()
    for (let n = 0; n < 24; n++) {
      await act(owner, { do: (['issue', 'revoke', 'archive'] as const)[n % 3]!, key: keyNames[n % 5]! }, 5_000 + n)
      await act(owner, { do: 'alias' }, 5_000 + n)
      await snapshotOf(ctx, owner.tenant)
    }
    await ctx.db.withTenant(owner.tenant, async (tx) => {
      const manifests = await tx.select({ manifest: snapshot.manifest }).from(snapshot)
      const named = manifests.flatMap(({ manifest }) => (JSON.parse(manifest.toString()) as SnapshotManifest).parts)
      const parts = await tx.select({ digest: snapshotPart.digest }).from(snapshotPart)
      expect(manifests.length).toBe(20)
      expect(parts.map(({ digest }) => digest).sort()).toEqual([...new Set(named.map(({ digest }) => digest))].sort())
    })
  })
})

/** Digests by the names of parts, of the newest revision. */
async function partsOf(tenant: string): Promise<Record<string, string>> {
  const { parts } = JSON.parse((await snapshotOf(ctx, tenant)).manifest.toString()) as SnapshotManifest
  return Object.fromEntries(parts.map(({ name, digest }) => [name, digest]))
}
