import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SnapshotConfig } from '../../schema/snapshot.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, labelOf, policyOfKind, routingPolicy, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

/** Two targets, tried in order: one in Europe, one overseas, and a second alias that only the first serves. */
async function start(policies: SnapshotConfig['policies'], setup: Partial<Setup> = {}): Promise<void> {
  gateway = await startGateway({
    baseUrl: `${upstream.url}/v1`,
    targets: ['near', 'far'],
    policies,
    ...setup,
    alter(config) {
      config.models[0]!.region = 'eu-west-1'
      config.models[1]!.region = 'us-east-1'
      config.tiers.push({ id: 'tir_1', name: 'small', rank: 1, models: [1] })
      config.routes.push({ ...config.routes[0]!, targets: [config.routes[0]!.targets[0]!] })
      config.aliases.push({ ...config.aliases[0]!, id: 'als_near', name: 'near-only', route: 1 })
      setup.alter?.(config)
    },
  })
  running.push(gateway)
  upstream.otherwise(answers.chat('ok'))
}

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  for (const each of running.splice(0)) {
    expect(each.faults).toEqual([])
    await each.stop()
  }
  upstream.reset()
})
afterAll(() => upstream.stop())

const asked = async (body: object = {}, headers: Record<string, string> = {}) => {
  const answer = await gateway.chat({ ...hello, ...body }, { headers })
  const { error } = await answer.json()
  return { status: answer.status, code: error?.code ?? null, message: error?.message as string }
}
const served = () => upstream.requests.map(({ model }) => model)
const lastRecord = async () => (await gateway.records(1)).at(-1)!

describe('a routing policy', () => {
  it('has a denied target passed over for one that is allowed, and the record says so', async () => {
    const policy = routingPolicy({ denyModels: [0] })
    await start([policy])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served()).toEqual(['far'])
    const { decisions, model, tier } = await lastRecord()
    expect(tier).toBe('tir_1')
    expect(decisions).toMatchObject([{ policy: policy.id, mode: 'ENFORCE', verdict: 'FLAGGED' }])
    expect(decisions[0]!.detail).toMatch(/^model_not_allowed: mdl_/)
    expect(decisions[0]!.detail).not.toContain(model)
  })

  it('refuses where it leaves no target, names what may be used instead, and sends nothing', async () => {
    await start([routingPolicy({ allowAliases: [1] })])
    const { status, code, message } = await asked()
    expect([status, code]).toEqual([403, 'model_not_allowed'])
    expect(message).toContain('This key may use near-only.')
    expect(served()).toEqual([])
    const { outcome, refusal, decisions, cost } = await lastRecord()
    expect({ outcome, refusal, cost }).toEqual({ outcome: 'REFUSED', refusal: 'model_not_allowed', cost: '0' })
    expect(decisions).toMatchObject([{ verdict: 'BLOCKED' }])
  })

  it('keeps requests in the regions it names, and says which those are', async () => {
    await start([routingPolicy({ regions: ['eu-west-1', 'eu-north-1'] })])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served()).toEqual(['near'])
    await start([routingPolicy({ regions: ['eu-north-1'] })])
    const refused = await asked()
    expect(refused).toMatchObject({ status: 403, code: 'region_not_allowed' })
    expect(refused.message).toContain('Allowed: eu-north-1.')
  })

  it('lets a target whose region is not known go to none of them', async () => {
    await start([routingPolicy({ regions: ['eu-west-1'] })], {
      alter(config) {
        config.models[0]!.region = null
      },
    })
    expect(await asked()).toMatchObject({ code: 'region_not_allowed' })
  })

  it('limits to a tier', async () => {
    await start([routingPolicy({ allowTiers: [0] })])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served()).toEqual(['far'])
    expect(await asked({ model: 'near-only' })).toMatchObject({ code: 'model_not_allowed' })
  })

  it('unites with others in what it denies, and intersects in what it allows', async () => {
    await start([routingPolicy({ allowModels: [0, 1] }), routingPolicy({ allowModels: [1] })])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served()).toEqual(['far'])
    await start([routingPolicy({ denyModels: [0] }), routingPolicy({ denyModels: [1] })])
    expect(await asked()).toMatchObject({ code: 'model_not_allowed' })
    await start([routingPolicy({ allowModels: [0] }), routingPolicy({ allowTiers: [0] })])
    expect(await asked()).toMatchObject({ code: 'model_not_allowed' })
  })

  it('that is only observed refuses nothing and records what it would have refused', async () => {
    await start([routingPolicy({ allowModels: [] }, { mode: 'OBSERVE' })])
    expect(await asked()).toMatchObject({ status: 200 })
    expect((await lastRecord()).decisions).toMatchObject([{ mode: 'OBSERVE', verdict: 'FLAGGED' }])
  })

  it('that has nothing against a request is recorded as passed; one that does not apply is not', async () => {
    const passing = routingPolicy({ denyModels: [1] }, { when: { streamed: false } })
    await start([passing, routingPolicy({ allowModels: [] }, { when: { streamed: true } })])
    expect(await asked({ model: 'near-only' })).toMatchObject({ status: 200 })
    expect((await lastRecord()).decisions).toMatchObject([{ policy: passing.id, verdict: 'PASSED', detail: null }])
  })

  it('holds for whom its scope names, and for nobody else', async () => {
    const scopes = [
      ['TEAM', 'tea_1'],
      ['PROJECT', 'prj_1'],
      ['PRINCIPAL', 'prn_1'],
    ] as const
    for (const [kind, id] of scopes) {
      const grant = { team: 'tea_1', project: 'prj_1', principal: 'prn_1' }
      await start([routingPolicy({ allowModels: [] }, { scope: { kind, id } })], { grant })
      expect(await asked()).toMatchObject({ code: 'model_not_allowed' })
      await start([routingPolicy({ allowModels: [] }, { scope: { kind, id: 'other' } })], { grant })
      expect(await asked()).toMatchObject({ status: 200 })
    }
  })

  it('on a place holds for requests that would go there', async () => {
    await start([routingPolicy({ regions: ['eu-west-1'] }, { scope: { kind: 'TIER', at: 0 } })])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served()).toEqual(['near'])
    await start([routingPolicy({ regions: [] }, { scope: { kind: 'PROVIDER', at: 0 } })])
    expect(await asked()).toMatchObject({ code: 'region_not_allowed' })
  })

  it('spares a provider inside the company where it asks for external ones', async () => {
    const policy = routingPolicy({ regions: ['eu-north-1'] }, { when: { external: true } })
    await start([policy], { provider: { selfHosted: true } })
    expect(await asked()).toMatchObject({ status: 200 })
    await start([policy])
    expect(await asked()).toMatchObject({ code: 'region_not_allowed' })
  })

  it('asks what the request holds: tools, images, how much it is', async () => {
    const image = [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }] }]
    const tools = [{ type: 'function', function: { name: 'f' } }]
    const long = [{ role: 'user', content: 'x'.repeat(2_000) }]
    const cases = [
      [{ tools: true }, { tools }],
      [{ images: true }, { messages: image }],
      [{ minInputTokens: 2_000 }, { messages: long }],
    ] as const
    for (const [when, body] of cases) {
      await start([routingPolicy({ denyModels: [0] }, { when })])
      await asked()
      await asked(body)
      expect(served()).toEqual(['near', 'far'])
      upstream.reset()
    }
  })

  it('asks for labels, which a client cannot take from its key', async () => {
    const labels = { alter: (config: SnapshotConfig) => void config.requestLabels.push(labelOf('case')) }
    const policy = routingPolicy({ denyModels: [0] }, { when: { requestLabels: { case: 'secret' } } })
    await start([policy], labels)
    await asked()
    await asked({}, { 'x-sluice-labels': 'case=secret' })
    expect(served()).toEqual(['near', 'far'])
    upstream.reset()
    await start([policy], { ...labels, grant: { requestLabels: { case: 'secret' } } })
    await asked({}, { 'x-sluice-labels': 'case=open' })
    expect(served()).toEqual(['far'])
  })

  it('may be weakened by one on a lower scope only where it says so, list by list', async () => {
    const lower = { scope: { kind: 'PROJECT', id: 'prj_1' } } as const
    const both = (overridable: boolean, weaker: Parameters<typeof routingPolicy>[0], change = {}) =>
      start(
        [routingPolicy({ regions: ['us-east-1'] }, { overridable }), routingPolicy(weaker, { ...lower, ...change })],
        { grant: { project: 'prj_1' } },
      )
    const near = { ...hello, model: 'near-only' }
    await both(true, { regions: ['eu-west-1', 'us-east-1'] })
    expect(await asked(near)).toMatchObject({ status: 200 })
    await both(false, { regions: ['eu-west-1', 'us-east-1'] })
    expect(await asked(near)).toMatchObject({ code: 'region_not_allowed' })
    await both(true, { allowModels: [0] })
    expect(await asked(near)).toMatchObject({ code: 'region_not_allowed' })
    await both(true, { regions: ['eu-west-1'] }, { mode: 'OBSERVE' })
    expect(await asked(near)).toMatchObject({ code: 'region_not_allowed' })
    await both(true, { regions: ['eu-west-1'] }, { scope: { kind: 'LABEL', key: 'case', value: null } })
    expect(await asked(near)).toMatchObject({ code: 'region_not_allowed' })
  })

  it('keeps what it bars out of /v1/models, as far as that holds for every request', async () => {
    const names = async () => {
      const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 })
      return (await client.models.list()).data.map(({ id }) => id)
    }
    await start([routingPolicy({ allowAliases: [1] })])
    expect(await names()).toEqual(['near-only'])
    await start([routingPolicy({ denyModels: [0] })])
    expect(await names()).toEqual(['house'])
    await start([routingPolicy({ denyModels: [0, 1] }, { when: { streamed: true } })])
    expect(await names()).toEqual(['house', 'near-only'])
    await start([routingPolicy({ denyModels: [0, 1] }, { mode: 'OBSERVE' })])
    expect(await names()).toEqual(['house', 'near-only'])
  })
})

describe('a policy that cannot be evaluated', () => {
  it('refuses, whatever a kind that is not known says of failures', async () => {
    await start([{ ...policyOfKind('PII'), onFailure: 'OPEN' }])
    const refused = await asked()
    expect(refused).toMatchObject({ status: 503, code: 'policy_unavailable' })
    expect(refused.message).toContain('PII')
    expect((await lastRecord()).decisions).toMatchObject([{ verdict: 'ERRORED' }])
  })

  it('refuses only requests of its scope', async () => {
    await start([{ ...policyOfKind('PII'), scope: { kind: 'PROJECT', id: 'prj_other' } }])
    expect(await asked()).toMatchObject({ status: 200 })
    await start([{ ...policyOfKind('PII'), scope: { kind: 'MODEL', at: 0 } }])
    expect(await asked()).toMatchObject({ status: 200 })
    expect(served().at(-1)).toBe('far')
  })

  it('refuses for a condition that is not known, unless it is declared to fail open', async () => {
    const when = { task: ['CODE'] } as never
    await start([routingPolicy({ denyModels: [0] }, { when })])
    const refused = await asked({ model: 'near-only' })
    expect(refused).toMatchObject({ code: 'policy_unavailable' })
    expect(refused.message).toContain('the condition task')
    await start([routingPolicy({ denyModels: [0] }, { when, onFailure: 'OPEN' })])
    expect(await asked({ model: 'near-only' })).toMatchObject({ status: 200 })
    expect((await lastRecord()).decisions).toMatchObject([{ verdict: 'ERRORED' }])
  })
})
