import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Running, runControlPlane } from './running.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const revision = async () => (await plane.ask('{ tenant { configRevision } }')).data.tenant.configRevision as number
const write = async (verb: string, type: string, input: object) => {
  const document = `mutation ($input: ${type}!) { write: ${verb}(input: $input) {
    errors { code message path } revision plan { digest changes { action ref } warnings { message } }
  } }`
  const { data, errors } = await plane.ask(document, { input: { ifRevision: await revision(), ...input } })
  expect(errors).toBeUndefined()
  return data.write
}
const apply = (...resources: object[]) => write('apply', 'ApplyInput', { resources })

describe('policies by GraphQL', () => {
  it('are declared and read back with what they name, by handle', async () => {
    const { data } = await plane.ask('{ tenant { name } }')
    const applied = await apply(
      { tenant: { name: data.tenant.name, requestLabels: [{ key: 'case', from: ['metadata.case'], values: ['a'] }] } },
      { team: { name: 'core' } },
      { tier: { name: 'large', rank: 2 } },
      { provider: { name: 'echo', platform: 'ECHO', region: 'eu-1' } },
      { model: { name: 'echo-1', provider: 'provider/echo', upstreamName: 'echo-1', tier: 'tier/large' } },
      {
        policy: {
          ...{ name: 'stay', scope: 'team/core', order: 3, overridable: true },
          ...{ when: { requestLabels: { case: 'a' }, dialect: ['OPENAI_CHAT'], minInputTokens: 10 } },
          spec: { routing: { allowTiers: ['tier/large'], regions: ['eu-1'] } },
        },
      },
      {
        policy: {
          name: 'a-only',
          scope: 'label/case=a',
          mode: 'OFF',
          spec: { routing: { denyModels: ['model/echo-1'] } },
        },
      },
    )
    expect(applied).toMatchObject({ errors: [], plan: { warnings: [] } })
    const read = await plane.ask(`{ tenant {
      requestLabels { key from required values maxValues subject }
      tiers { nodes { handle rank models { nodes { name tier { name } } } } }
      policies { nodes {
        handle order mode onFailure overridable scope { ref resource { __typename } }
        when { requestLabels model { name } dialect external minInputTokens }
        spec { __typename ... on RoutingPolicy { allowAliases { name } allowTiers { name } denyModels { name } regions } }
      } }
    } }`)
    expect(read.errors).toBeUndefined()
    const { tenant } = read.data
    expect(tenant.requestLabels).toEqual([
      { key: 'case', from: ['metadata.case'], required: false, values: ['a'], maxValues: 1_000, subject: false },
    ])
    const [tier] = tenant.tiers.nodes
    expect(tier).toEqual({
      ...{ handle: 'tier/large', rank: 2 },
      models: { nodes: [{ name: 'echo-1', tier: { name: 'large' } }] },
    })
    expect(tenant.policies.nodes).toEqual([
      {
        ...{ handle: 'policy/stay', order: 3, mode: 'ENFORCE', onFailure: 'CLOSED', overridable: true },
        scope: { ref: 'team/core', resource: { __typename: 'Team' } },
        when: {
          requestLabels: { case: 'a' },
          model: null,
          dialect: ['OPENAI_CHAT'],
          external: null,
          minInputTokens: 10,
        },
        spec: {
          ...{ __typename: 'RoutingPolicy', allowAliases: null, allowTiers: [{ name: 'large' }] },
          ...{ denyModels: [], regions: ['eu-1'] },
        },
      },
      {
        ...{ handle: 'policy/a-only', order: 0, mode: 'OFF', onFailure: 'CLOSED', overridable: false },
        ...{ scope: { ref: 'label/case=a', resource: null }, when: null },
        spec: {
          ...{ __typename: 'RoutingPolicy', allowAliases: null, allowTiers: null },
          ...{ denyModels: [{ name: 'echo-1' }], regions: null },
        },
      },
    ])
  })

  it('are found by scope, kind and mode, and models by tier', async () => {
    const names = async (filter: string) => {
      const { data, errors } = await plane.ask(`{ tenant { policies(filter: { ${filter} }) { nodes { name } } } }`)
      expect(errors, filter).toBeUndefined()
      return data.tenant.policies.nodes.map(({ name }: { name: string }) => name)
    }
    expect(await names('scope: ["team/core"]')).toEqual(['stay'])
    expect(await names('scope: ["label/case=a"]')).toEqual(['a-only'])
    expect(await names('scope: ["label/case", "team/none"]')).toEqual([])
    expect(await names('kind: [ROUTING]')).toEqual(['stay', 'a-only'])
    expect(await names('kind: []')).toEqual([])
    expect(await names('mode: [OFF, OBSERVE]')).toEqual(['a-only'])
    const { data } = await plane.ask('{ tenant { models(filter: { tier: ["tier/large"] }) { nodes { name } } } }')
    expect(data.tenant.models.nodes).toEqual([{ name: 'echo-1' }])
  })

  it('hold exactly one kind of rule', async () => {
    const document = 'mutation ($input: ApplyInput!) { apply(input: $input) { errors { message } } }'
    const input = { ifRevision: 0, resources: [{ policy: { name: 'p', scope: 'team/core', spec: {} } }] }
    expect((await plane.ask(document, { input })).errors?.[0].extensions.code).toBe('BAD_DOCUMENT')
  })
})

describe('going back by GraphQL', () => {
  it('restores what was archived and reverts to a revision, as planned', async () => {
    const before = await revision()
    const refs = ['policy/stay', 'policy/a-only']
    await write('archive', 'ArchiveInput', { refs })
    const { plan } = await write('restore', 'ArchiveInput', { refs, dryRun: true })
    expect(plan.changes.map(({ action }: { action: string }) => action)).toEqual(['RESTORE', 'RESTORE'])
    const restored = await write('restore', 'ArchiveInput', { refs: refs.slice(0, 1), planDigest: plan.digest })
    expect(restored.errors).toMatchObject([{ code: 'STALE_PLAN', path: ['planDigest'] }])
    const reverted = await write('revert', 'RevertInput', { toRevision: before, planDigest: plan.digest })
    expect(reverted).toMatchObject({ errors: [], revision: before + 2, plan: { changes: plan.changes } })
    const { data } = await plane.ask('{ resource(ref: "policy/stay") { archivedAt revision } }')
    expect(data.resource).toEqual({ archivedAt: null, revision: before + 2 })
  })

  it('never met a fault', () => expect(plane.faults).toEqual([]))
})
