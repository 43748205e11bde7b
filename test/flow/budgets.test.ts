import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MemoryLedger } from '../../adapters/ports/ledger-memory.ts'
import type { Ledger } from '../../data-plane/ports.ts'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'
import { parseAmount } from '../../schema/money.ts'
import type { SnapshotBudget, SnapshotConfig } from '../../schema/snapshot.ts'
import { type Answer, answers, event } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, routingPolicy, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
let ledger: MemoryLedger
const running: TestGateway[] = []

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

/** A token costs 1 in, 10 out; a budget is named by its limit in the same unit. */
const unit = 1_000_000n
const prices = { input: unit, output: 10n * unit }

function budget(limit: number, change: Partial<SnapshotBudget> = {}): SnapshotBudget {
  const id = mintId('budget')
  limits.set(id, BigInt(limit) * unit)
  return {
    ...{ id, name: `limit-${limit}`, scope: { kind: 'TENANT' }, per: null, onExhausted: 'BLOCK', downgradeTo: null },
    ...{ waitForFundsMs: 0, rule: { period: 'MONTH', windowMs: null, timeZone: 'UTC', anchorMs: null } },
    ...change,
  }
}
const limits = new Map<string, bigint>()

async function start(budgets: SnapshotBudget[], setup: Partial<Setup> = {}): Promise<TestGateway> {
  ledger = new MemoryLedger(({ id }) => limits.get(id)!)
  gateway = await startGateway({
    ...{ baseUrl: `${upstream.url}/v1`, prices, budgets, ledger, retry: { attempts: 3, backoffMs: 1 } },
    ...setup,
    model: { maxOutputTokens: 100, ...setup.model },
  })
  running.push(gateway)
  return gateway
}

const used = (input: number, output: number) => ({ prompt_tokens: input, completion_tokens: output })
const said = (usage: object | undefined = used(10, 5)) => answers.chat({ text: 'Hi.', usage } as never)

/** What a refusal says, and its headers. */
async function refusal(answer: Response) {
  const { headers } = answer
  return {
    told: [answer.status, headers.get('x-sluice-refusal'), headers.get('x-should-retry')],
    text: await answer.text(),
  }
}

const exhausted = [402, 'budget_exhausted', 'false']

/** Every budget's postings are the cost, and nothing is left reserved. */
function holds(budgets: SnapshotBudget[], records: FlightRecord[]): void {
  const cost = records.reduce((sum, record) => sum + parseAmount(record.cost)!, 0n)
  for (const { id } of budgets) {
    const posted = records.flatMap(({ postings }) => postings).filter((posting) => posting.budget === id)
    expect(posted.reduce((sum, { amount }) => sum + parseAmount(amount)!, 0n)).toBe(cost)
    expect(ledger.balanceOf(id)).toEqual({ spent: cost, reserved: 0n })
  }
}

describe('a budget that has money', () => {
  it('lets a request through, is posted what it cost, and has the rest released', async () => {
    const budgets = [budget(2_000), budget(5_000, { scope: { kind: 'TENANT' }, per: 'PROJECT' })]
    await start(budgets)
    upstream.otherwise(said())
    const answer = await gateway.chat(hello)
    expect([answer.status, answer.headers.get('x-sluice-route-reason')]).toEqual([200, null])
    // Without a limit of the client's the model's own is sent, so that what was reserved holds.
    expect((await upstream.received(1)).member('max_tokens')).toBe(100)
    const [record] = await gateway.records(1)
    expect([record!.cost, record!.reserved]).toEqual(['0.00006', '0.001025'])
    expect(record!.postings).toHaveLength(2)
    expect(ledger.balanceOf(budgets[0]!.id)).toEqual({ spent: 60n * unit, reserved: 0n })
  })
  it('never has more than its limit spent and reserved, however many ask at once', async () => {
    const only = budget(5_000, { name: 'five' })
    await start([only])
    upstream.otherwise(said(used(25, 100)).headDelayMs(30))
    const answers_ = await Promise.all(Array.from({ length: 20 }, () => gateway.chat(hello)))
    const served = answers_.filter(({ status }) => status === 200).length
    expect(served).toBeGreaterThanOrEqual(4)
    expect(answers_.filter(({ status }) => status === 402)).toHaveLength(20 - served)
    expect(ledger.balanceOf(only.id).spent <= 5_000n * unit).toBe(true)
    holds([only], await gateway.records(20))
  })
  it('charges each attempt for itself, and the failed one nothing', async () => {
    const only = budget(1_100)
    await start([only], { targets: ['a', 'b'] })
    upstream.on('a', answers.error(429, 'slowly')).on('b', said())
    expect((await gateway.chat(hello)).status).toBe(200)
    const [record] = await gateway.records(1)
    expect([record!.attempts.length, record!.cost]).toEqual([2, '0.00006'])
    holds([only], [record!])
  })
  it('ends the attempts where there is no money for another one', async () => {
    const only = budget(1_100)
    await start([only], { targets: ['a', 'b'], timeouts: { firstByteMs: 50 } })
    upstream.on('a', answers.chat('late').headDelayMs(10_000)).on('b', said())
    const { told } = await refusal(await gateway.chat(hello))
    expect(told).toEqual(exhausted)
    const [record] = await gateway.records(1)
    // What was sent and never answered keeps its ceiling.
    expect([record!.attempts.length, record!.reserved, record!.outcome]).toEqual([1, record!.cost, 'FAILED'])
    holds([only], [record!])
  })
})

describe('BLOCK', () => {
  it('says which budget, what is missing, when it resets and who can raise it', async () => {
    await start([budget(500, { name: 'alpha', per: 'PROJECT' }), budget(400, { name: 'secret-team' })])
    const { told, text } = await refusal(await gateway.chat(hello))
    expect(told).toEqual(exhausted)
    const { error } = JSON.parse(text)
    expect(error.code).toBe('budget_exhausted')
    expect(error.message).toMatch(
      /The budget 'alpha' lacks 0\.000525 USD\. It resets at \d{4}-\d\d-01T00:00:00\.000Z\. An admin of the tenant can raise it\./,
    )
    expect([upstream.requests.length, (await gateway.records(1))[0]!.attempts.length]).toEqual([0, 0])
  })
  it('does not name a budget above the project', async () => {
    await start([budget(400, { name: 'secret-team', per: 'TEAM' }), budget(0, { name: 'secret-label' })])
    const { text } = await refusal(await gateway.chat(hello))
    expect(text).toContain('A budget above this project lacks 0.000625 USD.')
    expect(text).not.toContain('secret')
  })
  it('says of a budget without periods that it does not reset', async () => {
    const rule = { period: 'LIFETIME', windowMs: null, timeZone: 'UTC', anchorMs: null } as const
    await start([budget(400, { per: 'API_KEY', rule })])
    expect((await refusal(await gateway.chat(hello))).text).toContain('It does not reset by itself.')
  })
  it('is the strictest of several', async () => {
    await start([budget(500, { onExhausted: 'CAP' }), budget(500), budget(1, { onExhausted: 'WARN' })])
    expect((await refusal(await gateway.chat(hello))).told).toEqual(exhausted)
  })
})

describe('WARN', () => {
  it('never refuses, and is posted from no lease', async () => {
    const only = budget(1, { onExhausted: 'WARN' })
    await start([only])
    upstream.otherwise(said())
    expect((await gateway.chat(hello)).status).toBe(200)
    const [record] = await gateway.records(1)
    expect(record!.postings).toMatchObject([{ budget: only.id, amount: '0.00006', leaseEpoch: 0 }])
    // Nothing has to be bounded for it.
    expect((await upstream.received(1)).member('max_tokens')).toBeUndefined()
  })
})

describe('CAP', () => {
  it('leaves as much output as there is money for, and says so', async () => {
    const only = budget(900, { onExhausted: 'CAP' })
    await start([only])
    upstream.otherwise(said(used(25, 87)))
    const answer = await gateway.chat(hello)
    expect([answer.status, answer.headers.get('x-sluice-route-reason')]).toEqual([200, 'capped at 87 tokens'])
    expect((await upstream.received(1)).member('max_tokens')).toBe(87)
    const [record] = await gateway.records(1)
    expect(record!.routeReason).toBe(`priority; capped ${only.id} 87`)
    expect([record!.reserved, record!.incident]).toEqual(['0.000895', null])
    holds([only], [record!])
  })
  it('divides it among the answers that are wanted, and lowers a limit of the client’s', async () => {
    await start([budget(2_000, { onExhausted: 'CAP' })])
    upstream.otherwise(said())
    expect((await gateway.chat({ ...hello, n: 3, max_completion_tokens: 90 })).status).toBe(200)
    expect((await upstream.received(1)).json).toMatchObject({ n: 3, max_completion_tokens: 65, max_tokens: 65 })
  })
  it('refuses what would be too short to be an answer', async () => {
    await start([budget(600, { onExhausted: 'CAP' })])
    expect((await refusal(await gateway.chat(hello))).told).toEqual(exhausted)
  })
})

/** A dear model behind the alias; cheaper ones in a tier that no route names. */
const tier = { id: mintId('tier'), name: 'small', rank: 0, models: [1, 2, 3] }
const down = (limit: number, change: Partial<SnapshotBudget> = {}) =>
  budget(limit, { onExhausted: 'DOWNGRADE', downgradeTo: 0, ...change })
function tiered(alter: (config: SnapshotConfig) => void = () => {}): Partial<Setup> {
  return {
    targets: ['dear', 'middle', 'cheap', 'any-*'],
    tiers: [tier],
    alter(config) {
      config.routes[0]!.targets.splice(1)
      const factors = [10n, 4n, 1n, 1n]
      for (const line of config.priceSheets[0]!.lines)
        line.unitPrice = ((BigInt(line.unitPrice) * factors[line.model]!) / 2n).toString()
      alter(config)
    },
  }
}

describe('DOWNGRADE', () => {
  it('goes on with the cheapest model of its tier, and says so', async () => {
    const only = down(4_000)
    await start([only], tiered())
    upstream.otherwise(said())
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-model')).toBe('model-cheap')
    expect(answer.headers.get('x-sluice-route-reason')).toBe('downgraded from model-dear')
    const [record] = await gateway.records(1)
    const dear = record!.routeReason!.split('; ')[0]!
    expect(dear).toMatch(new RegExp(`^downgraded ${only.id} from mdl_`))
    expect(record!.tier).toBe(tier.id)
    holds([only], [record!])
  })
  it('has the tier’s next model for a fallback, which reserves for itself', async () => {
    const only = down(4_000)
    await start([only], tiered())
    upstream.on('cheap', answers.error(503, 'no')).on('middle', said())
    const answer = await gateway.chat(hello)
    expect([answer.status, answer.headers.get('x-sluice-model')]).toEqual([200, 'model-middle'])
    holds([only], await gateway.records(1))
  })
  it('takes no model that a policy does not permit', async () => {
    const only = down(4_000)
    await start([only], {
      ...tiered(),
      policies: [routingPolicy({ denyModels: [2] })],
    })
    upstream.otherwise(said())
    expect((await gateway.chat(hello)).headers.get('x-sluice-model')).toBe('model-middle')
    const [record] = await gateway.records(1)
    expect(record!.decisions).toMatchObject([{ verdict: 'FLAGGED' }])
  })
  it('takes no model that cannot express the request', async () => {
    const anthropic = { platform: 'ANTHROPIC', codecs: ['ANTHROPIC_MESSAGES'] } as const
    const openai = { codecs: ['OPENAI_CHAT'] } as const
    const providers = [openai, openai, anthropic].map((one) => ({ ...one, codecs: [...one.codecs] }))
    await start([down(4_000)], { ...tiered(), providers })
    upstream.otherwise(said())
    const answer = await gateway.chat({ ...hello, seed: 7 })
    expect(answer.headers.get('x-sluice-model')).toBe('model-middle')
  })
  it('refuses where nothing in the tier is affordable', async () => {
    await start([down(300)], tiered())
    expect((await refusal(await gateway.chat(hello))).told).toEqual(exhausted)
  })
  it('goes down once: a CAP budget may still cut what it went down to', async () => {
    const low = budget(450, { onExhausted: 'CAP' })
    await start([down(4_000), low], tiered())
    upstream.otherwise(said())
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-route-reason')).toBe('downgraded from model-dear; capped at 87 tokens')
  })
  it('counts the tier’s own budgets for the model it goes down to', async () => {
    const ofCheap = budget(5, { scope: { kind: 'MODEL', at: 2 } as never })
    await start([down(4_000), ofCheap], tiered())
    upstream.otherwise(said())
    expect((await gateway.chat(hello)).headers.get('x-sluice-model')).toBe('model-middle')
  })
})

describe('waiting for money', () => {
  it('serves a request once another one has released what it did not use', async () => {
    const only = budget(1_500, { waitForFundsMs: 5_000 })
    await start([only])
    upstream.otherwise(said())
    const both = await Promise.all([gateway.chat(hello), gateway.chat(hello), gateway.chat(hello)])
    expect(both.map(({ status }) => status)).toEqual([200, 200, 200])
    holds([only], await gateway.records(3))
  })
  it('ends when the client leaves: nothing is sent, and nothing stays reserved', async () => {
    const only = budget(500, { waitForFundsMs: 20_000 })
    await start([only])
    const leaving = new AbortController()
    const asked = gateway.chat(hello, { signal: leaving.signal }).catch(() => 'left')
    await Bun.sleep(100)
    leaving.abort()
    expect(await asked).toBe('left')
    const [record] = await gateway.records(1)
    expect([record!.outcome, record!.status, record!.attempts.length]).toEqual(['CANCELLED', 499, 0])
    expect(ledger.balanceOf(only.id).reserved).toBe(0n)
    expect(upstream.requests).toHaveLength(0)
  })
  it('gives back money that comes when the client has left', async () => {
    const only = budget(5_000)
    const real = new MemoryLedger(({ id }) => limits.get(id)!)
    let arrives = () => {}
    const slow: Ledger = {
      reserve: ({ counters }) => ({
        short: [{ counter: counters[0]!, missing: 1n, affordable: 0n, resetsAtMs: null }],
      }),
      fund: async (need) => {
        await new Promise<void>((resolve) => {
          arrives = resolve
        })
        return real.reserve(need)
      },
      post: (reservation, cost) => real.post(reservation, cost),
      void: (reservation) => real.void(reservation),
    }
    await start([only], { ledger: slow })
    const leaving = new AbortController()
    const asked = gateway.chat(hello, { signal: leaving.signal }).catch(() => 'left')
    await Bun.sleep(100)
    leaving.abort()
    await asked
    await Bun.sleep(50)
    arrives()
    await gateway.records(1)
    expect(real.balanceOf(only.id)).toEqual({ spent: 0n, reserved: 0n })
    expect(upstream.requests).toHaveLength(0)
  })
  it('lasts no longer than the exchange may', async () => {
    await start([budget(500, { waitForFundsMs: 20_000 })], { timeouts: { totalMs: 100 } })
    expect((await refusal(await gateway.chat(hello))).told).toEqual(exhausted)
  })
  it('is refused to be tried again where nobody could be asked', async () => {
    const away: Ledger = {
      reserve: () => ({ short: [], reason: 'UNREACHABLE' }),
      fund: async () => ({ short: [], reason: 'UNREACHABLE' }),
      post: () => [],
      void: () => {},
    }
    await start([budget(1)], { ledger: away })
    expect((await refusal(await gateway.chat(hello))).told).toEqual([503, 'ledger_unavailable', 'true'])
  })
})

const codecs = [
  ...(['OPENAI_CHAT', 'OPENAI_RESPONSES', 'OPENAI_COMPLETIONS', 'OPENAI_EMBEDDINGS'] as const),
  ...(['ANTHROPIC_MESSAGES', 'GEMINI_GENERATE'] as const),
]
const content = [{ role: 'user', content: 'Hello' }]
const gemini = { contents: [{ parts: [{ text: 'Hello' }] }] }
/** What each dialect asks, where, and how it tells an error. */
const dialects: [name: string, path: string, body: object, told: (error: never) => unknown][] = [
  [
    'chat',
    '/v1/chat/completions',
    { messages: content },
    ({ error }) => [(error as { code: string }).code, (error as { type: string }).type],
  ],
  [
    'chat, streamed',
    '/v1/chat/completions',
    { messages: content, stream: true },
    ({ error }) => (error as { code: string }).code,
  ],
  ['responses', '/v1/responses', { input: 'Hello' }, ({ error }) => (error as { code: string }).code],
  ['completions', '/v1/completions', { prompt: 'Hello' }, ({ error }) => (error as { code: string }).code],
  ['embeddings', '/v1/embeddings', { input: 'Hello' }, ({ error }) => (error as { code: string }).code],
  ['messages', '/v1/messages', { messages: content, max_tokens: 50 }, ({ error }) => (error as { type: string }).type],
  ['gemini', '/v1beta/models/house:generateContent', gemini, ({ error }) => (error as { status: string }).status],
  [
    'gemini, streamed',
    '/v1beta/models/house:streamGenerateContent?alt=sse',
    gemini,
    ({ error }) => (error as { status: string }).status,
  ],
]
const post = (path: string, body: object) =>
  fetch(gateway.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...(!path.includes('v1beta') && { model: 'house' }), ...body }),
  })

describe('a refusal for want of money', () => {
  it.each(dialects)('is told as %s tells errors', async (_, path, body, told) => {
    await start([budget(3, { name: 'three', per: 'PROJECT' })], { provider: { codecs: [...codecs] } })
    const answer = await post(path, body)
    expect([answer.status, answer.headers.get('x-sluice-refusal')]).toEqual([402, 'budget_exhausted'])
    expect(answer.headers.get('x-should-retry')).toBe('false')
    const text = await answer.text()
    expect(text).toContain("The budget 'three' lacks ")
    expect(told(JSON.parse(text) as never)).toBeTruthy()
  })
})

/** The field of each dialect that bounds its output, and the answer that uses all of it. */
const capped: [name: string, path: string, body: object, limit: (sent: never) => unknown, answer: Answer][] = [
  [
    ...(['chat', '/v1/chat/completions', { messages: content }] as const),
    ({ max_tokens }) => max_tokens,
    answers.chat('Hi'),
  ],
  [
    ...(['responses', '/v1/responses', { input: 'Hello' }] as const),
    ({ max_output_tokens }) => max_output_tokens,
    answers.json({ id: 'r', object: 'response', status: 'completed', output: [], model: 'm' }),
  ],
  [
    ...(['completions', '/v1/completions', { prompt: 'Hello' }] as const),
    ({ max_tokens }) => max_tokens,
    answers.json({ choices: [{ text: 'Hi', finish_reason: 'stop' }] }),
  ],
  [
    ...(['messages', '/v1/messages', { messages: content }] as const),
    ({ max_tokens }) => max_tokens,
    answers.json({ type: 'message', role: 'assistant', content: [], stop_reason: 'end_turn' }),
  ],
  [
    ...(['messages, streamed', '/v1/messages', { messages: content, stream: true, max_tokens: 90 }] as const),
    ({ max_tokens }) => max_tokens,
    answers.sse([
      event('message_start', {
        type: 'message_start',
        message: { id: 'm', usage: { input_tokens: 1, output_tokens: 1 } },
      }),
      event('message_delta', {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 2 },
      }),
      event('message_stop', { type: 'message_stop' }),
    ]),
  ],
  [
    ...(['gemini', '/v1beta/models/house:generateContent', gemini] as const),
    ({ generationConfig }) => (generationConfig as { maxOutputTokens: number }).maxOutputTokens,
    answers.json({ candidates: [{ content: { parts: [{ text: 'Hi' }] }, finishReason: 'STOP' }] }),
  ],
]

describe('a limit for want of money', () => {
  it.each(capped)('is sent in the field that %s has', async (_, path, body, limit, answer) => {
    const only = budget(880, { onExhausted: 'CAP' })
    await start([only], { provider: { codecs: [...codecs] } })
    upstream.otherwise(answer)
    const got = await post(path, body)
    expect(got.status).toBe(200)
    await got.text()
    const sent = limit((await upstream.received(1)).json as never)
    expect(sent).toBeGreaterThanOrEqual(64)
    expect(sent).toBeLessThan(90)
    expect(got.headers.get('x-sluice-route-reason')).toBe(`capped at ${sent} tokens`)
    holds([only], await gateway.records(1))
  })
})

/** What has no bound, and the field that the refusal names. */
const unbounded: [path: string, body: object, param: string][] = [
  ['/v1/chat/completions', { messages: content, web_search_options: {} }, 'web_search_options'],
  ['/v1/chat/completions', { messages: content, service_tier: 'priority' }, 'service_tier'],
  ['/v1/chat/completions', { messages: content, modalities: ['text', 'audio'], audio: {} }, 'modalities'],
  ['/v1/chat/completions', { messages: content, prediction: { type: 'content', content: 'x' } }, 'prediction'],
  ['/v1/responses', { input: 'Hi', tools: [{ type: 'web_search' }] }, 'tools'],
  ['/v1/responses', { input: 'Hi', prompt: { id: 'pmpt_1' } }, 'prompt'],
  ['/v1/completions', { prompt: 'Hi', best_of: -1 }, 'best_of'],
  ['/v1/messages', { messages: content, max_tokens: 9, speed: 'fast' }, 'speed'],
  ['/v1/messages', { messages: content, tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools'],
  ['/v1beta/models/house:generateContent', { ...gemini, tools: [{ googleSearch: {} }] }, 'tools'],
  ['/v1beta/models/house:generateContent', { ...gemini, serviceTier: 'priority' }, 'serviceTier'],
]

describe('what a request may cost', () => {
  it.each(unbounded)(
    'has a bound under a hard budget: %s %j is refused by the name of %s',
    async (path, body, param) => {
      await start([budget(1e6)], { provider: { codecs: [...codecs] } })
      const answer = await post(path, body)
      expect([400, 422]).toContain(answer.status)
      expect(await answer.text()).toContain(param)
      expect(upstream.requests).toHaveLength(0)
    },
  )
  it('needs none where a budget only warns', async () => {
    await start([budget(1, { onExhausted: 'WARN' })])
    upstream.otherwise(said())
    expect((await gateway.chat({ ...hello, web_search_options: {} })).status).toBe(200)
  })
  it('needs a context for what is not seen, where the model declares none', async () => {
    await start([budget(1e6)], { model: { contextTokens: null } })
    const part = { type: 'file', file: { file_id: 'file_1' } }
    const answer = await gateway.chat({ ...hello, messages: [{ role: 'user', content: [part] }] })
    expect([answer.status, (await answer.json()).error.param]).toEqual([422, 'messages'])
  })
  it('needs a limit of the output, the client’s where the model has none', async () => {
    await start([budget(1e6)], { model: { contextTokens: null, maxOutputTokens: null } })
    upstream.otherwise(said())
    const answer = await gateway.chat(hello)
    expect([answer.status, (await answer.json()).error.param]).toEqual([422, 'max_tokens'])
    expect((await gateway.chat({ ...hello, max_tokens: 40 })).status).toBe(200)
  })
  it('is not believed of a model whose provider billed more than its limits', async () => {
    await start([budget(1e6)], { model: { boundsBroken: true } })
    const { told, text } = await refusal(await gateway.chat(hello))
    expect(told).toEqual([403, 'price_unknown', 'false'])
    expect(text).toContain('an admin must raise them')
  })
  it('is priced by the service tier that the provider says it served', async () => {
    const only = budget(1e6)
    await start([only], {
      alter({ priceSheets: [sheet] }) {
        const dear = sheet!.lines.map((line) => ({ ...line, serviceTier: 'priority', unitPrice: `${line.unitPrice}0` }))
        sheet!.lines.push(...dear)
      },
    })
    upstream.otherwise(answers.chat({ usage: used(10, 5), extra: { service_tier: 'priority' } }))
    upstream.next(answers.chat({ usage: used(10, 5), extra: { service_tier: 'priority' } }), said())
    expect((await gateway.chat(hello)).headers.get('x-sluice-cost')).toBe('0.0006')
    const streamed = await gateway.chat({ ...hello, stream: true, service_tier: 'priority' })
    await streamed.text()
    const records = await gateway.records(2)
    expect(records.map(({ cost, reserved }) => [cost, reserved])).toEqual([
      ['0.0006', '0.01025'],
      ['0.0006', '0.01025'],
    ])
    holds([only], records)
  })
  it('is told as an incident where the provider bills more, and all of it is charged', async () => {
    const only = budget(1_100)
    await start([only])
    upstream.otherwise(said(used(500, 200)))
    expect((await gateway.chat(hello)).status).toBe(200)
    const [record] = await gateway.records(1)
    expect(record!.incident).toEqual({
      ...{ code: 'COST_ABOVE_CEILING', cost: '0.0025', reserved: '0.001025', model: record!.model },
    })
    holds([only], [record!])
    expect((await refusal(await gateway.chat(hello))).told).toEqual(exhausted)
  })
})

describe('what cannot be told', () => {
  it('is charged at exactly what was reserved where it may have been thought unseen', async () => {
    const only = budget(1e6)
    await start([only], { model: { reasoning: true } })
    upstream.otherwise(answers.chat({ text: 'Hi', usage: null }))
    await (await gateway.chat({ ...hello, stream: true })).text()
    const [record] = await gateway.records(1)
    expect([record!.cost, record!.meters.map(({ source }) => source)]).toEqual(['0.001025', ['CEILING', 'CEILING']])
    holds([only], [record!])
  })
  it('is estimated from what was seen of a stream that hides nothing', async () => {
    const only = budget(1e6)
    await start([only])
    upstream.otherwise(answers.chat({ text: ['ab', 'cd'], usage: null }))
    await (await gateway.chat({ ...hello, stream: true })).text()
    const [record] = await gateway.records(1)
    expect([record!.cost, record!.meters.map(({ source }) => source)]).toEqual(['0.000065', ['ESTIMATED', 'ESTIMATED']])
    holds([only], [record!])
  })
  it('costs nothing where the provider says zero', async () => {
    const only = budget(1e6)
    await start([only])
    upstream.otherwise(said(used(0, 0)))
    await gateway.chat(hello)
    const [record] = await gateway.records(1)
    expect(record!.cost).toBe('0')
    holds([only], [record!])
  })
})
