import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Explanation } from '../../data-plane/explain.ts'
import type { Actor } from './actor.ts'
import { archive } from './apply.ts'
import { type ExplainInput, explainRequest } from './explain.ts'
import { apiKeyIssue, apiKeyRevoke } from './keys.ts'
import { snapshotOf } from './snapshots.ts'
import { declareAll, smallConfig, type TestContext, testContext, testTenant } from './test-context.ts'

let ctx: TestContext
let owner: Actor
beforeAll(async () => {
  ctx = await testContext()
  owner = (await testTenant(ctx)).owner
  expect((await declareAll(ctx, owner, [...smallConfig])).errors).toEqual([])
})
afterAll(() => ctx?.stop())

const ask = (input: Partial<ExplainInput>, actor = owner) =>
  explainRequest(ctx, actor, { alias: 'chat', prompt: 'Hello', ...input })
const explained = async (input: Partial<ExplainInput>) => {
  const explanation = await ask(input)
  if ('wrong' in explanation) throw new Error(explanation.wrong)
  return explanation
}
const wrong = async (input: Partial<ExplainInput>, actor = owner) =>
  ((await ask(input, actor)) as { wrong: string }).wrong
const last = ({ steps }: Explanation) => steps.at(-1)!

const issue = async (name: string, more: object = {}) => {
  const fields = { idempotencyKey: name, kind: 'APPLICATION' as const, name, principal: owner.principal! }
  const issued = await apiKeyIssue(ctx, owner, { ...fields, project: 'project/bot', ...more })
  expect(issued.errors).toEqual([])
  return issued.apiKey!
}

describe('an explanation', () => {
  it('goes through every stage to a target and its exact reserve', async () => {
    const { steps, target, reserve, refusal } = await explained({ project: 'project/bot', maxOutputTokens: 100 })
    expect(refusal).toBeNull()
    expect(steps.map(({ stage, verdict }) => [stage, verdict])).toEqual(
      ['AUTHENTICATE', 'PLAN', 'GUARD', 'ROUTE', 'ENCODE'].map((stage) => [stage, 'PASSED']),
    )
    expect(target).toMatchObject({ weight: 1, credential: expect.stringMatching(/^crd_/) })
    // 9 bytes of role and content and 16 tokens for the message, at 0.15 for a million; output has no price on this sheet.
    expect(reserve).toEqual({ amount: '0.00000375', currency: 'USD' })
  })

  it('is of a key: what it may use, and whether it still works', async () => {
    const key = await issue('narrow', { aliases: [] })
    expect(await explained({ apiKey: 'api-key/narrow' })).toMatchObject({ refusal: 'unknown_alias' })
    const before = (await snapshotOf(ctx, owner.tenant)).revision
    await apiKeyRevoke(ctx, owner, { apiKey: key.id, reason: 'test' })
    const revoked = await explained({ apiKey: key.id })
    expect(revoked.refusal).toBe('key_revoked')
    expect(last(revoked)).toMatchObject({
      stage: 'AUTHENTICATE',
      verdict: 'BLOCKED',
      because: [key.id, key.spec.project],
    })
    expect(await explained({ apiKey: key.id, atRevision: before })).toMatchObject({ refusal: 'unknown_alias' })
  })

  it('of a key that is bound to addresses takes it to come from one of them', async () => {
    await issue('bound', { allowedAddresses: ['10.0.0.0/8'] })
    const { refusal, steps } = await explained({ apiKey: 'api-key/bound' })
    expect([refusal, steps[0]!.detail]).toEqual([null, 'from one of the addresses that the key is bound to'])
  })

  it('reads a whole body in its dialect, and refuses it as a gateway does', async () => {
    const body = { model: 'chat', messages: [{ role: 'user', content: 'Hello' }] }
    const whole = { alias: null, prompt: null, dialect: 'OPENAI_CHAT', project: 'project/bot' } as const
    expect(await explained({ ...whole, body: JSON.stringify(body) })).toMatchObject({ refusal: null })
    const broken = await explained({ ...whole, body: '{' })
    expect([broken.refusal, last(broken).stage]).toEqual(['malformed_request', 'PLAN'])
  })

  it('is of the revision that is asked for, as long as it is kept', async () => {
    const before = (await snapshotOf(ctx, owner.tenant)).revision
    await archive(ctx, owner, { refs: ['alias/chat'], ifRevision: before, dryRun: false })
    expect(await explained({ project: 'project/bot' })).toMatchObject({ refusal: 'unknown_alias' })
    expect(await explained({ project: 'project/bot', atRevision: before })).toMatchObject({
      refusal: null,
      revision: before,
    })
    expect(await wrong({ project: 'project/bot', atRevision: 999 })).toMatch(
      /^Revision 999 is not kept; \d+(, \d+)* are\.$/,
    )
  })

  it('says in a sentence what a question lacks', async () => {
    expect(await wrong({})).toBe('Name a project, or a key.')
    expect(await wrong({ project: 'project/nope' })).toBe('There is no such project.')
    expect(await wrong({ apiKey: 'project/bot' })).toBe('There is no such application key.')
    expect(await wrong({ project: 'project/bot', prompt: null })).toContain('Give either')
    expect(await wrong({ project: 'project/bot', alias: null, prompt: null, body: '{}' })).toContain('which dialect')
  })

  it('knows nothing of another tenant: its projects are as those that are not there', async () => {
    const stranger = (await testTenant(ctx)).owner
    const key = await issue('mine-too')
    expect(await wrong({ apiKey: key.id }, stranger)).toBe('There is no such application key.')
    expect(await wrong({ project: key.spec.project! }, stranger)).toBe('There is no such project.')
  })
})
