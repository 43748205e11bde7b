import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { declarations } from '../../schema/config/index.ts'
import { findReferences } from '../../schema/config/walk.ts'
import { handleOf, type Kind } from '../../schema/handles.ts'
import { resource } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type Applied, apply, archive } from './apply.ts'
import { listAudit } from './audit.ts'
import { apiKeyIssue } from './keys.ts'
import { dataPlaneEnroll } from './planes.ts'
import { findResource, listResources, resourcesByIds } from './resources.ts'
import { declareAll, declareLabels, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const paths = ({ errors }: Applied) => errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const actions = ({ plan }: Applied) => plan!.changes.map(({ action, ref }) => `${action} ${ref}`)
const given = (resources: [Kind, Record<string, unknown>][]) => resources.map(([kind, input]) => ({ kind, input }))

async function configured() {
  const { owner } = await testTenant(ctx)
  const applied = await declareAll(ctx, owner, smallConfig)
  expect(applied.errors).toEqual([])
  return { owner, revision: applied.revision, applied }
}

const find = (owner: Actor, ref: string) => ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, ref))

describe('apply', () => {
  it('makes everything of one input together, whatever the order of references', async () => {
    const { owner } = await testTenant(ctx)
    const applied = await declareAll(ctx, owner, [...smallConfig].reverse())
    expect(applied.errors).toEqual([])
    expect(new Set(actions(applied))).toEqual(
      new Set(smallConfig.map(([kind, { name }]) => `CREATE ${handleOf(kind, name as string)}`)),
    )
    const alias = await find(owner, 'alias/chat')
    const model = await find(owner, 'model/small')
    expect(alias?.spec).toMatchObject({ model: model!.id, route: null })
    expect(alias?.revision).toBe(applied.revision)
  })

  it('changes nothing, and makes no revision, audit entry or event, when applied again', async () => {
    const { owner, revision } = await configured()
    const again = await declareAll(ctx, owner, smallConfig)
    expect(again.errors).toEqual([])
    expect(new Set(again.plan!.changes.map(({ action }) => action))).toEqual(new Set(['UNCHANGED']))
    expect(again.revision).toBe(revision)
    expect(again.audit).toBeNull()
  })

  it('keeps a field that is left out, and returns one to its default that is null', async () => {
    const { owner } = await configured()
    await declareAll(ctx, owner, [['team', { name: 'support', costCenter: 'cc-1', labels: { a: 'b' } }]])
    await declareAll(ctx, owner, [['team', { name: 'support' }]])
    expect(await find(owner, 'team/support')).toMatchObject({ labels: { a: 'b' }, spec: { costCenter: 'cc-1' } })
    await declareAll(ctx, owner, [['team', { name: 'support', costCenter: null, labels: null }]])
    expect(await find(owner, 'team/support')).toMatchObject({ labels: {}, spec: { costCenter: null } })
    await declareAll(ctx, owner, [['model', { name: 'small', bounds: { tokensPerMessage: null, tokensPerImage: 9 } }]])
    expect((await find(owner, 'model/small'))?.spec).toMatchObject({
      bounds: { tokensPerMessage: 16, tokensPerImage: 9 },
    })
  })

  it('reads what was written before a field was declared with that field at its default', async () => {
    const { owner } = await configured()
    const model = await find(owner, 'model/small')
    const { tier: _, capabilities: __, ...older } = model!.spec as Record<string, unknown>
    await ctx.db.withTenant(owner.tenant, (tx) =>
      tx.update(resource).set({ spec: older }).where(eq(resource.id, model!.id)),
    )
    expect((await find(owner, 'model/small'))!.spec).toEqual(model!.spec)
    expect(actions(await declareAll(ctx, owner, [['model', { name: 'small' }]]))).toEqual(['UNCHANGED model/small'])
  })

  it('tells all errors at once, each with its path, and writes nothing', async () => {
    const { owner, revision } = await configured()
    const applied = await declareAll(ctx, owner, [
      ['team', { name: 'fine' }],
      ['model', { name: 'm', provider: 'provider/nowhere', upstreamName: 'x', temperature: 1 }],
      ['alias', { name: 'both', model: 'model/small', route: 'route/none' }],
      ['team', { name: 'bad name', costCenter: 7 }],
      ['alias', { name: 'wrong-kind', model: 'team/support' }],
      ['route', { name: 'r', targets: [{ model: 'model/small' }, { model: 'model/nope' }], retry: { attempts: 99 } }],
      ['team', { name: 'fine', labels: { 'not a key!': 'x' } }],
      ['credential', { name: 'c', provider: 'provider/openai', source: 'ENVIRONMENT', locator: 'file:/x' }],
      ['apiKey', { name: 'none-such' }],
      ['model', { name: 'n', provider: 'provider/openai' }],
      ['model', { name: 'o', provider: 'provider/nowhere', upstreamName: 'x' }],
    ])
    expect(paths(applied).sort()).toEqual(
      [
        'resources.1.model.temperature INVALID_INPUT',
        'resources.10.model.provider NOT_FOUND',
        'resources.2.alias.model INVALID_INPUT',
        'resources.2.alias.route NOT_FOUND',
        'resources.3.team.name INVALID_INPUT',
        'resources.4.alias.model INVALID_INPUT',
        'resources.5.route.retry.attempts INVALID_INPUT',
        'resources.6.team.name INVALID_INPUT',
        'resources.7.credential.locator INVALID_INPUT',
        'resources.8.apiKey.name INVALID_INPUT',
        'resources.9.model.upstreamName INVALID_INPUT',
      ].sort(),
    )
    expect(applied.errors.find(({ path }) => path[1] === '9')?.message).toBe('is required')
    expect(applied.revision).toBe(revision)
    expect(await find(owner, 'team/fine')).toBeUndefined()
  })

  it('plans a dry run exactly as it would be done, and writes none of it', async () => {
    const { owner, revision } = await configured()
    const resources = given([
      ['team', { name: 'support', costCenter: 'cc-2' }],
      ['team', { name: 'new' }],
    ])
    const dry = await apply(ctx, owner, { resources, ifRevision: revision, dryRun: true })
    expect(actions(dry)).toEqual(['UPDATE team/support', 'CREATE team/new'])
    expect(dry.plan!.changes[0]!.fields).toEqual([{ path: ['costCenter'], before: null, after: 'cc-2' }])
    expect(dry.audit).toBeNull()
    expect(await find(owner, 'team/new')).toBeUndefined()
    const { digest: planDigest } = dry.plan!
    const done = await apply(ctx, owner, { resources, ifRevision: revision, dryRun: false, planDigest })
    expect(done.errors).toEqual([])
    expect(done.plan!.digest).toBe(planDigest)
    expect(done.revision).toBe(revision + 1)
  })

  it('refuses a reviewed plan that would now differ, and only then', async () => {
    const { owner, revision } = await configured()
    const resources = given([['team', { name: 'support', costCenter: 'cc-3' }]])
    const dry = await apply(ctx, owner, { resources, ifRevision: revision, dryRun: true })
    await declareAll(ctx, owner, [['team', { name: 'unrelated' }]])
    const planDigest = dry.plan!.digest
    const fine = await apply(ctx, owner, { resources, ifRevision: revision, dryRun: true, planDigest })
    expect(fine.errors).toEqual([])
    await declareAll(ctx, owner, [['team', { name: 'support', costCenter: 'other' }]])
    const stale = await apply(ctx, owner, { resources, ifRevision: revision + 2, dryRun: false, planDigest })
    expect(paths(stale)).toEqual(['planDigest STALE_PLAN'])
    expect((await find(owner, 'team/support'))?.spec).toMatchObject({ costCenter: 'other' })
  })

  it('refuses only where something it touches changed since', async () => {
    const { owner, revision } = await configured()
    await declareAll(ctx, owner, [['team', { name: 'support', costCenter: 'theirs' }]])
    const write = (input: Record<string, unknown>) =>
      apply(ctx, owner, { resources: given([['team', input]]), ifRevision: revision, dryRun: false })
    expect(paths(await write({ name: 'support', costCenter: 'mine' }))).toEqual(['resources.0.team STALE_REVISION'])
    expect(paths(await write({ name: 'support', costCenter: 'theirs' }))).toEqual([])
    expect(paths(await write({ name: 'another' }))).toEqual([])
  })

  it('renames by id, swaps names in one input, and refuses a taken one', async () => {
    const { owner } = await configured()
    const made = await declareAll(ctx, owner, [
      ['team', { name: 'a' }],
      ['team', { name: 'b' }],
    ])
    const [a, b] = made.resources
    const taken = await declareAll(ctx, owner, [['team', { id: a!.id, name: 'b' }]])
    expect(paths(taken)).toEqual(['resources.0.team.name NAME_TAKEN'])
    const swapped = await declareAll(ctx, owner, [
      ['team', { id: a!.id, name: 'b' }],
      ['team', { id: b!.id, name: 'a' }],
    ])
    expect(swapped.errors).toEqual([])
    expect((await find(owner, 'team/a'))?.id).toBe(b!.id)
    expect((await find(owner, a!.id))?.name).toBe('b')
  })

  it('archives what carries the pruned labels and is not mentioned, and refuses to prune without labels', async () => {
    const { owner, revision } = await configured()
    const labels = { by: 'git' }
    await declareAll(ctx, owner, [
      ['team', { name: 'kept', labels }],
      ['team', { name: 'gone', labels }],
      ['team', { name: 'foreign' }],
    ])
    const input = { resources: given([['team', { name: 'kept' }]]), ifRevision: revision + 1, dryRun: false }
    expect(paths(await apply(ctx, owner, { ...input, prune: {} }))).toEqual(['prune INVALID_INPUT'])
    const pruned = await apply(ctx, owner, { ...input, prune: labels })
    expect(actions(pruned)).toEqual(['UNCHANGED team/kept', 'ARCHIVE team/gone'])
    expect(await find(owner, 'team/gone')).toBeUndefined()
    expect(await find(owner, 'team/foreign')).toBeDefined()
    expect((await declareAll(ctx, owner, [['team', { name: 'gone' }]])).errors).toEqual([])
  })

  it('does not prune what the same input begins to name', async () => {
    const { owner } = await configured()
    await declareAll(ctx, owner, [
      ['model', { name: 'old', provider: 'provider/openai', upstreamName: 'o', labels: { p: '1' } }],
    ])
    const { revision } = await declareAll(ctx, owner, [['team', { name: 'x' }]])
    const resources = given([['alias', { name: 'to-old', model: 'model/old' }]])
    const applied = await apply(ctx, owner, { resources, ifRevision: revision, dryRun: false, prune: { p: '1' } })
    expect(paths(applied)).toEqual(['prune STILL_REFERENCED'])
  })

  it('is no change for what was dumped, for every kind', async () => {
    const { owner } = await configured()
    const { principal } = owner
    const more = await declareAll(ctx, owner, [
      [
        'route',
        { name: 'r', targets: [{ model: 'model/small', credential: 'credential/openai-key' }], retry: { attempts: 3 } },
      ],
      ['alias', { name: 'routed-*', route: 'route/r', deprecation: { since: '2026-01-01', use: 'alias/chat' } }],
      ['principal', { name: 'p', kind: 'PERSON', identities: [{ issuer: 'https://idp', subject: 's' }] }],
      [
        'project',
        { name: 'bot', owner: 'principal/p', retention: { preset: 'CUSTOM', records: '30d', payloads: '90s' } },
      ],
      ['team', { name: 'support', members: [{ principal: 'principal/p', role: 'ADMIN' }] }],
      ['tier', { name: 'large', rank: 3 }],
      ['model', { name: 'small', region: 'eu-1', tier: 'tier/large' }],
    ])
    expect(more.errors).toEqual([])
    await declareLabels(ctx, owner, 'a', 'case')
    const when = { requestLabels: { case: 'x' }, tier: ['tier/large'], external: true, minInputTokens: 10 }
    const routing = { allowTiers: ['tier/large'], regions: ['eu-1'] }
    const policies = await declareAll(ctx, owner, [
      ['policy', { name: 'stay', scope: 'team/support', order: 5, when, spec: { routing } }],
      ['policy', { name: 'case', scope: 'label/case=a/b=c', mode: 'OFF', spec: { routing: { regions: ['eu-1'] } } }],
      [
        'budget',
        {
          name: 'b',
          scope: 'team/support',
          limit: { amount: '10.50', currency: 'USD' },
          period: 'ROLLING',
          window: '1d',
        },
      ],
      [
        'rateLimit',
        { name: 'pace', scope: 'credential/openai-key', unit: 'TOKENS', limit: 1_000, window: '1m', burst: 10 },
      ],
      ['webhook', { name: 'pager', url: 'https://hooks.example/a?b=c', events: ['CONFIG_CHANGED'], paused: true }],
      [
        'alertRule',
        { name: 'fast', scope: 'label/case=x', on: 'BURN_RATE', threshold: '14.4', webhooks: ['webhook/pager'] },
      ],
    ])
    expect(policies.errors).toEqual([])
    const key = { kind: 'APPLICATION' as const, name: 'k', principal: principal!, project: 'project/bot' }
    await apiKeyIssue(ctx, owner, { idempotencyKey: 'k', ...key, expiresAt: '2027-01-01', requestLabels: { a: 'b' } })
    await dataPlaneEnroll(ctx, owner, { idempotencyKey: 'd', name: 'edge', adapter: 'STANDALONE' })
    const dumped = await dump(owner)
    expect(new Set(dumped.map(([kind]) => kind))).toEqual(new Set(Object.keys(declarations)))
    const again = await declareAll(ctx, owner, dumped)
    expect(again.errors).toEqual([])
    expect(again.plan!.changes.filter(({ action }) => action !== 'UNCHANGED')).toEqual([])
  })

  it('warns of a model without a price', async () => {
    const { owner } = await configured()
    const applied = await declareAll(ctx, owner, [
      ['model', { name: 'unpriced', provider: 'provider/openai', upstreamName: 'u' }],
      ['alias', { name: 'u', model: 'model/unpriced' }],
    ])
    expect(applied.plan!.warnings.map(({ path }) => path.join('.'))).toEqual(['resources.1.alias.model'])
  })

  it('refuses a credential of another provider, and a price in another currency without a rate', async () => {
    const { owner } = await configured()
    const applied = await declareAll(ctx, owner, [
      ['provider', { name: 'other', platform: 'ECHO' }],
      ['credential', { name: 'other-key', provider: 'provider/other' }],
      ['route', { name: 'r', targets: [{ model: 'model/small', credential: 'credential/other-key' }] }],
      ['priceSheet', { name: 'euro', currency: 'EUR' }],
    ])
    expect(paths(applied)).toEqual([
      'resources.2.route.targets.0.credential INVALID_INPUT',
      'resources.3.priceSheet.exchangeRate INVALID_INPUT',
    ])
  })
})

describe('archive', () => {
  it('refuses what is still named, unless both go together', async () => {
    const { owner, revision } = await configured()
    const input = { ifRevision: revision, dryRun: false }
    const refused = await archive(ctx, owner, { refs: ['model/small', 'alias/nope', 'garbage'], ...input })
    expect(paths(refused).sort()).toEqual(['refs.0 STILL_REFERENCED', 'refs.1 NOT_FOUND', 'refs.2 INVALID_INPUT'])
    const by = refused.errors.find((error) => error.type === 'StillReferenced')
    expect(by?.type === 'StillReferenced' && by.by.map(({ name }) => name).sort()).toEqual(['chat', 'list'])
    const refs = ['model/small', 'alias/chat', 'price-sheet/list']
    expect(paths(await archive(ctx, owner, { refs, ...input }))).toEqual([])
    expect(await find(owner, 'model/small')).toBeUndefined()
  })
})

describe('who may', () => {
  it('refuses and audits a write without permission', async () => {
    const { owner, revision } = await configured()
    const viewer: Actor = { ...owner, permissions: new Set(['config:read']) }
    const refused = await apply(ctx, viewer, {
      resources: given([['team', { name: 'x' }]]),
      ifRevision: revision,
      dryRun: false,
    })
    expect(paths(refused)).toEqual([' NOT_PERMITTED'])
    const { rows } = await ctx.db.withTenant(owner.tenant, (tx) => listAudit(tx, owner.tenant, { first: 1 }))
    expect(rows[0]).toMatchObject({ action: 'config.apply', allowed: false })
  })

  it('lets nobody give a role whose permissions it does not hold', async () => {
    const { owner } = await configured()
    const made = await declareAll(ctx, owner, [['principal', { name: 'eve' }]])
    const admin: Actor = {
      ...owner,
      permissions: new Set([...owner.permissions].filter((name) => name !== 'owner:grant')),
    }
    const [tenant] = await ctx.db.withTenant(owner.tenant, (tx) => resourcesByIds(tx, owner.tenant, [owner.tenant]))
    const members = (role: string) => [
      { principal: owner.principal, role: 'OWNER' },
      { principal: made.resources[0]!.id, role },
    ]
    const grant = (actor: Actor, role: string) =>
      declareAll(ctx, actor, [['tenant', { name: tenant!.name, members: members(role) }]])
    expect(paths(await grant(admin, 'OWNER'))).toEqual(['resources.0.tenant.members NOT_PERMITTED'])
    expect(paths(await grant(owner, 'OWNER'))).toEqual([])
    const unseat = await declareAll(ctx, admin, [
      ['tenant', { name: tenant!.name, members: members('VIEWER').slice(1) }],
    ])
    expect(paths(unseat)).toContain('resources.0.tenant.members NOT_PERMITTED')
  })

  it('never leaves a tenant without an owner', async () => {
    const { owner } = await configured()
    const made = await declareAll(ctx, owner, [['principal', { name: 'heir', labels: { leaves: 'yes' } }]])
    const heir = made.resources[0]!.id
    const [tenant] = await ctx.db.withTenant(owner.tenant, (tx) => resourcesByIds(tx, owner.tenant, [owner.tenant]))
    const declare = (members: object[] | null) => declareAll(ctx, owner, [['tenant', { name: tenant!.name, members }]])
    const refusal = ['resources.0.tenant.members INVALID_INPUT']
    expect(paths(await declare(null))).toEqual(refusal)
    expect(paths(await declare([{ principal: owner.principal, role: 'ADMIN' }]))).toEqual(refusal)
    expect(paths(await declare([{ principal: heir, role: 'OWNER' }]))).toEqual([])
    const { revision } = made
    const gone = await archive(ctx, owner, { refs: [heir], ifRevision: revision, dryRun: false })
    expect(paths(gone)).toEqual(['refs.0 STILL_REFERENCED'])
    const renamed = await declareAll(ctx, owner, [['tenant', { name: tenant!.name, labels: { still: 'owned' } }]])
    expect(paths(renamed)).toEqual([])
  })

  it('answers for another tenant as for nothing', async () => {
    const { owner } = await configured()
    const { owner: stranger } = await configured()
    const team = await find(owner, 'team/support')
    expect(await find(stranger, team!.id)).toBeUndefined()
    const applied = await declareAll(ctx, stranger, [
      ['project', { name: 'p', team: team!.id }],
      ['team', { id: team!.id, name: 'mine' }],
    ])
    expect(paths(applied).sort()).toEqual(['resources.0.project.team NOT_FOUND', 'resources.1.team.id NOT_FOUND'])
  })
})

/** As `sluice dump` does: every field, references as handles. */
async function dump(owner: Actor): Promise<[Kind, Record<string, unknown>][]> {
  return ctx.db.withTenant(owner.tenant, async (tx) => {
    const { rows } = await listResources(tx, owner.tenant, { first: 1_000 })
    const handles = new Map(rows.map(({ id, kind, name }) => [id, handleOf(kind, name)]))
    return rows.map(({ kind, name, labels, spec }) => {
      const copy = structuredClone(spec) as Record<string, unknown>
      for (const found of findReferences(declarations[kind].spec.shape, copy)) found.replace(handles.get(found.value)!)
      return [kind, { name, labels, ...copy }]
    })
  })
}
