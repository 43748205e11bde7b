import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Kind } from '../../schema/handles.ts'
import type { Actor } from './actor.ts'
import { type Applied, archive } from './apply.ts'
import { compile } from './compile.ts'
import { everyKind, liveResources } from './resources.ts'
import { declareAll, declareLabels, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx.stop())

const paths = ({ errors }: Pick<Applied, 'errors'>) => errors.map(({ path, code }) => `${path.join('.')} ${code}`)
const target = (model: string, when: object | null = null) => ({ model: `model/${model}`, when })

const more: [Kind, Record<string, unknown>][] = [
  [
    'model',
    { name: 'large', provider: 'provider/openai', upstreamName: 'large-1', capabilities: ['CHAT', 'REASONING'] },
  ],
]

async function configured() {
  const { owner } = await testTenant(ctx)
  expect((await declareAll(ctx, owner, smallConfig)).errors).toEqual([])
  expect((await declareAll(ctx, owner, more)).errors).toEqual([])
  await declareLabels(ctx, owner, 'case')
  const route = (fields: object) => declareAll(ctx, owner, [['route', { name: 'r', ...fields }]])
  return { owner, route }
}

async function compiled(owner: Actor) {
  const all = await ctx.db.withTenant(owner.tenant, (tx) => liveResources(tx, owner.tenant, everyKind))
  return compile(1, all, [], new Map())
}

describe('a route', () => {
  it('is compiled with its conditions, its header, and null for whichever credential', async () => {
    const { owner, route } = await configured()
    const when = { requestLabels: { case: 'code' }, tools: true }
    const targets = [target('large', when), target('small')]
    expect(paths(await route({ strategy: 'BY_TASK', stickyHeader: 'x-session', targets }))).toEqual([])
    const { routes, models } = await compiled(owner)
    const at = (name: string) => models.findIndex((model) => model.name === name)
    expect(routes.find(({ strategy }) => strategy === 'BY_TASK')).toMatchObject({
      stickyHeader: 'x-session',
      targets: [
        { model: at('large'), credential: null, weight: 1, when },
        { model: at('small'), credential: null, weight: 1, when: null },
      ],
    })
    expect(models[at('large')]!.reasoning).toBe(true)
    expect(models[at('small')]!.reasoning).toBe(false)
  })

  it('speaks of declared labels only, which then stay', async () => {
    const { owner, route } = await configured()
    const byTask = (label: string) =>
      route({ strategy: 'BY_TASK', targets: [target('large', { requestLabels: { [label]: 'x' } })] })
    expect(paths(await byTask('step'))).toEqual(['resources.0.route.targets.0.when.requestLabels.step INVALID_INPUT'])
    const applied = await byTask('case')
    expect(paths(applied)).toEqual([])
    const tenant = await ctx.db.withTenant(owner.tenant, (tx) => liveResources(tx, owner.tenant, ['tenant']))
    const undeclared = await declareAll(ctx, owner, [['tenant', { name: tenant[0]!.name, requestLabels: [] }]])
    expect(undeclared.errors).toMatchObject([{ code: 'STILL_REFERENCED', by: [{ name: 'r' }] }])
    const gone = await archive(ctx, owner, {
      refs: ['model/large'],
      ifRevision: applied.revision,
      dryRun: false,
    })
    expect(paths(gone)).toEqual(['refs.0 STILL_REFERENCED'])
  })

  it('refuses conditions where they choose nothing, with a place and a way out', async () => {
    const { route } = await configured()
    const priority = await route({ targets: [target('large', { tools: true })] })
    expect(paths(priority)).toEqual(['resources.0.route.targets.0.when INVALID_INPUT'])
    expect(priority.errors[0]!.message).toContain('change the strategy')
    expect(paths(await route({ strategy: 'BY_TASK', targets: [target('large')] }))).toEqual([
      'resources.0.route.targets.0.when INVALID_INPUT',
    ])
  })

  it('by cost is warned of targets whose cost it can only guess', async () => {
    const { owner, route } = await configured()
    const warnings = async (strategy: string) => {
      const { plan } = await route({ strategy, targets: [target('small'), target('large')] })
      return plan!.warnings.map(({ path, message }) => `${path.join('.')}: ${message}`)
    }
    expect(await warnings('LEAST_COST')).toEqual([
      expect.stringContaining('targets.1.model: model/large has no price, and no price sheet has an unpricedCeiling'),
    ])
    const sheet = { name: 'other', effectiveFrom: '2020-01-01', unpricedCeiling: { amount: '1', currency: 'USD' } }
    expect(paths(await declareAll(ctx, owner, [['priceSheet', sheet]]))).toEqual([])
    expect(await warnings('PRIORITY')).toEqual([])
    expect(await warnings('LEAST_COST')).toEqual([
      expect.stringContaining('targets.1.model: model/large has no price of its own: LEAST_COST takes the'),
    ])
  })
})
