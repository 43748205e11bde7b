import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SnapshotConfig } from '../../schema/snapshot.ts'
import { Answer, answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, labelOf, routingPolicy, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

async function start(setup: Partial<Setup> = {}): Promise<void> {
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, ...setup })
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

const ask = async (body: object = {}, headers: Record<string, string> = {}) => {
  const answer = await gateway.chat({ ...hello, ...body }, { headers })
  return { status: answer.status, refusal: answer.headers.get('x-sluice-refusal'), text: await answer.text() }
}
const served = () => upstream.requests.map(({ model }) => model)
const lastReason = async (count: number) => (await gateway.records(count)).at(-1)!.routeReason
const idOf = (config: SnapshotConfig, at: number) => config.models[at]!.id

describe('a BY_TASK route', () => {
  const whens = (config: SnapshotConfig, ...when: SnapshotConfig['routes'][number]['targets'][number]['when'][]) => {
    for (const [at, one] of when.entries()) config.routes[0]!.targets[at]!.when = one
  }
  const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
  const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]

  it('sends each request to the first target that is for it, else to the default', async () => {
    await start({
      ...{ targets: ['code', 'eyes', 'hands', 'long', 'plain'], strategy: 'BY_TASK' },
      alter(config) {
        config.requestLabels.push(labelOf('case'))
        const [code, eyes, hands] = [{ requestLabels: { case: 'code' } }, { images: true }, { tools: true }]
        whens(config, code, eyes, hands, { minInputTokens: 300 }, null)
      },
    })
    await ask({}, { 'x-sluice-labels': 'case=code' })
    await ask({ messages: [{ role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] }] })
    await ask({ tools })
    await ask({ messages: [{ role: 'user', content: 'x'.repeat(400) }] })
    await ask({}, { 'x-sluice-labels': 'case=chat' })
    await ask({ tools }, { 'x-sluice-labels': 'case=code' })
    expect(served()).toEqual(['code', 'eyes', 'hands', 'long', 'plain', 'code'])
    const reasons = (await gateway.records(6)).map(({ routeReason }) => routeReason!)
    expect(reasons[0]).toMatch(/^by_task matching; not_matching mdl_/)
    expect(reasons[4]).toMatch(/^by_task default; not_matching mdl_/)
  })

  it('knows the language of what the user said last', async () => {
    await start({
      ...{ targets: ['german', 'plain'], strategy: 'BY_TASK' },
      alter: (config) => whens(config, { language: ['de'] }, null),
    })
    for (const content of ['Wie ist das Wetter, und was ist die Uhrzeit?', 'What is the weather?', 'ok'])
      await ask({ messages: [{ role: 'user', content }] })
    expect(served()).toEqual(['german', 'plain', 'plain'])
  })

  it('refuses what no target is for, and sends nothing', async () => {
    await start({ strategy: 'BY_TASK', alter: (config) => whens(config, { tools: true }) })
    const { status, refusal, text } = await ask()
    expect([status, refusal]).toEqual([422, 'unsupported_feature'])
    expect(text).toContain('has no default')
    expect(served()).toEqual([])
    expect(await lastReason(1)).toMatch(/^by_task; not_matching mdl_\w+$/)
  })

  it('refuses rather than guess where a condition is of a later version', async () => {
    const unknown = { weather: 'fine' } as never
    await start({ targets: ['a', 'b'], strategy: 'BY_TASK', alter: (config) => whens(config, unknown, null) })
    expect(await ask()).toMatchObject({ status: 503, refusal: 'policy_unavailable' })
  })
})

describe('a LEAST_COST route', () => {
  it('goes to the cheapest for this request, and falls back to the next cheapest', async () => {
    let ids: string[] = []
    await start({
      ...{ targets: ['wordy', 'middling', 'terse'], strategy: 'LEAST_COST' },
      alter(config) {
        ids = config.models.map(({ id }) => id)
        // Input and output prices that cross: which is the cheapest hangs on the request.
        const prices: Record<number, [string, string]> = { 0: ['100', '900'], 1: ['300', '800'], 2: ['900', '100'] }
        for (const line of config.priceSheets[0]!.lines)
          line.unitPrice = prices[line.model]![line.meter === 'INPUT_TOKENS' ? 0 : 1]
      },
    })
    const long = { messages: [{ role: 'user', content: 'x'.repeat(20_000) }], max_tokens: 1 }
    await ask({ max_tokens: 500 })
    await ask(long)
    upstream.on('wordy', answers.error(500, 'no'))
    await ask(long)
    expect(served()).toEqual(['terse', 'wordy', 'wordy', 'middling'])
    const records = await gateway.records(3)
    expect(records.map(({ routeReason }) => routeReason)).toEqual([
      expect.stringMatching(/^least_cost 0\.0000000\d+$/),
      expect.stringMatching(/^least_cost 0\.000000\d+$/),
      expect.stringMatching(/^least_cost 0\.000000\d+$/),
    ])
    expect(records[2]!.attempts.map(({ model, cause }) => [model, cause])).toEqual([
      [ids[0], 'SERVER_ERROR'],
      [ids[1], null],
    ])
  })
})

describe('a LEAST_LATENCY route', () => {
  it('finds the faster target and stays there', async () => {
    await start({ targets: ['slow', 'fast'], strategy: 'LEAST_LATENCY' })
    upstream.on('slow', answers.chat('ok').headDelayMs(60))
    for (let at = 0; at < 400 && !served().includes('fast'); at++) await ask()
    expect(served()).toContain('fast')
    const before = served().length
    for (let at = 0; at < 20; at++) await ask({ stream: false })
    expect(new Set(served().slice(before))).toEqual(new Set(['fast']))
    expect(await lastReason(before + 20)).toMatch(/^least_latency \d+ ms$/)
  }, 30_000)
})

describe('a session', () => {
  const sticky = (config: SnapshotConfig) => {
    config.routes[0]!.stickyHeader = 'x-session'
  }
  const of = (session: string) => ask({}, { 'x-session': session })

  it('goes to one target, moves only while that rests, and comes back', async () => {
    const breaker = { failures: 1, windowMs: 5_000, coolDownMs: 300 }
    await start({ targets: ['a', 'b', 'c'], strategy: 'WEIGHTED', breaker, alter: sticky })
    const sessions = Array.from({ length: 24 }, (_, at) => `s-${at}`)
    const round = async () => {
      const from = served().length
      for (const session of sessions) await of(session)
      return served().slice(from)
    }
    const homes = await round()
    expect(new Set(homes)).toEqual(new Set(['a', 'b', 'c']))
    expect(await round()).toEqual(homes)
    upstream.on('a', answers.error(503, 'no'))
    await of(sessions[homes.indexOf('a')]!)
    const moved = await round()
    expect(moved).not.toContain('a')
    homes.forEach((home, at) => {
      if (home !== 'a') expect(moved[at]).toBe(home)
    })
    upstream.on('a', answers.chat('well again'))
    await Bun.sleep(320)
    await of(sessions[homes.indexOf('a')]!)
    expect(await round()).toEqual(homes)
  })

  it('is told in the record, and requests without one draw lots', async () => {
    await start({ targets: ['a', 'b'], strategy: 'WEIGHTED', alter: sticky })
    await of('one')
    await ask()
    expect((await gateway.records(2)).map(({ routeReason }) => routeReason)).toEqual(['weighted sticky', 'weighted'])
  })
})

describe('several credentials of a provider', () => {
  const both = (config: SnapshotConfig) => {
    const [first] = config.credentials
    config.credentials = ['crd_one', 'crd_two'].map((id) => ({ ...first!, id }))
    for (const target of config.routes[0]!.targets) target.credential = null
  }
  const secrets = { crd_one: 'good', crd_two: 'bad' }
  const refusing = (status: number) =>
    new Answer((request) => {
      const isBad = request.headers.authorization === 'Bearer bad'
      return (isBad ? answers.error(status, 'not you') : answers.chat('ok')).compose(request)
    })
  const bad = () => upstream.requests.filter(({ headers }) => headers.authorization === 'Bearer bad').length

  it('take turns, and one that is not accepted costs no request its answer', async () => {
    await start({ secrets, alter: both, retry: { attempts: 2 } })
    upstream.otherwise(refusing(401))
    for (let at = 0; at < 30; at++) expect((await ask()).status).toBe(200)
    expect(bad()).toBeGreaterThan(0)
    const records = await gateway.records(30)
    const retried = records.find(({ attempts }) => attempts.length > 1)!
    expect(retried.attempts.map(({ credential, cause }) => [credential, cause])).toEqual([
      ['crd_two', 'AUTH_FAILED'],
      ['crd_one', null],
    ])
  })

  it('rest one by one: a credential that is limited rests for all models, and no model rests for it', async () => {
    const breaker = { failures: 2, windowMs: 10_000, coolDownMs: 10_000 }
    await start({ secrets, breaker, alter: both, targets: ['a', 'b'], strategy: 'WEIGHTED' })
    upstream.otherwise(refusing(429))
    for (let at = 0; at < 60; at++) expect((await ask()).status).toBe(200)
    expect(bad()).toBe(2)
    expect(new Set(served())).toEqual(new Set(['a', 'b']))
  })

  it('all resting is told as such', async () => {
    const breaker = { failures: 1, windowMs: 10_000, coolDownMs: 10_000 }
    await start({ secrets: { crd_one: 'bad', crd_two: 'bad' }, breaker, alter: both })
    upstream.otherwise(refusing(401))
    expect(await ask()).toMatchObject({ status: 502, refusal: 'upstream_auth_failed' })
    expect(await ask()).toMatchObject({ status: 503, refusal: 'no_target_left' })
    expect(upstream.requests).toHaveLength(2)
    expect(await lastReason(2)).toMatch(/^priority; resting mdl_\w+$/)
  })
})

describe('fallback', () => {
  const on = (...causes: SnapshotConfig['routes'][number]['retry']['on']) => ({ on: causes })
  const cases = [
    ['CONTEXT_TOO_LONG', 'context_length_exceeded'],
    ['CONTENT_FILTERED', 'content_filter'],
  ] as const

  it.each(cases)('for %s goes to another model where the route names it, and never back', async (cause, code) => {
    await start({ targets: ['small', 'large'], retry: { attempts: 5, ...on(cause) } })
    upstream.on('small', answers.error(400, 'too much', { code }))
    expect((await ask()).status).toBe(200)
    expect(served()).toEqual(['small', 'large'])
    upstream.on('large', answers.error(400, 'too much', { code }))
    expect(await ask()).toMatchObject({ status: 400, text: expect.stringContaining(code) })
    expect(served()).toEqual(['small', 'large', 'small', 'large'])
  })

  it.each(cases)('for %s does not happen where the route does not name it', async (_, code) => {
    await start({ targets: ['small', 'large'] })
    upstream.on('small', answers.error(400, 'too much', { code }))
    expect((await ask()).status).toBe(400)
    expect(served()).toEqual(['small'])
  })

  it('keeps the order among the targets that policies leave', async () => {
    await start({ targets: ['a', 'b', 'c'], policies: [routingPolicy({ denyModels: [0] })] })
    upstream.on('b', answers.error(500, 'no'))
    await ask()
    expect(served()).toEqual(['b', 'c'])
  })

  it('says in the record which targets could not be asked', async () => {
    let left = ''
    await start({
      targets: ['embeds', 'chats'],
      alter(config) {
        config.providers.push({ ...config.providers[0]!, id: 'prv_2', codecs: ['OPENAI_EMBEDDINGS'] })
        config.models[0]!.provider = 1
        config.routes[0]!.targets[0]!.credential = null
        left = idOf(config, 0)
      },
    })
    expect((await ask()).status).toBe(200)
    expect(await lastReason(1)).toBe(`priority; not_spoken ${left}`)
  })
})

describe('a stream of a reasoning model that breaks off without usage', () => {
  const broken = answers
    .chat({ text: ['Let', ' me', ' think'], usage: null })
    .chunksOnly(2)
    .thenBreak()
  const meters = async (reasoning: boolean) => {
    await start({ model: { reasoning }, retry: { attempts: 1 } })
    upstream.on('gpt-test', broken)
    await ask({ stream: true, max_tokens: 100 })
    const [record] = await gateway.records(1)
    return record!.meters.map(({ meter, quantity, source }) => [meter, quantity, source])
  }

  it('is charged at its ceiling, since it may have thought unseen; of another model by what was seen', async () => {
    expect((await meters(true))[1]).toEqual(['OUTPUT_TOKENS', 100, 'CEILING'])
    const [meter, quantity, source] = (await meters(false))[1]!
    expect([meter, source]).toEqual(['OUTPUT_TOKENS', 'ESTIMATED'])
    expect(quantity).toBeLessThan(20)
  })
})
