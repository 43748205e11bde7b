import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, answers, raw } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
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

type Provider = 'gemini' | 'openai'

/** A gateway before a provider that speaks Gemini's protocol, or OpenAI's. */
async function start(provider: Provider, setup: Partial<Setup> = {}): Promise<TestGateway> {
  const google = { platform: 'GOOGLE_AI', codecs: ['GEMINI_GENERATE'] } as const
  const gateway = await startGateway({
    baseUrl: `${upstream.url}/${provider === 'gemini' ? 'v1beta' : 'v1'}`,
    targets: ['gemini-3-test'],
    ...setup,
    provider: { ...(provider === 'gemini' && { ...google, codecs: [...google.codecs] }), ...setup.provider },
  })
  running.push(gateway)
  return gateway
}

const sdk = ({ url, key }: TestGateway, more = {}) =>
  new GoogleGenAI({ apiKey: key, vertexai: false, httpOptions: { baseUrl: url }, ...more })

const usage = { promptTokenCount: 10, candidatesTokenCount: 4, thoughtsTokenCount: 3, totalTokenCount: 17 }

/** A GenerateContentResponse of one candidate. */
function said(parts: object[], more: object = {}, candidate: object = {}) {
  const candidates = [{ content: { role: 'model', parts }, ...candidate, index: 0 }]
  return { candidates, modelVersion: 'gemini-3-test', responseId: 'r1', ...more }
}

const ended = { finishReason: 'STOP' }
const whole = (parts: object[], more: object = { usageMetadata: usage }) => answers.json(said(parts, more, ended))

/** As Google sends streams: events whose lines end in CRLF. */
const streamed = (pieces: unknown[]): Answer => answers.sse(pieces).lineEnds('\r\n')

function post({ url, key }: TestGateway, path: string, body: unknown): Promise<Response> {
  const headers = { 'x-goog-api-key': key, 'content-type': 'application/json' }
  return fetch(url + path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

const hi = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] }

describe('a Gemini client with a Gemini provider', () => {
  it('gets its body through byte for byte, by the name that the provider knows, and the answer back as it is', async () => {
    const gateway = await start('gemini')
    const body =
      '{ "contents":[{"parts":[{"text":"caf\\u00e9"}]}], "x_unknown": {"a":[1.0,{"b":null}]},\n "system_instruction":{"parts":[{"text":"s"}]} }'
    upstream.otherwise(whole([{ text: 'Fine.', x: 1 }], { usageMetadata: usage, x_more: [1.5] }))
    const answer = await post(gateway, '/v1beta/models/house:generateContent', body)
    expect(await answer.json()).toEqual(said([{ text: 'Fine.', x: 1 }], { usageMetadata: usage, x_more: [1.5] }, ended))
    const [request] = upstream.requests
    expect(request!.path).toBe('/v1beta/models/gemini-3-test:generateContent')
    expect(request!.text).toBe(body)
    expect(request!.headers['x-goog-api-key']).toBe('sk-provider-secret')
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ outcome: 'COMPLETED', alias: 'house', finishReason: 'STOP' })
    expect(record!.meters.map(({ meter, quantity }) => [meter, quantity])).toEqual([
      ['INPUT_TOKENS', 10],
      ['OUTPUT_TOKENS', 4],
      ['REASONING_TOKENS', 3],
    ])
  })

  it('streams as events, each as it came, and is charged what the last of them counts', async () => {
    const gateway = await start('gemini')
    const pieces = [
      said([{ text: 'Hel' }], { usageMetadata: { promptTokenCount: 10, totalTokenCount: 10 } }),
      said([{ text: 'lo' }], { usageMetadata: usage }, ended),
    ]
    upstream.otherwise(streamed(pieces))
    const answer = await post(gateway, '/v1beta/models/house:streamGenerateContent?alt=sse', hi)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(await answer.text()).toBe(pieces.map((piece) => `data: ${JSON.stringify(piece)}\r\n\r\n`).join(''))
    expect(upstream.requests[0]!.path).toBe('/v1beta/models/gemini-3-test:streamGenerateContent?alt=sse')
    const [record] = await gateway.records(1)
    expect(record!.meters.map(({ quantity }) => quantity)).toEqual([10, 4, 3])
  })

  it('streams as a list without alt=sse: its elements come one by one, its end only with the record', async () => {
    const gateway = await start('gemini')
    const pieces = [said([{ text: 'a' }]), said([{ text: 'b' }], { usageMetadata: usage }, ended)]
    upstream.otherwise(streamed(pieces).chunkDelayMs(60))
    const answer = await post(gateway, '/v1beta/models/house:streamGenerateContent', hi)
    expect(answer.headers.get('content-type')).toBe('application/json')
    const reader = answer.body!.getReader()
    const first = new TextDecoder().decode((await reader.read()).value)
    expect(first).toBe(`[${JSON.stringify(pieces[0])}`)
    let rest = ''
    for (let read = await reader.read(); !read.done; read = await reader.read())
      rest += new TextDecoder().decode(read.value)
    expect(JSON.parse(first + rest)).toEqual(pieces)
  })

  it('tells an error within a stream in the form of the stream', async () => {
    const gateway = await start('gemini')
    const error = { error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } }
    upstream.otherwise(streamed([said([{ text: 'a' }]), error]))
    const list = await post(gateway, '/v1beta/models/house:streamGenerateContent', hi)
    expect(await list.json()).toEqual([said([{ text: 'a' }]), error])
    const events = await (await post(gateway, '/v1beta/models/house:streamGenerateContent?alt=sse', hi)).text()
    expect(events).toContain(`data: ${JSON.stringify(error)}\r\n\r\n`)
    const stream = await sdk(gateway).models.generateContentStream({ model: 'house', contents: 'Hi' })
    const read = async () => {
      for await (const _ of stream);
    }
    await expect(read()).rejects.toThrow('overloaded')
  })

  it.each([
    ['nothing', []],
    ['text and no end', [said([{ text: 'a' }])]],
    ['no candidates', [{ usageMetadata: usage }]],
  ])('takes a stream of %s for no answer', async (_, pieces) => {
    const gateway = await start('gemini', { retry: { attempts: 1 } })
    upstream.otherwise(streamed(pieces))
    const answer = await post(gateway, '/v1beta/models/house:streamGenerateContent?alt=sse', hi)
    expect(await answer.text()).toContain('UPSTREAM_BROKE_OFF')
    expect((await gateway.records(1))[0]!.outcome).toBe('FAILED')
  })

  it('passes on why a prompt was blocked, and records it', async () => {
    const gateway = await start('gemini')
    const blocked = {
      promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
      usageMetadata: { promptTokenCount: 5, totalTokenCount: 5 },
    }
    upstream.otherwise(answers.json(blocked))
    const answer = await sdk(gateway).models.generateContent({ model: 'house', contents: 'Hi' })
    expect(answer.promptFeedback?.blockReason).toBe('PROHIBITED_CONTENT')
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'COMPLETED', finishReason: 'PROHIBITED_CONTENT' })
  })

  it('lowers the output limit to the model’s, in whichever spelling it came', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ text: 'ok' }]))
    for (const body of [
      '{"contents":[],"generationConfig":{"maxOutputTokens": 5000, "topK":1}}',
      '{"contents":[],"generation_config":{"topK":1, "max_output_tokens": 5000}}',
    ])
      expect((await post(gateway, '/v1beta/models/house:generateContent', body)).status).toBe(200)
    expect(upstream.requests.map(({ text }) => text)).toEqual([
      '{"contents":[],"generationConfig":{"maxOutputTokens": 1000, "topK":1}}',
      '{"contents":[],"generation_config":{"topK":1, "max_output_tokens": 1000}}',
    ])
  })

  it.each([
    ['{"contents":[],"generationConfig":{},"generation_config":{"maxOutputTokens":9}}', 'which are one'],
    ['{"contents":[],"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}', 'which are one'],
    ['{"contents":[],"GenerationConfig":{}}', "must be written 'generationConfig'"],
    ['{"contents":[],"generationConfig":{"maxoutputtokens":9}}', "must be written 'maxOutputTokens'"],
    ['{"contents":[],"generationConfig":{"maxOutputTokens":"9"}}', 'must be a whole number'],
    ['{"contents":[],"generationConfig":{"candidateCount":1000}}', 'must be a whole number'],
    ['{"contents":[],"generationConfig":7}', 'must be a JSON object'],
    ['{"contents":{}}', 'must be a list'],
    ['{"contents":[],"contents":[]}', 'twice'],
    ['[]', 'must be a JSON object'],
  ])('refuses %s, so that what is admitted is what the provider reads', async (body, sentence) => {
    const gateway = await start('gemini')
    const answer = await post(gateway, '/v1beta/models/house:generateContent', body)
    expect(answer.status).toBe(400)
    expect((await answer.json()).error).toMatchObject({
      code: 400,
      status: 'INVALID_ARGUMENT',
      message: expect.stringContaining(sentence),
    })
    expect(upstream.requests).toHaveLength(0)
  })

  it('counts tokens at the provider, for nothing', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(answers.json({ totalTokens: 31 }))
    const { totalTokens } = await sdk(gateway).models.countTokens({ model: 'house', contents: 'Hi' })
    expect(totalTokens).toBe(31)
    expect(upstream.requests[0]!.path).toBe('/v1beta/models/gemini-3-test:countTokens')
    const body = { generateContentRequest: { model: 'models/house', ...hi } }
    await post(gateway, '/v1beta/models/house:countTokens', body)
    expect(upstream.requests[1]!.json).toMatchObject({ generateContentRequest: { model: 'models/gemini-3-test' } })
    expect((await gateway.records(2)).map(({ cost }) => cost)).toEqual(['0', '0'])
  })

  it('takes out what another protocol signed', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ text: 'ok' }]))
    const foreign = Buffer.from('sluice.{"from":"ANTHROPIC_MESSAGES","value":"v"}').toString('base64')
    const parts = [
      { text: 'a', thoughtSignature: foreign },
      { functionCall: { name: 'f', args: {} }, thought_signature: foreign },
      { functionCall: { name: 'g', args: {} }, thoughtSignature: 'own' },
    ]
    await post(gateway, '/v1beta/models/house:generateContent', { contents: [{ role: 'model', parts }] })
    expect((upstream.requests[0]!.json as typeof hi).contents[0]!.parts).toEqual([
      { text: 'a' },
      { functionCall: { name: 'f', args: {} }, thoughtSignature: 'skip_thought_signature_validator' },
      { functionCall: { name: 'g', args: {} }, thoughtSignature: 'own' },
    ])
  })
})

describe('a name in the path', () => {
  it.each([
    ['/v1beta/models/..%2F..%2Fadmin:generateContent', 404],
    ['/v1beta/models/%2e%2e/%2e%2e/x:generateContent', 404],
    ['/v1beta/models/house%3Fkey=1:generateContent', 404],
    ['/v1beta/models/house:deleteEverything', 404],
    ['/v1beta/models/house:generateContent:generateContent', 404],
    ['/v1beta/models/:generateContent', 404],
    ['/v1beta/models/%ff:generateContent', 404],
    ['/v1beta/models/house%3AgenerateContent', 200],
  ])('%s', async (path, status) => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ text: 'ok' }]))
    expect((await post(gateway, path, hi)).status).toBe(status)
    for (const request of upstream.requests) expect(request.path).toBe('/v1beta/models/gemini-3-test:generateContent')
  })

  it('stays one segment where a wildcard passes it on', async () => {
    const gateway = await start('gemini', { alias: { name: 'g/*' }, targets: ['*'] })
    upstream.otherwise(whole([{ text: 'ok' }]))
    await post(gateway, `/v1beta/models/${encodeURIComponent('g/../../v1/x?alt=y#z')}:generateContent?key=other`, hi)
    expect(upstream.requests[0]!.path).toBe('/v1beta/models/..%2F..%2Fv1%2Fx%3Falt%3Dy%23z:generateContent')
  })
})

describe('the Google SDK', () => {
  const tools = [
    {
      functionDeclarations: [
        { name: 'weather', parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } } } },
      ],
    },
  ]

  it('works as with Google: tools, images, structured output and thinking arrive as they were sent', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ functionCall: { name: 'weather', args: { city: 'Oslo' } }, thoughtSignature: 'c2ln' }]))
    const answer = await sdk(gateway).models.generateContent({
      model: 'house',
      contents: [{ role: 'user', parts: [{ text: 'x' }, { inlineData: { mimeType: 'image/png', data: 'aGk=' } }] }],
      config: {
        tools,
        responseMimeType: 'application/json',
        responseJsonSchema: { type: 'object' },
        thinkingConfig: { includeThoughts: true, thinkingBudget: 100 },
        systemInstruction: 'Be brief',
      },
    })
    expect(answer.functionCalls).toEqual([{ name: 'weather', args: { city: 'Oslo' } }])
    expect(upstream.requests[0]!.json).toMatchObject({
      contents: [{ parts: [{ text: 'x' }, { inlineData: { mimeType: 'image/png', data: 'aGk=' } }] }],
      tools,
      generationConfig: { thinkingConfig: { includeThoughts: true, thinkingBudget: 100 } },
    })
  })

  it('is served in the mode for Vertex AI too, with a project and without', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ text: 'ok' }]))
    const client = sdk(gateway, { vertexai: true })
    expect((await client.models.generateContent({ model: 'house', contents: 'Hi' })).text).toBe('ok')
    const below = 'projects/p/locations/l/publishers/google/models/house:generateContent'
    expect((await post(gateway, `/v1beta1/${below}`, hi)).status).toBe(200)
    const slashed = await start('gemini', { alias: { name: 'acme/fast' } })
    const model = 'acme/fast'
    expect((await sdk(slashed, { vertexai: true }).models.generateContent({ model, contents: 'Hi' })).text).toBe('ok')
  })

  it('lists the models that the key may use', async () => {
    const gateway = await start('gemini')
    const names: unknown[] = []
    for await (const model of await sdk(gateway).models.list()) names.push(model.name)
    expect(names).toEqual(['models/house'])
    expect(await sdk(gateway).models.get({ model: 'house' })).toMatchObject({
      name: 'models/house',
      inputTokenLimit: 8000,
    })
    await expect(sdk(gateway).models.get({ model: 'other' })).rejects.toMatchObject({ status: 404 })
    const plain = { headers: { authorization: `Bearer ${gateway.key}` } }
    expect(await (await fetch(`${gateway.url}/v1/models`, plain)).json()).toMatchObject({ object: 'list' })
    expect(await (await fetch(`${gateway.url}/v1beta/models`, plain)).json()).toMatchObject({
      models: [{ name: 'models/house' }],
    })
  })

  it('is served by a provider that speaks OpenAI’s protocol: text, tools both ways, and usage', async () => {
    const gateway = await start('openai')
    upstream.next(answers.chat({ text: 'Hello there', usage: { prompt_tokens: 9, completion_tokens: 2 } }))
    const client = sdk(gateway)
    const config = { temperature: 0.5, maxOutputTokens: 50, stopSequences: ['X'], systemInstruction: 'Be brief' }
    const plain = await client.models.generateContent({ model: 'house', contents: 'Hi', config })
    expect(plain.text).toBe('Hello there')
    expect(plain.usageMetadata).toMatchObject({ promptTokenCount: 9, candidatesTokenCount: 2, totalTokenCount: 11 })
    expect(upstream.requests[0]!.json).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief' },
        { role: 'user', content: 'Hi' },
      ],
      temperature: 0.5,
      stop: ['X'],
    })
    upstream.next(
      answers.chat({
        toolCalls: [
          { name: 'weather', arguments: { city: 'Oslo' } },
          { name: 'weather', arguments: { city: 'Rome' } },
        ],
      }),
    )
    const stream = await client.models.generateContentStream({
      model: 'house',
      contents: 'Hi',
      config: { tools, toolConfig: { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } } },
    })
    const parts = []
    for await (const piece of stream) parts.push(...(piece.candidates?.[0]?.content?.parts ?? []))
    expect(parts.filter(({ functionCall }) => functionCall).map(({ functionCall }) => functionCall!.args)).toEqual([
      { city: 'Oslo' },
      { city: 'Rome' },
    ])
    upstream.next(answers.chat('Cold.'))
    const results = ['cold', 'warm'].map((output) => ({ functionResponse: { name: 'weather', response: { output } } }))
    const contents = [
      { role: 'user', parts: [{ text: 'Hi' }] },
      { role: 'model', parts },
      { role: 'user', parts: results },
    ]
    await client.models.generateContent({ model: 'house', contents, config: { tools } })
    const { messages } = upstream.requests.at(-1)!.json as { messages: { role: string; [more: string]: unknown }[] }
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'tool'])
    expect(messages.slice(2).map(({ tool_call_id, content }) => [tool_call_id, content])).toEqual([
      ['call_0', 'cold'],
      ['call_1', 'warm'],
    ])
  })

  it('hears of a refusal as an error of Google’s, and of a provider’s error in its words', async () => {
    const gateway = await start('openai')
    await expect(sdk(gateway).models.generateContent({ model: 'nothing', contents: 'Hi' })).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('UNKNOWN_ALIAS'),
    })
    upstream.otherwise(answers.error(400, 'This is too much.'))
    const refused = await sdk(gateway)
      .models.generateContent({ model: 'house', contents: 'Hi' })
      .catch((error) => error)
    expect(refused).toBeInstanceOf(ApiError)
    expect(JSON.parse(refused.message).error).toMatchObject({
      ...{ code: 400, status: 'INVALID_ARGUMENT', message: expect.stringContaining('This is too much.') },
    })
  })

  it('is told what has no form in the provider’s protocol', async () => {
    const gateway = await start('openai')
    const asked = sdk(gateway).models.generateContent({
      model: 'house',
      contents: 'Hi',
      config: { tools: [{ googleSearch: {} }] },
    })
    await expect(asked).rejects.toMatchObject({ status: 422, message: expect.stringContaining('tools.0.googleSearch') })
  })
})

describe('an OpenAI client with a Gemini provider', () => {
  const client = ({ url, key }: TestGateway) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })
  const tools = ['weather', 'time'].map((name) => ({
    type: 'function' as const,
    function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  }))

  it('streams thoughts, text and calls, which get ids that come back to the right results', async () => {
    const gateway = await start('gemini')
    const call = (name: string, city: string, more = {}) => ({ functionCall: { name, args: { city } }, ...more })
    upstream.next(
      streamed([
        said([{ text: 'Hmm.', thought: true }]),
        said([{ text: 'Let me look.' }]),
        said([call('weather', 'Oslo', { thoughtSignature: 'c2ln' }), call('weather', 'Rome')]),
        said([], { usageMetadata: usage }, ended),
      ]),
    )
    const stream = client(gateway).chat.completions.stream({
      model: 'house',
      messages: [{ role: 'user', content: 'Hi' }],
      tools,
      stream_options: { include_usage: true },
    })
    const answer = await stream.finalChatCompletion()
    const { message, finish_reason } = answer.choices[0]!
    expect(finish_reason).toBe('tool_calls')
    expect(message.content).toBe('Let me look.')
    expect(answer.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 7 })
    const calls = message.tool_calls!.map((made) => (made.type === 'function' ? made : undefined)!)
    expect(calls.map(({ function: { arguments: text } }) => text)).toEqual(['{"city":"Oslo"}', '{"city":"Rome"}'])
    upstream.next(whole([{ text: 'Cold.' }]))
    const results = calls.map(({ id }, at) => ({ role: 'tool' as const, tool_call_id: id, content: `r${at}` }))
    const signed = calls.map((made, at) => ({
      ...{ id: made.id, type: made.type, function: { name: made.function.name, arguments: made.function.arguments } },
      ...(at === 0 && { extra_content: { google: { thought_signature: 'c2ln' } } }),
    }))
    await client(gateway).chat.completions.create({
      model: 'house',
      messages: [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: message.content, tool_calls: signed },
        ...results,
      ],
      tools,
    })
    expect((upstream.requests[1]!.json as { contents: unknown }).contents).toEqual([
      { role: 'user', parts: [{ text: 'Hi' }] },
      {
        role: 'model',
        parts: [
          { text: 'Let me look.' },
          { functionCall: { name: 'weather', args: { city: 'Oslo' } }, thoughtSignature: 'c2ln' },
          { functionCall: { name: 'weather', args: { city: 'Rome' } } },
        ],
      },
      {
        role: 'user',
        parts: [
          { functionResponse: { name: 'weather', response: { output: 'r0' } } },
          { functionResponse: { name: 'weather', response: { output: 'r1' } } },
        ],
      },
    ])
  })

  it('has its schemas sent as JSON Schema, its image as bytes, its effort as a level', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(whole([{ text: '{}' }]))
    const schema = {
      type: 'object',
      properties: { a: { $ref: '#/$defs/n' } },
      $defs: { n: { type: ['string', 'null'] } },
    }
    await client(gateway).chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,aGk=' } }] }],
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema } },
      reasoning_effort: 'low',
      tools,
      tool_choice: { type: 'function', function: { name: 'time' } },
      max_completion_tokens: 300,
    })
    expect(upstream.requests[0]!.json).toEqual({
      contents: [{ role: 'user', parts: [{ inlineData: { mimeType: 'image/png', data: 'aGk=' } }] }],
      tools: [
        {
          functionDeclarations: tools.map(({ function: { name, parameters } }) => ({
            name,
            parametersJsonSchema: parameters,
          })),
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['time'] } },
      generationConfig: {
        maxOutputTokens: 300,
        responseMimeType: 'application/json',
        responseJsonSchema: schema,
        thinkingConfig: { thinkingLevel: 'LOW' },
      },
    })
  })

  it.each([
    ['SAFETY', 'content_filter'],
    ['MAX_TOKENS', 'length'],
    ['STOP', 'stop'],
  ])('hears %s as %s', async (reason, told) => {
    const gateway = await start('gemini')
    upstream.otherwise(answers.json(said([{ text: 'x' }], {}, { finishReason: reason })))
    const answer = await client(gateway).chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content: 'Hi' }],
    })
    expect(answer.choices[0]!.finish_reason).toBe(told)
  })

  it('hears of a blocked prompt as a content filter, and never as an empty success', async () => {
    const gateway = await start('gemini')
    upstream.otherwise(
      answers.json({
        promptFeedback: { blockReason: 'SAFETY' },
        usageMetadata: { promptTokenCount: 4, totalTokenCount: 4 },
      }),
    )
    const answer = await client(gateway).chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content: 'Hi' }],
    })
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'content_filter', message: { content: null } })
    upstream.otherwise(answers.json(said([], {}, { finishReason: 'MALFORMED_FUNCTION_CALL' })))
    const failed = client(gateway).chat.completions.create({
      model: 'house',
      messages: [{ role: 'user', content: 'Hi' }],
    })
    await expect(failed).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining('MALFORMED_FUNCTION_CALL'),
    })
  })

  it.each([
    [
      429,
      {
        code: 429,
        message: 'Quota',
        status: 'RESOURCE_EXHAUSTED',
        details: [{ '@type': 'x/google.rpc.RetryInfo', retryDelay: '7.5s' }],
      },
      429,
      'RATE_LIMITED',
    ],
    [
      400,
      {
        code: 400,
        message: 'The input token count (9) exceeds the maximum number of tokens allowed (8).',
        status: 'INVALID_ARGUMENT',
      },
      400,
      'CONTEXT_TOO_LONG',
    ],
    [
      400,
      {
        code: 400,
        message: 'API key not valid.',
        status: 'INVALID_ARGUMENT',
        details: [{ reason: 'API_KEY_INVALID' }],
      },
      502,
      'AUTH_FAILED',
    ],
    [503, { code: 503, message: 'Overloaded', status: 'UNAVAILABLE' }, 503, 'OVERLOADED'],
  ])('hears of error %i %j as %i', async (status, error, told, cause) => {
    const gateway = await start('gemini', { retry: { attempts: 1 } })
    for (const body of [{ error }, [{ error }]]) {
      upstream.otherwise(answers.json(body, status))
      const answer = await gateway.chat({ model: 'house', messages: [{ role: 'user', content: 'Hi' }] })
      expect(answer.status).toBe(told)
      if (status === 429) expect(answer.headers.get('retry-after')).toBe('8')
      const text = await answer.text()
      expect(text.includes(error.message)).toBe(cause !== 'AUTH_FAILED')
    }
    const records = await gateway.records(2)
    expect(records.map(({ attempts }) => attempts[0]!.cause)).toEqual([cause, cause])
  })

  it('takes broken pieces for no answer', async () => {
    const gateway = await start('gemini', { retry: { attempts: 1 } })
    upstream.otherwise(answers.sse([said([{ text: 'a' }]), raw('data: {"candidates":\n\n')]))
    const answer = await gateway.chat({ model: 'house', stream: true, messages: [{ role: 'user', content: 'Hi' }] })
    expect(await answer.text()).toContain('upstream_broke_off')
  })
})
