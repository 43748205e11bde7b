import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { handleOf, type Kind } from '../../schema/handles.ts'
import type { Actor } from './actor.ts'
import { type Applied, apply, archive } from './apply.ts'
import { credentialSet } from './credentials.ts'
import { apiKeyFacts, apiKeyIssue } from './keys.ts'
import { findResource, listResources } from './resources.ts'
import { restore } from './restore.ts'
import { type RevertInput, revert } from './revert.ts'
import { declareAll, declareLabels, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const paths = ({ errors }: Applied) => errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const actions = ({ plan }: Applied) => plan!.changes.map(({ action, ref }) => `${action} ${ref}`).sort()
const warnings = ({ plan }: Applied) => plan!.warnings.map(({ message }) => message)
const find = (owner: Actor, ref: string) => ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, ref))
const newest = async (owner: Actor) => (await declareAll(ctx, owner, [])).revision
const back = async (owner: Actor, toRevision: number, more: Partial<RevertInput> = {}) =>
  revert(ctx, owner, { toRevision, ifRevision: await newest(owner), dryRun: false, ...more })

/** What is declared now, in all that a revert can bring back. */
const declared = async (owner: Actor) => {
  const { rows } = await ctx.db.withTenant(owner.tenant, (tx) => listResources(tx, owner.tenant, { first: 1_000 }))
  return rows.map(({ id, kind, name, labels, spec }) => ({ id, kind, name, labels, spec }))
}

async function configured() {
  const { owner } = await testTenant(ctx)
  const { revision } = await declareAll(ctx, owner, smallConfig)
  return { owner, revision }
}

const issueKey = (owner: Actor, name: string, project = 'project/bot') =>
  apiKeyIssue(ctx, owner, {
    ...{ idempotencyKey: name, kind: 'APPLICATION', name, principal: owner.principal!, project },
  })

describe('revert', () => {
  it('archives what came, brings back what went, changes back what changed, as a new revision', async () => {
    const { owner, revision } = await configured()
    const before = await declared(owner)
    await declareAll(ctx, owner, [
      ['team', { name: 'new' }],
      ['team', { name: 'support', costCenter: 'cc', labels: { a: 'b' } }],
    ])
    const refs = ['alias/chat', 'price-sheet/list', 'model/small']
    await archive(ctx, owner, { refs, ifRevision: revision + 1, dryRun: false })
    const dry = await back(owner, revision, { dryRun: true })
    expect(actions(dry)).toEqual([
      'ARCHIVE team/new',
      'RESTORE alias/chat',
      'RESTORE model/small',
      'RESTORE price-sheet/list',
      'UPDATE team/support',
    ])
    expect(await find(owner, 'team/new')).toBeDefined()
    const done = await back(owner, revision, { planDigest: dry.plan!.digest })
    expect(paths(done)).toEqual([])
    expect(done.revision).toBe(revision + 3)
    expect(done.audit).toMatchObject({ action: 'config.revert' })
    expect(await declared(owner)).toEqual(before)
  })

  it('refuses a plan that was reviewed and would now differ, and a revision that never was', async () => {
    const { owner, revision } = await configured()
    await declareAll(ctx, owner, [['team', { name: 'new' }]])
    const { digest: planDigest } = (await back(owner, revision, { dryRun: true })).plan!
    await declareAll(ctx, owner, [['team', { name: 'newer' }]])
    expect(paths(await back(owner, revision, { planDigest }))).toEqual(['planDigest STALE_PLAN'])
    expect(paths(await back(owner, revision, { ifRevision: revision }))).toEqual([
      'toRevision STALE_REVISION',
      'toRevision STALE_REVISION',
    ])
    expect(paths(await back(owner, revision + 9))).toEqual(['toRevision INVALID_INPUT'])
    expect(paths(await back(owner, 0))).toEqual(['toRevision INVALID_INPUT'])
  })

  it('leaves keys that were issued since and secrets that were set since, and names them', async () => {
    const { owner } = await configured()
    await issueKey(owner, 'old')
    const revision = await newest(owner)
    await issueKey(owner, 'young')
    await credentialSet(ctx, owner, { idempotencyKey: 's', credential: 'credential/openai-key', secret: 'sk-1' })
    await archive(ctx, owner, { refs: ['api-key/old'], ifRevision: revision + 2, dryRun: false })
    const done = await back(owner, revision)
    expect(paths(done)).toEqual([])
    expect(warnings(done)).toEqual([
      'api-key/young was issued since and stays',
      'api-key/old: its secrets were revoked and stay so; issue a new key',
      'the secret of credential/openai-key was changed since and stays as it is',
    ])
    const keys = [(await find(owner, 'api-key/old'))!.id, (await find(owner, 'api-key/young'))!.id]
    const facts = await ctx.db.withTenant(owner.tenant, (tx) => apiKeyFacts(tx, owner.tenant, keys, ctx.clock.now()))
    expect(facts.map((one) => one!.state)).toEqual(['REVOKED', 'ACTIVE'])
  })

  it('refuses to take away what a key that stays still needs', async () => {
    const { owner, revision } = await configured()
    await declareAll(ctx, owner, [['project', { name: 'later', team: 'team/support' }]])
    await issueKey(owner, 'young', 'project/later')
    expect(paths(await back(owner, revision))).toEqual(['toRevision STILL_REFERENCED'])
  })

  it('gives nobody a role that they could not give themselves', async () => {
    const { owner } = await configured()
    const made = await declareAll(ctx, owner, [['principal', { name: 'eve' }]])
    const name = (await find(owner, owner.tenant))!.name
    const members = [{ principal: owner.principal, role: 'OWNER' }]
    const raised = [...members, { principal: made.resources[0]!.id, role: 'OWNER' }]
    const { revision } = await declareAll(ctx, owner, [['tenant', { name, members: raised }]])
    await declareAll(ctx, owner, [['tenant', { name, members }]])
    const admin: Actor = {
      ...owner,
      permissions: new Set([...owner.permissions].filter((one) => one !== 'owner:grant')),
    }
    expect(paths(await back(admin, revision))).toEqual(['toRevision.members NOT_PERMITTED'])
    expect(paths(await back(owner, revision))).toEqual([])
  })
})

const pool = ['a', 'b', 'c'] as const
const name = fc.constantFrom(...pool)
type Change = (owner: Actor, ifRevision: number) => Promise<Applied>
const declaring =
  (...resources: [Kind, Record<string, unknown>][]): Change =>
  (owner, ifRevision) =>
    apply(ctx, owner, {
      resources: resources.map(([kind, input]) => ({ kind, input })),
      ...{ ifRevision, dryRun: false },
    })

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null })
const fields: Partial<Record<Kind, fc.Arbitrary<Record<string, unknown>>>> = {
  team: fc.record({ costCenter: optional(name), labels: optional(fc.constant({ x: 'y' })) }),
  project: fc.record({ team: name.map((team) => `team/${team}`), purpose: optional(name) }),
  tier: fc.record({ rank: fc.nat(3) }),
  model: fc.record({
    provider: fc.constant('provider/openai'),
    upstreamName: name,
    tier: optional(name.map((tier) => `tier/${tier}`)),
  }),
  alias: fc.record({ model: name.map((model) => `model/${model}`), allowLossy: fc.boolean() }),
  policy: fc.record({
    scope: fc.oneof(
      name.map((team) => `team/${team}`),
      fc.constant('label/case=a'),
    ),
    mode: fc.constantFrom('ENFORCE', 'OFF'),
    spec: name.map((model) => ({ routing: { denyModels: [`model/${model}`] } })),
  }),
}
const kinds = Object.keys(fields) as Kind[]
const handle = fc.tuple(fc.constantFrom(...kinds), name).map(([kind, called]) => handleOf(kind, called))

const declareSome = fc
  .array(
    fc.constantFrom(...kinds).chain((kind) => fc.tuple(fc.constant(kind), name, fields[kind]!)),
    { minLength: 1, maxLength: 4 },
  )
  .map((some) =>
    declaring(
      ...some.map(([kind, called, more]) => [kind, { name: called, ...more }] as [Kind, Record<string, unknown>]),
    ),
  )
const swapTeams = fc.tuple(name, name).map(
  ([one, other]): Change =>
    async (owner, ifRevision) => {
      const [first, second] = [await find(owner, `team/${one}`), await find(owner, `team/${other}`)]
      const renamed = [first && { id: first.id, name: other }, second && { id: second.id, name: one }]
      return declaring(
        ...renamed.flatMap((input): [Kind, Record<string, unknown>][] => (input ? [['team', input as never]] : [])),
      )(owner, ifRevision)
    },
)
const refs = fc.uniqueArray(handle, { minLength: 1, maxLength: 4 })
const retire = refs.map(
  (some): Change =>
    (owner, ifRevision) =>
      archive(ctx, owner, { refs: some, ifRevision, dryRun: false }),
)
const revive = refs.map(
  (some): Change =>
    (owner, ifRevision) =>
      restore(ctx, owner, { refs: some, ifRevision, dryRun: false }),
)
const change = fc.oneof({ weight: 4, arbitrary: declareSome }, swapTeams, { weight: 2, arbitrary: retire }, revive)

describe('whatever was changed', () => {
  it('a revert declares exactly what the revision declared, and can itself be reverted', async () => {
    let reverted = 0
    const property = fc.asyncProperty(
      fc.array(change, { minLength: 3, maxLength: 14 }),
      fc.nat(),
      async (changes, pick) => {
        const { owner } = await configured()
        const start = pool.flatMap((called): [Kind, Record<string, unknown>][] => [
          ['team', { name: called }],
          ['tier', { name: called }],
          ['model', { name: called, provider: 'provider/openai', upstreamName: called }],
        ])
        await declareLabels(ctx, owner, 'case')
        await declareAll(ctx, owner, start)
        const states = new Map([[await newest(owner), await declared(owner)]])
        for (const some of changes) {
          // A change that is refused is none.
          const { revision } = await some(owner, await newest(owner))
          if (!states.has(revision)) states.set(revision, await declared(owner))
        }
        const last = await newest(owner)
        const [revision, state] = [...states][pick % states.size]!
        const done = await back(owner, revision)
        expect(done.errors).toEqual([])
        expect(await declared(owner)).toEqual(state)
        expect((await back(owner, last)).errors).toEqual([])
        expect(await declared(owner)).toEqual(states.get(last))
        reverted += revision === last ? 0 : 1
      },
    )
    await fc.assert(property, { numRuns: 25 })
    expect(reverted).toBeGreaterThan(5)
  }, 120_000)
})
