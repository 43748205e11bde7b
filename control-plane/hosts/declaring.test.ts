import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Running, runControlPlane } from './running.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const applyDocument = `mutation Apply($input: ApplyInput!) {
  apply(input: $input) {
    errors { __typename code message path ... on StaleRevision { yours current } ... on NotFound { ref } }
    revision cursor audit { action sequence actor { name } targets { ref changes { path before after } } }
    plan { digest changes { action ref fields { path before after } } }
    resources { __typename id handle revision }
  }
}`

const revision = async () => (await plane.ask('{ tenant { configRevision } }')).data.tenant.configRevision as number
const apply = async (resources: object[], more: object = {}) =>
  (await plane.ask(applyDocument, { input: { ifRevision: await revision(), resources, ...more } })).data.apply

describe('declaring by GraphQL', () => {
  it('makes what refers to each other in one act, and answers it by its types', async () => {
    const applied = await apply([
      { team: { name: 'core', costCenter: '42' } },
      { project: { name: 'bot', team: 'team/core', purpose: 'answers' } },
      { provider: { name: 'echo', platform: 'ECHO' } },
      { model: { name: 'echo-1', provider: 'provider/echo', upstreamName: 'echo-1' } },
      { alias: { name: 'fast', model: 'model/echo-1' } },
    ])
    expect(applied.errors).toEqual([])
    expect(applied.resources.map(({ __typename }: { __typename: string }) => __typename)).toEqual([
      'Team',
      'Project',
      'Provider',
      'Model',
      'Alias',
    ])
    expect(applied.audit.targets).toHaveLength(5)
    const { data } = await plane.ask(
      '{ resource(ref: "project/bot") { __typename handle ... on Project { purpose team { name costCenter } retention { preset records } } } tenant { aliases { nodes { name model { provider { platform baseUrl } prices { amount } } } } } }',
    )
    expect(data.resource).toEqual({
      __typename: 'Project',
      handle: 'project/bot',
      purpose: 'answers',
      team: { name: 'core', costCenter: '42' },
      retention: { preset: 'SOC2', records: null },
    })
    expect(data.tenant.aliases.nodes).toEqual([
      { name: 'fast', model: { provider: { platform: 'ECHO', baseUrl: null }, prices: [] } },
    ])
  })

  it('keeps what is left out and resets what is null', async () => {
    const purpose = async () =>
      (await plane.ask('{ resource(ref: "project/bot") { ... on Project { purpose } } }')).data.resource.purpose
    expect((await apply([{ project: { name: 'bot', dataClass: 'PUBLIC' } }])).errors).toEqual([])
    expect(await purpose()).toBe('answers')
    expect((await apply([{ project: { name: 'bot', purpose: null } }])).errors).toEqual([])
    expect(await purpose()).toBeNull()
  })

  it('answers every mistake at once, each with its path, and writes nothing', async () => {
    const before = await revision()
    const applied = await apply([
      { team: { name: 'other' } },
      { project: { name: 'x', team: 'team/nowhere' } },
      { alias: { name: 'y', deprecation: { since: 'yesterday' } } },
      { priceSheet: { name: 'z', lines: [{ model: 'model/echo-1', meter: 'INPUT_TOKENS', amount: '1e3', per: 1 }] } },
    ])
    const paths = applied.errors.map(({ path }: { path: string[] }) => path.join('.'))
    expect(paths).toContain('resources.1.project.team')
    expect(paths.some((path: string) => path.startsWith('resources.2.alias.deprecation.since'))).toBe(true)
    expect(paths.some((path: string) => path.startsWith('resources.3.priceSheet.lines.0.amount'))).toBe(true)
    expect(applied).toMatchObject({ revision: before, audit: null, resources: [] })
    expect((await plane.ask('{ resource(ref: "team/other") { id } }')).data.resource).toBeNull()
  })

  it('plans without writing, and refuses a plan that would now differ', async () => {
    const before = await revision()
    const resources = [{ team: { name: 'core', costCenter: '43' } }]
    const planned = await apply(resources, { dryRun: true })
    expect(planned.plan.changes).toEqual([
      {
        action: 'UPDATE',
        ref: 'team/core',
        fields: [{ path: ['costCenter'], before: expect.anything(), after: expect.anything() }],
      },
    ])
    expect(await revision()).toBe(before)
    await apply([{ team: { name: 'core', costCenter: '44' } }])
    const late = await apply(resources, { planDigest: planned.plan.digest })
    expect(late.errors.map(({ code }: { code: string }) => code)).toEqual(['STALE_PLAN'])
  })

  it('refuses a revision that what it touches has left behind', async () => {
    const { data } = await plane.ask(applyDocument, {
      input: { ifRevision: 1, resources: [{ team: { name: 'core', costCenter: '1' } }] },
    })
    expect(data.apply.errors[0]).toMatchObject({
      __typename: 'StaleRevision',
      code: 'STALE_REVISION',
      yours: 1,
      current: await revision(),
    })
  })

  it('takes exactly one kind per resource', async () => {
    const two = await plane.ask(applyDocument, {
      input: { ifRevision: 0, resources: [{ team: { name: 'a' }, project: { name: 'b' } }] },
    })
    expect(two.status).toBe(400)
    expect(two.errors?.[0].extensions.code).toBe('BAD_DOCUMENT')
  })

  it('never repeats a secret in a refusal', async () => {
    const secret = 'sk-very-secret-indeed'
    const document = 'mutation($input: CredentialSetInput!) { credentialSet(input: $input) { errors { message } } }'
    const answers = [
      await plane.ask(document, { input: { credential: 'credential/none', secret } }),
      await plane.ask(document, { input: { idempotencyKey: 'a', credential: 7, secret, more: 1 } }),
      await plane.ask(document, { input: { idempotencyKey: 'a', credential: 'credential/none', secret } }),
      await plane.ask(`mutation { credentialSet(input: { secret: ["${secret}"], credential: "x" }) { cursor } }`),
    ]
    for (const answer of answers) expect(JSON.stringify(answer)).not.toContain(secret)
    expect(plane.faults.join()).not.toContain(secret)
  })

  it('refuses text that no database stores', async () => {
    const answer = await plane.ask(applyDocument, {
      input: { ifRevision: 0, resources: [{ team: { name: 'a', costCenter: 'a\0b' } }] },
    })
    expect(answer.errors?.[0].extensions.code).toBe('BAD_DOCUMENT')
  })
})

describe('reading', () => {
  it('pages through everything once, in order', async () => {
    await apply(
      Array.from({ length: 12 }, (_, index) => ({ team: { name: `page-${String(index).padStart(2, '0')}` } })),
    )
    const names: string[] = []
    let after: string | null = null
    for (let pages = 0; pages < 10; pages++) {
      const { data } = await plane.ask(
        'query($after: Cursor) { tenant { teams(first: 5, after: $after, filter: { search: "page-" }) { nodes { name } pageInfo { hasNextPage endCursor } } } }',
        { after },
      )
      names.push(...data.tenant.teams.nodes.map(({ name }: { name: string }) => name))
      if (!data.tenant.teams.pageInfo.hasNextPage) break
      after = data.tenant.teams.pageInfo.endCursor
    }
    expect(names).toEqual(Array.from({ length: 12 }, (_, index) => `page-${String(index).padStart(2, '0')}`))
  })

  it('refuses pages that are too large, and cursors of other lists', async () => {
    for (const args of ['first: 101', 'first: 0', 'after: "nonsense"'])
      expect((await plane.ask(`{ tenant { teams(${args}) { nodes { id } } } }`)).errors?.[0].extensions.code).toBe(
        'BAD_DOCUMENT',
      )
  })

  it('answers a missing node, a malformed id and a stranger’s id alike: null', async () => {
    const ids = [
      'prj_01970000000070008000000000000000',
      'nonsense',
      'ten_01970000000070008000000000000000',
      'req_01970000000070008000000000000000',
    ]
    const { data, errors } = await plane.ask('query($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids })
    expect(errors).toBeUndefined()
    expect(data.nodes).toEqual([null, null, null, null])
  })

  it('finds by node what it lists, audit entries too', async () => {
    const { data } = await plane.ask('{ audit(first: 1) { nodes { id action } } tenant { id } }')
    const ids = [data.audit.nodes[0].id, data.tenant.id]
    const found = await plane.ask('query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }', { ids })
    expect(found.data.nodes).toEqual([
      { __typename: 'AuditEntry', id: ids[0] },
      { __typename: 'Tenant', id: ids[1] },
    ])
  })

  it('shows a key that holds nothing no more than itself', async () => {
    const { data: seen } = await plane.ask('{ tenant { principals { nodes { id } } } }')
    const principal = seen.tenant.principals.nodes[0].id
    const input = {
      idempotencyKey: crypto.randomUUID(),
      kind: 'ADMIN',
      name: 'poor',
      principal,
      permissions: ['event:read'],
    }
    const { data } = await plane.ask(
      'mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { errors { message } secret } }',
      { input },
    )
    const { secret } = data.apiKeyIssue
    expect((await plane.ask('{ viewer { permissions } }', {}, secret)).data.viewer.permissions).toEqual(['event:read'])
    expect((await plane.ask('{ resource(ref: "team/core") { id } }', {}, secret)).data.resource).toBeNull()
    for (const query of [
      '{ tenant { teams { nodes { id } } } }',
      '{ tenant { resources { nodes { id } } } }',
      '{ audit { nodes { id } } }',
      '{ flightRecords { nodes { id } } }',
      '{ spend(window: { from: "2026-11-22T00:00:00Z" }, interval: TOTAL) { cursor } }',
    ])
      expect((await plane.ask(query, {}, secret)).errors?.[0].extensions.code, query).toBe('NOT_PERMITTED')
    const refused = await plane.ask(
      applyDocument,
      { input: { ifRevision: await revision(), resources: [{ team: { name: 'mine' } }] } },
      secret,
    )
    expect(refused.data.apply.errors.map(({ code }: { code: string }) => code)).toEqual(['NOT_PERMITTED'])
  })

  it('never met a fault', () => expect(plane.faults).toEqual([]))
})
