import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Setup, TestGateway } from '../flow/gateway.ts'
import { hello, startGateway } from '../flow/gateway.ts'
import { answers, raw } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []
const secret = 'sk-prov/ider+se"cret=='

const providers = {
  openai: { path: '/v1', provider: {} },
  anthropic: { path: '/v1', provider: { platform: 'ANTHROPIC', codecs: ['ANTHROPIC_MESSAGES'] } },
  responses: { path: '/v1', provider: { platform: 'OPENAI', codecs: ['OPENAI_RESPONSES'] } },
  gemini: { path: '/v1beta', provider: { platform: 'GOOGLE_AI', codecs: ['GEMINI_GENERATE'] } },
  bedrock: { path: '', provider: { platform: 'AWS_BEDROCK', codecs: ['BEDROCK_CONVERSE'], region: 'eu-central-1' } },
  azure: { path: '/openai', provider: { platform: 'AZURE_OPENAI', apiVersion: '2024-10-21' } },
} as const
type Kind = keyof typeof providers

async function start(kind: Kind, setup: Partial<Setup> = {}): Promise<void> {
  const { path, provider } = providers[kind]
  gateway = await startGateway({
    baseUrl: upstream.url + path,
    retry: { attempts: 1 },
    secret,
    ...setup,
    provider: { ...(provider as Setup['provider']), ...setup.provider },
  })
  running.push(gateway)
}

const doors = {
  chat: { path: '/v1/chat/completions', body: hello },
  messages: { path: '/v1/messages', body: { ...hello, max_tokens: 50 } },
  responses: { path: '/v1/responses', body: { model: 'house', input: 'Hello' } },
  gemini: { path: '/v1beta/models/house:generateContent', body: { contents: [{ parts: [{ text: 'Hello' }] }] } },
} as const

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(gateway.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

const refusalOf = (answer: Response) => answer.headers.get('x-sluice-refusal')

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

describe('a compressed answer', () => {
  const bomb = Buffer.alloc(64 * 1024 * 1024, ' ')
  const packed = { gzip: gzipSync(bomb), br: brotliCompressSync(bomb) }
  it.each([
    ['gzip', 200],
    ['br', 200],
    ['gzip', 500],
    ['br', 429],
  ] as const)('(%s, status %i) is refused and never unpacked', async (coding, status) => {
    await start('openai')
    upstream.otherwise(answers.bytes(packed[coding], 'application/json', status).header('content-encoding', coding))
    const before = process.memoryUsage.rss()
    const answer = await post('/v1/chat/completions', hello)
    await answer.text()
    expect(answer.status).toBeGreaterThanOrEqual(429)
    expect(refusalOf(answer)).toMatch(/^upstream_/)
    expect(process.memoryUsage.rss() - before).toBeLessThan(48 * 1024 * 1024)
    expect(await gateway.records(1)).toHaveLength(1)
  })
})

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('(%i) is refused, and what it names is not asked', async (status) => {
    await start('openai')
    upstream.on(
      'gpt-test',
      answers.json({ secret }, status).header('location', `${upstream.url}/elsewhere?key=${secret}`),
    )
    const answer = await post('/v1/chat/completions', hello)
    expect(refusalOf(answer)).toBe('upstream_broke_off')
    expect(answer.headers.get('location')).toBeNull()
    expect(await answer.text()).not.toContain(secret)
    expect(upstream.requests).toHaveLength(1)
  })
})

describe('a provider that repeats the credential in an error', () => {
  const forms: [string, string][] = [
    ['as it is', secret],
    ['in a URL', encodeURIComponent(secret)],
  ]
  const kinds: Kind[] = ['openai', 'anthropic', 'gemini']
  const told: Record<string, (message: string) => object> = {
    openai: (message) => ({ error: { message, type: 'invalid_request_error', code: null } }),
    anthropic: (message) => ({ type: 'error', error: { type: 'invalid_request_error', message } }),
    gemini: (message) => ({ error: { code: 400, message, status: 'INVALID_ARGUMENT' } }),
  }
  const cases = kinds.flatMap((kind) =>
    Object.entries(doors).flatMap(([door, { path, body }]) =>
      forms.map(([how, form]) => ({ kind, door, path, body, how, form })),
    ),
  )
  it.each(cases)('($kind, $how) does not show it to a client of $door', async ({ kind, path, body, form }) => {
    await start(kind)
    upstream.otherwise(answers.json(told[kind]!(`The key ${form} is odd.`), 400))
    const answer = await post(path, body)
    const text = await answer.text()
    expect(answer.status).toBe(400)
    expect(text).toContain('is odd')
    for (const [, leaked] of forms) expect(text).not.toContain(leaked)
    expect(text).not.toContain(JSON.stringify(secret).slice(1, -1))
    expect(JSON.stringify(await gateway.records(1))).not.toContain(secret)
  })
})

describe('a credential that no header can hold', () => {
  it('is told as one that is not there, and nothing is charged', async () => {
    await start('openai', { secret: 'sk\u0000-\n1' })
    const answer = await post('/v1/chat/completions', hello)
    expect(refusalOf(answer)).toBe('upstream_auth_failed')
    expect((await gateway.records(1))[0]).toMatchObject({ cost: '0', outcome: 'FAILED' })
    expect(upstream.requests).toEqual([])
  })
})

describe('a model’s name that a client chooses', () => {
  const wild = (config: Parameters<NonNullable<Setup['alter']>>[0]) => {
    config.aliases[0]!.name = '*'
    config.models[0]!.name = '*'
    config.models[0]!.upstreamName = '*'
  }
  const names = [
    '.',
    '..',
    '../../x',
    '%2e%2e',
    'a/b',
    'a?b=c#d',
    'a\r\nhost: x',
    'a\u0000b',
    '\ud800',
    'g\u0440t',
    'x'.repeat(5_000),
  ]
  it.each(
    (['azure', 'bedrock', 'gemini', 'openai'] as const).flatMap((kind) => names.map((name) => [kind, name] as const)),
  )('never leads elsewhere at %s: %j', async (kind, name) => {
    await start(kind, { alter: wild })
    upstream.otherwise(answers.error(404, 'no such model'))
    const answer = await post('/v1/chat/completions', { ...hello, model: name })
    await answer.text()
    expect(answer.status).toBe(404)
    const below = {
      azure: /^\/openai\/deployments\/[^/?#]+\/chat\/completions\?api-version=2024-10-21$/,
      bedrock: /^\/model\/[^/?#]+\/converse$/,
      gemini: /^\/v1beta\/models\/[^/?#]+:generateContent$/,
      openai: /^\/v1\/chat\/completions$/,
    }[kind]
    for (const { path, headers } of upstream.requests) {
      expect(path).toMatch(below)
      expect(headers.host).toBe(new URL(upstream.url).host)
    }
  })
})

describe('what a client may not override', () => {
  const overrides = {
    ...{
      base_url: 'http://127.0.0.1:1',
      api_key: 'sk-x',
      api_base: 'http://127.0.0.1:1',
      extra_headers: { host: 'x' },
    },
    ...{ extra_body: { model: 'other' }, extra_query: { key: 'x' }, region: 'x', __proto__x: 1 },
  }
  const headers = {
    ...{
      'x-api-key': 'mine',
      'api-key': 'mine',
      'x-goog-api-key': 'mine',
      'x-portkey-custom-host': 'http://127.0.0.1:1',
    },
    ...{ 'x-goog-user-project': 'p', 'openai-organization': 'o', 'x-amz-security-token': 't', 'x-forwarded-host': 'h' },
    'anthropic-workspace-id': 'w',
  }
  it.each(Object.keys(doors) as (keyof typeof doors)[])('by headers, query or body of %s', async (door) => {
    const kind = ({ chat: 'openai', messages: 'anthropic', responses: 'responses', gemini: 'gemini' } as const)[door]
    await start(kind)
    upstream.otherwise(answers.error(404, 'scripted'))
    const { path, body } = doors[door]
    const query = '?key=mine&api-version=1999&model=other&$httpHeaders=host:x'
    await (await post(path + query, { ...body, ...overrides }, headers)).text()
    const [request] = upstream.requests
    expect(JSON.parse(request!.text).model ?? 'gpt-test').toBe('gpt-test')
    const sent = JSON.stringify(request!.headers)
    for (const value of ['mine', '"w"', '"o"', '"p"', '"t"', '"h"']) expect(sent).not.toContain(value)
    expect(request!.headers.host).toBe(new URL(upstream.url).host)
    if (door !== 'messages') expect(request!.path).not.toContain('mine')
  })
  it.each([
    ['/v1/chat/completions', '{"model":"house","messages":[],"mod\\u0065l":"other"}'],
    ['/v1/chat/completions', '{"model":"house","messages":[],"Model":"other"}'],
    ['/v1/messages', '{"model":"house","messages":[],"max_tokens":1,"MAX_TOKENS":9}'],
    ['/v1/responses', '{"model":"house","input":"x","max_output_tokens":1,"Max_Output_Tokens":9}'],
    [
      '/v1beta/models/house:generateContent',
      '{"contents":[],"generationConfig":{},"generation_config":{"maxOutputTokens":9}}',
    ],
    [
      '/v1beta/models/house:generateContent',
      '{"contents":[],"generation_config":{"max_output_tokens":1,"maxOutputTokens":9}}',
    ],
  ])('by a second spelling at %s: %s', async (path, body) => {
    await start('openai')
    const answer = await post(path, body)
    expect([answer.status, refusalOf(answer)]).toEqual([400, 'malformed_request'])
    expect(upstream.requests).toEqual([])
  })
})

describe('a field of another type than the protocol has', () => {
  it.each([
    ['/v1/chat/completions', { temperature: '0.5' }, 'temperature'],
    ['/v1/chat/completions', { stop: [1] }, 'stop'],
    ['/v1/chat/completions', { response_format: { type: 'json_schema', json_schema: { schema: [] } } }, 'schema'],
    ['/v1/chat/completions', { tools: [{ type: 'function', function: { name: 'f', parameters: 'x' } }] }, 'parameters'],
    ['/v1/messages', { max_tokens: 5, stop_sequences: [null] }, 'stop_sequences'],
    ['/v1/messages', { max_tokens: 5, tools: [{ name: 'f', input_schema: [] }] }, 'input_schema'],
  ])('at %s is refused by name where it would be lost: %j', async (path, more, field) => {
    await start(path.includes('messages') ? 'openai' : 'anthropic')
    const answer = await post(path, { ...hello, ...more })
    expect([answer.status, refusalOf(answer)]).toEqual([400, 'malformed_request'])
    expect(await answer.text()).toContain(field)
  })
  it('or arguments of calls that would stop the event loop, leave time for others', async () => {
    await start('anthropic')
    const text = `{"a":${'['.repeat(3e6)}${']'.repeat(3e6)}}`
    const call = { id: 'c', type: 'function', function: { name: 'f', arguments: text } }
    const messages = [...hello.messages, { role: 'assistant', tool_calls: [call] }]
    const answer = await post('/v1/chat/completions', { model: 'house', messages })
    expect([answer.status, refusalOf(answer)]).toEqual([400, 'malformed_request'])
  })
})

describe('words of a provider that are names of every object', () => {
  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])(
    '%s ends an answer as any other',
    async (word) => {
      for (const streamed of [false, true]) {
        await start('openai')
        const answer = streamed
          ? answers.sse([
              { choices: [{ index: 0, delta: { content: 'hi' } }] },
              { choices: [{ index: 0, delta: {}, finish_reason: word }] },
              raw('data: [DONE]\n\n'),
            ])
          : answers.json({ choices: [{ message: { content: 'hi' }, finish_reason: word }] })
        upstream.otherwise(answer)
        for (const { path, body } of [doors.chat, doors.messages, doors.responses])
          expect(await (await post(path, { ...body, stream: streamed })).text()).toContain('hi')
        expect((await gateway.records(3)).map(({ outcome }) => outcome)).toEqual(Array(3).fill('COMPLETED'))
      }
    },
  )
})
