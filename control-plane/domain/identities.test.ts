import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { actorOf } from './actor.ts'
import { apply, archive } from './apply.ts'
import { createTenant } from './installation.ts'
import { restore } from './restore.ts'
import { declareAll, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
beforeAll(async () => {
  ctx = await testContext()
})
afterAll(() => ctx?.stop())

let numbers = 0
const somebody = () => ({ issuer: 'https://id.example', subject: `sub-${++numbers}` })
const principal = (name: string, ...identities: object[]): ['principal', Record<string, unknown>] => [
  'principal',
  { name, kind: 'PERSON', identities },
]
const told = ({ errors }: { errors: { path: string[]; message: string }[] }) =>
  errors.map(({ path, message }) => `${path.join('.')} ${message}`)
const taken = (path: string) => `${path} is how a principal signs in already`

describe('an identity', () => {
  it('is who its principal is, with what its role brings, until it is taken away', async () => {
    const { owner } = await testTenant(ctx)
    const ada = somebody()
    const { resources } = await declareAll(ctx, owner, [principal('ada', ada)])
    const id = resources[0]!.id
    expect(await actorOf(ctx, ada)).toMatchObject({
      kind: 'PERSON',
      id,
      principal: id,
      tenant: owner.tenant,
      name: 'ada',
    })
    expect((await actorOf(ctx, ada))!.permissions.size).toBe(0)
    const members = [
      { principal: owner.principal, role: 'OWNER' },
      { principal: id, role: 'VIEWER' },
    ]
    await declareAll(ctx, owner, [['tenant', { id: owner.tenant, name: 'renamed', members }]])
    expect((await actorOf(ctx, ada))!.permissions.has('config:read')).toBe(true)
    expect(await actorOf(ctx, { ...ada, issuer: 'https://other.example' })).toBeUndefined()
    await declareAll(ctx, owner, [principal('ada')])
    expect(await actorOf(ctx, ada)).toBeUndefined()
  })

  it('is one principal’s alone, over all tenants, and refused in the same words wherever the other is', async () => {
    const [{ owner }, { owner: other }] = [await testTenant(ctx), await testTenant(ctx)]
    const ada = somebody()
    await declareAll(ctx, owner, [principal('ada', ada)])
    const refusal = [taken('resources.0.principal.identities.0')]
    expect(told(await declareAll(ctx, owner, [principal('eve', ada)]))).toEqual(refusal)
    expect(told(await declareAll(ctx, other, [principal('eve', ada)]))).toEqual(refusal)
    const twice = await declareAll(ctx, other, [principal('eve', somebody(), ada, somebody())])
    expect(told(twice)).toEqual([taken('resources.0.principal.identities.1')])
    const name = `taken-${numbers}`
    expect(told(await createTenant(ctx, { idempotencyKey: name, name, owner: ada }))).toEqual([taken('owner')])
    expect((await actorOf(ctx, ada))?.tenant).toBe(owner.tenant)
  })

  it('moves to another principal in one act, and is free once its principal is archived', async () => {
    const { owner } = await testTenant(ctx)
    const [ada, eve] = [somebody(), somebody()]
    await declareAll(ctx, owner, [principal('ada', ada), principal('eve', eve)])
    const swapped = await declareAll(ctx, owner, [principal('ada', eve), principal('eve', ada)])
    expect(told(swapped)).toEqual([])
    expect((await actorOf(ctx, ada))?.name).toBe('eve')
    const gone = { refs: ['principal/eve'], ifRevision: swapped.revision, dryRun: false }
    expect(told(await archive(ctx, owner, gone))).toEqual([])
    expect(await actorOf(ctx, ada)).toBeUndefined()
    expect(told(await declareAll(ctx, owner, [principal('heir', ada)]))).toEqual([])
    expect((await actorOf(ctx, ada))?.name).toBe('heir')
    const back = { refs: ['principal/eve'], ifRevision: swapped.revision + 2, dryRun: false }
    expect(told(await restore(ctx, owner, back))).toEqual([taken('refs.0.identities.0')])
  })

  it('is not given by a dry run, and never under the name of Sluice itself', async () => {
    const { owner } = await testTenant(ctx)
    const ada = somebody()
    const input = { kind: 'principal' as const, input: principal('ada', ada)[1] }
    const dry = await apply(ctx, owner, { resources: [input], ifRevision: 1, dryRun: true })
    expect(told(dry)).toEqual([])
    expect(await actorOf(ctx, ada)).toBeUndefined()
    const own = { issuer: 'sluice:admin-token', subject: 'x' }
    const refused = told(await declareAll(ctx, owner, [principal('ada', own)]))
    expect(refused).toEqual(['resources.0.principal.identities.0.issuer must not begin with sluice:'])
  })

  it('may be as long as its declaration allows', async () => {
    const { owner } = await testTenant(ctx)
    const long = { issuer: '\u{1f600}'.repeat(250), subject: '\u{1f601}'.repeat(250) }
    expect(told(await declareAll(ctx, owner, [principal('long', long)]))).toEqual([])
    expect((await actorOf(ctx, long))?.name).toBe('long')
  })
})
