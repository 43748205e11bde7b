import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authenticate } from '../../control-plane/domain/actor.ts'
import { declareAll } from '../../control-plane/domain/test-context.ts'
import { onPglite } from './databases.ts'
import { directly } from './direct.ts'
import { makeWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await makeWorld(await onPglite())
  const owner = (await authenticate(world.ctx, world.tokens.OWNER))!
  const { home, principals } = world
  const members = [{ principal: principals.NONE, role: 'MEMBER' }]
  const made = await declareAll(world.ctx, owner, [
    ['team', { name: 'open', members, costCenter: 'open-cost' }],
    [
      'team',
      { name: 'closed', members: [{ principal: home.ids.principal, role: 'OWNER' }], costCenter: 'closed-cost' },
    ],
    [
      'project',
      { name: 'shared', team: 'team/closed', members: [...members, { principal: home.ids.principal, role: 'OWNER' }] },
    ],
    ['provider', { id: home.ids.provider, name: home.name('provider'), headers: { 'x-inner': 'inner-header' } }],
  ])
  expect(made.errors).toEqual([])
})
afterAll(() => world?.stop())

const ask = async (role: 'NONE' | 'MEMBER' | 'VIEWER', document: string, variables: object = {}) =>
  JSON.parse(JSON.stringify(await directly(world.ctx).ask(world.tokens[role], document, variables)))

describe('a principal without a role', () => {
  it('sees which tenant it is in, itself, and what it is a member of', async () => {
    const { data } = await ask('NONE', '{ viewer { tenant { name } permissions memberships { scope { handle } } } }')
    expect(data.viewer).toEqual({
      tenant: { name: world.home.name('tenant') },
      permissions: [],
      memberships: expect.arrayContaining([
        { scope: { handle: 'team/open' } },
        { scope: { handle: 'project/shared' } },
      ]),
    })
    const own = 'query($id: ID!) { node(id: $id) { ... on Principal { name apiKeys { nodes { name } } } } }'
    const seen = await ask('NONE', own, { id: world.principals.NONE })
    expect(seen.data.node.apiKeys.nodes).toEqual([{ name: world.home.name('key-none') }])
  })

  it('learns through a project of its team’s name and no more', async () => {
    const through = (fields: string) =>
      ask('NONE', `{ resource(ref: "project/shared") { ... on Project { team { ${fields} } } } }`)
    expect((await through('name')).data.resource.team).toEqual({ name: 'closed' })
    for (const fields of ['costCenter', 'members { nodes { role } }', 'projects { nodes { name } }']) {
      const answer = await through(`name ${fields}`)
      expect(JSON.stringify(answer), fields).toContain('NOT_PERMITTED')
      expect(JSON.stringify(answer), fields).not.toContain('closed-cost')
    }
  })

  it('learns through another member neither of its keys nor of its other roles', async () => {
    const document = (fields: string) =>
      `{ resource(ref: "project/shared") { ... on Project { members { nodes { principal { id ${fields} } } } } } }`
    const { data } = await ask('NONE', document('memberships { scope { handle } }'))
    const handles = JSON.stringify(data.resource.members)
    expect(handles).toContain('project/shared')
    expect(handles).not.toContain('team/closed')
    for (const fields of ['apiKeys { nodes { name } }', 'identities { subject }'])
      expect(JSON.stringify(await ask('NONE', document(fields))), fields).toContain('NOT_PERMITTED')
  })
})

describe('a member', () => {
  const provider = (fields: string) => `query($id: ID!) { node(id: $id) { id ... on Provider { name ${fields} } } }`

  it('meets a provider by name, and not how it is reached', async () => {
    const id = world.home.ids.provider
    expect((await ask('MEMBER', provider('platform'), { id })).data.node).toMatchObject({ platform: 'ECHO' })
    for (const field of ['baseUrl', 'headers', 'forwardHeaders', 'proxy', 'caBundle', 'credentials { id }']) {
      expect(JSON.stringify(await ask('MEMBER', provider(field), { id })), field).toContain('NOT_PERMITTED')
      expect(await ask('VIEWER', provider(field), { id }), field).not.toHaveProperty('errors')
    }
  })

  it('meets no route', async () => {
    const alias = 'query($id: ID!) { node(id: $id) { ... on Alias { name route { name } } } }'
    const id = world.home.ids.alias
    expect((await ask('MEMBER', alias, { id })).data.node.route).toBeNull()
    expect((await ask('VIEWER', alias, { id })).data.node.route).toEqual({ name: world.home.name('route') })
  })
})
