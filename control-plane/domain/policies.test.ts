import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Kind } from '../../schema/handles.ts'
import type { Actor } from './actor.ts'
import { type Applied, archive } from './apply.ts'
import { compile } from './compile.ts'
import { apiKeyIssue } from './keys.ts'
import { everyKind, findResource, liveResources } from './resources.ts'
import { declareAll, declareLabels, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const paths = ({ errors }: Pick<Applied, 'errors'>) => errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const find = (owner: Actor, ref: string) => ctx.db.withTenant(owner.tenant, (tx) => findResource(tx, owner.tenant, ref))
const eu = { routing: { regions: ['eu-1'] } }

const governed: [Kind, Record<string, unknown>][] = [
  ...smallConfig,
  ['tier', { name: 'cheap', rank: 1 }],
  ['tier', { name: 'empty', rank: 2 }],
  ['model', { name: 'small', region: 'eu-1', tier: 'tier/cheap' }],
  ['model', { name: 'large', provider: 'provider/openai', upstreamName: 'large-1' }],
]

async function configured() {
  const { owner } = await testTenant(ctx)
  expect((await declareAll(ctx, owner, smallConfig)).errors).toEqual([])
  const made = await declareAll(ctx, owner, governed.slice(smallConfig.length))
  expect(made.errors).toEqual([])
  await declareLabels(ctx, owner, 'case')
  const tenant = (await find(owner, owner.tenant))!
  const policy = (more: object) => declareAll(ctx, owner, [['policy', { name: 'p', ...more }]])
  return { owner, tenant, policy }
}

const compiled = async (owner: Actor) => {
  const all = await ctx.db.withTenant(owner.tenant, (tx) => liveResources(tx, owner.tenant, everyKind))
  return compile(1, all, [], new Map())
}

const issue = (owner: Actor, requestLabels: Record<string, string>) =>
  apiKeyIssue(ctx, owner, {
    ...{ idempotencyKey: JSON.stringify(requestLabels), kind: 'APPLICATION', name: 'k', requestLabels },
    ...{ principal: owner.principal!, project: 'project/bot' },
  })

describe('a policy', () => {
  it('is compiled to positions and ids, in the order in which policies apply', async () => {
    const { owner } = await configured()
    const when = { requestLabels: { case: 'x' }, model: ['model/large'], external: true, maxInputTokens: 5 }
    const applied = await declareAll(ctx, owner, [
      ['policy', { name: 'last', order: 9, scope: 'label/case=a=b', spec: eu }],
      ['policy', { name: 'off', mode: 'OFF', scope: 'team/support', spec: eu }],
      [
        'policy',
        {
          ...{
            name: 'first',
            order: -1,
            scope: 'project/bot',
            mode: 'OBSERVE',
            onFailure: 'OPEN',
            overridable: true,
            when,
          },
          spec: { routing: { allowAliases: ['alias/chat'], allowTiers: ['tier/cheap'], denyModels: ['model/large'] } },
        },
      ],
      ['policy', { name: 'all', scope: owner.tenant, when: {}, spec: eu }],
    ])
    expect(applied.errors).toEqual([])
    const { policies, tiers, requestLabels, models } = await compiled(owner)
    const at = (name: string) => models.findIndex((one) => one.name === name)
    expect(policies.map(({ name }) => name)).toEqual(['first', 'all', 'last'])
    expect(policies[0]).toEqual({
      ...{ id: (await find(owner, 'policy/first'))!.id, name: 'first', order: -1, mode: 'OBSERVE', onFailure: 'OPEN' },
      ...{ overridable: true, scope: { kind: 'PROJECT', id: (await find(owner, 'project/bot'))!.id } },
      when: { requestLabels: { case: 'x' }, models: [at('large')], external: true, maxInputTokens: 5 },
      spec: {
        ...{ kind: 'ROUTING', allowAliases: [0], allowModels: null },
        ...{ allowTiers: [tiers.findIndex(({ name }) => name === 'cheap')], denyModels: [at('large')], regions: null },
      },
    })
    expect(policies[1]).toMatchObject({ scope: { kind: 'TENANT' }, when: null, mode: 'ENFORCE', onFailure: 'CLOSED' })
    expect(policies[2]!.scope).toEqual({ kind: 'LABEL', key: 'case', value: 'a=b' })
    expect(tiers.map(({ name, rank, models: members }) => [name, rank, members])).toEqual([
      ['cheap', 1, [at('small')]],
      ['empty', 2, []],
    ])
    const base = { from: [], required: false, values: null, maxValues: 1_000, subject: false }
    expect(requestLabels).toEqual([{ ...base, key: 'case' }])
  })

  it('names only what is there, by kinds that fit', async () => {
    const { policy } = await configured()
    const spec = { routing: { allowModels: ['model/nope', 'alias/chat'], allowTiers: ['tier/nope'] } }
    expect(paths(await policy({ scope: 'priceSheet/list', spec }))).toEqual([
      'resources.0.policy.scope INVALID_INPUT',
      'resources.0.policy.spec.routing.allowModels.0 NOT_FOUND',
      'resources.0.policy.spec.routing.allowModels.1 INVALID_INPUT',
      'resources.0.policy.spec.routing.allowTiers.0 NOT_FOUND',
    ])
    const wrong = await policy({ scope: 'alias/chat', spec: eu })
    expect(wrong.errors).toMatchObject([{ message: 'names a alias', expected: expect.stringContaining('or label/…') }])
    expect(paths(await policy({ scope: 'model/small', spec: eu }))).toEqual(['resources.0.policy.scope INVALID_INPUT'])
    expect(paths(await policy({ scope: 'team/support', spec: { routing: {} } }))).toEqual([
      'resources.0.policy.spec.routing INVALID_INPUT',
    ])
  })

  it('keeps what it names from being archived', async () => {
    const { owner, policy } = await configured()
    const { revision } = await policy({ scope: 'team/support', when: { tier: ['tier/empty'] }, spec: eu })
    const gone = await archive(ctx, owner, { refs: ['tier/empty', 'tier/cheap'], ifRevision: revision, dryRun: false })
    expect(paths(gone)).toEqual(['refs.0 STILL_REFERENCED', 'refs.1 STILL_REFERENCED'])
  })

  it('is warned of where it probably means something else', async () => {
    const { policy } = await configured()
    const routing = {
      ...{ allowModels: ['model/small', 'model/large'], denyModels: ['model/small'] },
      ...{ allowTiers: ['tier/cheap', 'tier/empty'], regions: ['eu-1', 'eu-2'] },
    }
    const applied = await policy({ scope: 'team/support', spec: { routing }, when: { region: ['mars'] } })
    const path = 'resources.0.policy'
    expect(applied.plan!.warnings.map((one) => `${one.path.join('.')}: ${one.message}`)).toEqual([
      `${path}.spec.routing.denyModels.0: model/small is allowed and denied here; what is denied stays denied`,
      `${path}.spec.routing.allowTiers.1: tier/empty holds no model, so that nothing of it is allowed`,
      `${path}.spec.routing.regions.1: no provider and no model is in region eu-2`,
      `${path}.when.region.0: no provider and no model is in region mars`,
    ])
  })

  it('reaches the projects and keys of its scope, and of the scope it had', async () => {
    const { owner, policy } = await configured()
    await issue(owner, { case: 'a' })
    for (const scope of ['project/bot', 'team/support', owner.tenant])
      expect((await policy({ scope, spec: eu })).plan!.impact).toMatchObject({ projects: 1, apiKeys: 1 })
    const back = await policy({ scope: 'label/case', spec: eu })
    expect(back.plan!.impact).toMatchObject({ projects: 1, apiKeys: 1 })
    expect((await policy({ scope: 'label/case', spec: eu, order: 1 })).plan!.impact).toMatchObject({ projects: 0 })
  })
})

describe('request labels', () => {
  it('are declared before a key binds them or a policy speaks of them', async () => {
    const { owner, policy } = await configured()
    expect(paths(await issue(owner, { case: 'a', step: 'b' }))).toEqual(['requestLabels.step INVALID_INPUT'])
    expect(paths(await policy({ scope: 'label/step=1', spec: eu }))).toEqual(['resources.0.policy.scope INVALID_INPUT'])
    expect(paths(await policy({ scope: 'team/support', when: { requestLabels: { step: '1' } }, spec: eu }))).toEqual([
      'resources.0.policy.when.requestLabels.step INVALID_INPUT',
    ])
    expect(paths(await issue(owner, { case: 'a' }))).toEqual([])
    const changed = await declareAll(ctx, owner, [['apiKey', { name: 'k', requestLabels: { none: 'x' } }]])
    expect(paths(changed)).toEqual(['resources.0.apiKey.requestLabels.none INVALID_INPUT'])
  })

  it('stay, with the values that are in use, while keys and policies speak of them', async () => {
    const { owner, tenant, policy } = await configured()
    await issue(owner, { case: 'a' })
    await policy({ scope: 'label/case=b', spec: eu })
    const declare = (...requestLabels: object[]) =>
      declareAll(ctx, owner, [['tenant', { name: tenant.name, requestLabels }]])
    const at = 'resources.0.tenant.requestLabels STILL_REFERENCED'
    const gone = await declare({ key: 'other' })
    expect(paths(gone)).toEqual([at])
    expect(gone.errors[0]).toMatchObject({ by: [{ name: 'k' }, { name: 'p' }] })
    const narrowed = await declare({ key: 'case', values: ['b', 'c'] })
    expect(narrowed.errors).toMatchObject([{ code: 'STILL_REFERENCED', by: [{ name: 'k' }] }])
    expect(paths(await declare({ key: 'case', values: ['a', 'b'] }))).toEqual([])
    const together = await declareAll(ctx, owner, [
      ['tenant', { name: tenant.name, requestLabels: [{ key: 'step' }] }],
      ['apiKey', { name: 'k', requestLabels: { step: 'z' } }],
      ['policy', { name: 'p', scope: 'label/step' }],
    ])
    expect(paths(together)).toEqual([])
  })
})
