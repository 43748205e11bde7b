import { describe, expect, it } from 'vitest'
import { isRefusal } from '../../../schema/refusals.ts'
import type { RunningModel } from '../../snapshot/running.ts'
import type { NeutralEvent, NeutralRequest, Thought, Turn } from '../neutral.ts'
import { geminiGenerate } from './index.ts'
import type { GeminiRequest } from './request.ts'
import { jsonSchemaOf } from './schemas.ts'
import { tag, untag } from './signatures.ts'
import { thinkingConfig } from './thinking.ts'
import { readUsage, writeUsage } from './usage.ts'

const model = {
  ...{ contextTokens: 8_000, maxOutputTokens: 1_000, defaultOutputTokens: 200 },
  bounds: { tokensPerMessage: 10, tokensPerTool: 20, tokensPerImage: 300 },
  provider: { platform: 'GOOGLE_AI', apiVersion: null },
} as unknown as RunningModel
const target = { model, upstreamName: 'gemini-3-pro' }

function admitted(body: object, streamed = false): GeminiRequest {
  const call = { operation: 'generate' as const, model: 'house', streamed, query: 'alt=sse' }
  const request = geminiGenerate.admit(JSON.stringify(body), call)
  if (isRefusal(request)) throw new Error(request.detail)
  return request as GeminiRequest
}

function neutral(body: object): NeutralRequest {
  const request = geminiGenerate.neutral(admitted(body))
  if (isRefusal(request)) throw new Error(request.detail)
  return request
}

const encoded = (request: NeutralRequest, upstreamName = target.upstreamName) => {
  const { body, lost } = geminiGenerate.encode(request, { ...target, upstreamName })
  return { body: JSON.parse(body), lost }
}

const contents = [{ role: 'user', parts: [{ text: 'Hi' }] }]
const plain = neutral({ contents })

describe('a request', () => {
  it('reads the same in both spellings', () => {
    const camel = {
      contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: 'aGk=' } }] }],
      systemInstruction: { parts: [{ text: 's' }] },
      tools: [
        {
          functionDeclarations: [
            { name: 'f', parameters: { type: 'OBJECT', properties: { snake_key: { type: 'STRING' } } } },
          ],
        },
      ],
      toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f'] } },
      generationConfig: {
        maxOutputTokens: 9,
        topK: 3,
        thinkingConfig: { thinkingBudget: 5, includeThoughts: true },
        responseMimeType: 'application/json',
      },
    }
    const snake = JSON.parse(
      JSON.stringify(camel)
        .replace('inlineData', 'inline_data')
        .replace('mimeType', 'mime_type')
        .replace('systemInstruction', 'system_instruction')
        .replace('functionDeclarations', 'function_declarations')
        .replace('toolConfig', 'tool_config')
        .replace('functionCallingConfig', 'function_calling_config')
        .replace('allowedFunctionNames', 'allowed_function_names')
        .replace('generationConfig', 'generation_config')
        .replace('maxOutputTokens', 'max_output_tokens')
        .replace('thinkingConfig', 'thinking_config')
        .replace('thinkingBudget', 'thinking_budget')
        .replace('includeThoughts', 'include_thoughts')
        .replace('responseMimeType', 'response_mime_type'),
    )
    expect(neutral(snake)).toEqual(neutral(camel))
    expect(neutral(camel)).toMatchObject({
      foreign: [],
      toolChoice: { name: 'f' },
      reasoning: { budgetTokens: 5, shown: true },
      tools: [{ parameters: { type: 'object', properties: { snake_key: { type: 'string' } } } }],
    })
  })

  it('names every field without a neutral form by its path, and tells those apart that change nothing', () => {
    const { foreign, incidental } = neutral({
      contents: [
        {
          parts: [
            { text: 'a', videoMetadata: {} },
            { executableCode: {} },
            { fileData: { fileUri: 'gs://b/o', mimeType: 'image/png' } },
          ],
        },
      ],
      tools: [{ googleSearch: {} }, { functionDeclarations: [{ name: 'f', behavior: 'NON_BLOCKING' }] }],
      toolConfig: { retrievalConfig: {}, functionCallingConfig: { mode: 'AUTO', allowedFunctionNames: ['other'] } },
      generationConfig: { responseModalities: ['AUDIO'], speechConfig: {}, responseMimeType: 'text/x.enum' },
      safetySettings: [{ category: 'x' }],
      cachedContent: 'cachedContents/1',
      labels: { a: 'b' },
      unknown_field: 1,
    })
    expect(foreign.toSorted()).toEqual([
      'cachedContent',
      'contents.0.parts.0.videoMetadata',
      'contents.0.parts.1.executableCode',
      'contents.0.parts.2.fileData',
      'generationConfig.responseMimeType',
      'generationConfig.responseModalities',
      'generationConfig.speechConfig',
      'safetySettings',
      'toolConfig.functionCallingConfig.allowedFunctionNames',
      'toolConfig.retrievalConfig',
      'tools.0.googleSearch',
      'tools.1.functionDeclarations.0.behavior',
      'unknownField',
    ])
    expect(incidental).toEqual(['labels'])
  })

  it.each([
    [{ contents: [{ parts: 7 }] }, 'contents.0.parts'],
    [{ contents: [null] }, 'contents.0.parts'],
    [{ contents: [{ role: 'robot', parts: [] }] }, 'contents.0.role'],
    [{ contents: [{ parts: [{ functionCall: {} }] }] }, 'contents.0.parts.0.functionCall.name'],
    [{ contents, tools: [{ functionDeclarations: [{}] }] }, 'tools.0.functionDeclarations.0.name'],
  ])('that is none of this protocol is refused: %j', (body, param) => {
    expect(geminiGenerate.neutral(admitted(body))).toMatchObject({ refused: 'malformed_request', param })
  })

  it('pairs results with calls by id, else by name and order', () => {
    const call = (name: string, id?: string) => ({ functionCall: { name, args: { n: name }, ...(id && { id }) } })
    const result = (name: string, output: string, id?: string) => ({
      functionResponse: { name, response: { output }, ...(id && { id }) },
    })
    const { turns } = neutral({
      contents: [
        { role: 'model', parts: [call('f'), call('g'), call('f'), call('f', 'x')] },
        { role: 'function', parts: [result('f', '4', 'x'), result('f', '1'), result('g', '2'), result('f', '3')] },
        { role: 'model', parts: [call('f')] },
        { role: 'user', parts: [{ functionResponse: { name: 'f', response: { error: 'no' } } }] },
      ],
    })
    const [first, results, second, last] = turns.map(({ parts }) => parts as unknown as { id: string }[])
    const ids = first!.map(({ id }) => id)
    expect(new Set(ids).size).toBe(4)
    expect(results!.map(({ id }) => id)).toEqual([ids[3], ids[0], ids[1], ids[2]])
    expect(last![0]!.id).toBe(second![0]!.id)
    expect(ids).not.toContain(second![0]!.id)
    expect(last![0]).toMatchObject({ isError: true, parts: [{ text: 'no' }] })
  })
})

describe('a request that is written for Gemini', () => {
  const call = { type: 'toolCall', id: 'call_1', name: 'f', arguments: '{"a":1}' } as const
  const turnsWith = (...parts: Turn['parts']): NeutralRequest => ({ ...plain, turns: [{ role: 'assistant', parts }] })
  const signature = { from: 'GEMINI_GENERATE', value: 'own' } as const

  it('signs the first call of another protocol’s turn with what Gemini takes for it, and says so', () => {
    const { body, lost } = encoded(turnsWith(call, { ...call, id: 'call_2' }))
    expect(body.contents[0].parts.map((part: object) => 'thoughtSignature' in part)).toEqual([true, false])
    expect(body.contents[0].parts[0].thoughtSignature).toBe('skip_thought_signature_validator')
    expect(lost).toEqual(['signatures'])
    expect(encoded(turnsWith(call), 'gemini-2.5-pro')).toEqual({
      body: {
        ...body,
        contents: [{ role: 'model', parts: [{ functionCall: { id: 'call_1', name: 'f', args: { a: 1 } } }] }],
      },
      lost: [],
    })
  })

  it('puts Gemini’s signatures back where they stood, and leaves out those of others', () => {
    const own: Thought = { type: 'thought', text: 'Hmm', signature, encrypted: false }
    const foreign: Thought = { ...own, text: 'Well', signature: { from: 'ANTHROPIC_MESSAGES', value: 'x' } }
    expect(encoded(turnsWith(own, { type: 'text', text: 'a' })).body.contents[0].parts).toEqual([
      { text: 'Hmm', thought: true },
      { text: 'a', thoughtSignature: 'own' },
    ])
    expect(encoded(turnsWith(own, call)).body.contents[0].parts[1]).toMatchObject({ thoughtSignature: 'own' })
    expect(encoded(turnsWith({ type: 'text', text: 'a' }, { ...own, text: '' })).body.contents[0].parts).toEqual([
      { text: 'a' },
      { text: '', thoughtSignature: 'own' },
    ])
    const { body, lost } = encoded(turnsWith(foreign, { type: 'text', text: 'a' }))
    expect(JSON.stringify(body)).not.toContain('"x"')
    expect(lost).toEqual(['signatures'])
  })

  it('joins turns of one speaker, names results by their calls, and strips ids that were made up', () => {
    const made = { ...call, id: 'call_sluice_r_0', signature }
    const result = { type: 'toolResult', id: made.id, name: null, isError: false } as const
    const turns: Turn[] = [
      { role: 'assistant', parts: [made] },
      {
        role: 'user',
        parts: [
          {
            ...result,
            parts: [
              { type: 'text', text: 'r' },
              { type: 'image', source: { kind: 'data', mediaType: 'image/png', data: 'aGk=' } },
            ],
          },
        ],
      },
      { role: 'user', parts: [{ type: 'text', text: 'and?' }] },
    ]
    expect(encoded({ ...plain, turns }).body.contents).toEqual([
      { role: 'model', parts: [{ functionCall: { name: 'f', args: { a: 1 } }, thoughtSignature: 'own' }] },
      {
        role: 'user',
        parts: [
          { functionResponse: { name: 'f', response: { output: 'r' } } },
          { inlineData: { mimeType: 'image/png', data: 'aGk=' } },
          { text: 'and?' },
        ],
      },
    ])
  })

  it('says what it cannot express', () => {
    const image = (url: string) => ({ type: 'image', source: { kind: 'url', url } }) as const
    const { body, lost } = encoded({
      ...plain,
      turns: [
        { role: 'user', parts: [image('https://x/a.png?b=c'), image('https://x/a')] },
        { role: 'assistant', parts: [{ ...call, arguments: '[1', signature }] },
      ],
      tools: [{ name: 'f', description: null, parameters: null, strict: true }],
      parallelToolCalls: false,
      sampling: { ...plain.sampling, seed: 2 ** 40 },
      stop: ['1', '2', '3', '4', '5', '6'],
      user: 'u',
    })
    expect(body.contents[0].parts).toEqual([{ fileData: { mimeType: 'image/png', fileUri: 'https://x/a.png?b=c' } }])
    expect(lost.toSorted()).toEqual(['imageUrls', 'parallelToolCalls', 'seed', 'stop', 'strictTools', 'tools', 'user'])
  })

  it.each([
    ['gemini-3-pro-preview', { effort: 'minimal' }, { thinkingLevel: 'LOW' }, false],
    ['gemini-3-flash', { effort: 'minimal' }, { thinkingLevel: 'MINIMAL' }, false],
    ['gemini-3-flash', { effort: 'none' }, { thinkingLevel: 'MINIMAL' }, true],
    ['gemini-3-flash', { effort: 'xhigh', shown: true }, { thinkingLevel: 'HIGH', includeThoughts: true }, false],
    ['gemini-3-flash', { budgetTokens: 700 }, { thinkingBudget: 700 }, false],
    ['gemini-2.5-flash', { effort: 'none' }, { thinkingBudget: 0 }, false],
    ['gemini-2.5-pro', { effort: 'none' }, { thinkingBudget: 128 }, true],
    ['gemini-2.5-flash', { effort: 'medium' }, { thinkingBudget: 8_192 }, false],
    ['gemini-2.0-flash', { effort: 'high' }, undefined, true],
    ['gemini-2.0-flash', { effort: 'none' }, undefined, false],
    ['gemini-3-flash', {}, undefined, false],
  ] as const)('asks %s for reasoning %j as %j', (name, reasoning, config, isLost) => {
    const lost = new Set<never>()
    const whole = { effort: null, budgetTokens: null, shown: null, ...reasoning }
    expect(thinkingConfig(whole, name, lost).thinkingConfig).toEqual(config)
    expect(lost.size > 0).toBe(isLost)
  })
})

describe('reasoning of another protocol', () => {
  const thought: Thought = {
    ...{ type: 'thought', text: 'Ünï漢', encrypted: true },
    signature: { from: 'ANTHROPIC_MESSAGES', value: 'v+/=.x' },
  }

  it('is told as a signature in base64, and known again in either alphabet', () => {
    expect(tag(thought)).toMatch(/^c2x1aWNl[A-Za-z0-9+/]*=*$/)
    expect(untag(tag(thought))).toEqual(thought)
    expect(untag(tag(thought).replaceAll('+', '-').replaceAll('/', '_'))).toEqual(thought)
    expect(untag('AbC+/1=').signature).toEqual({ from: 'GEMINI_GENERATE', value: 'AbC+/1=' })
    expect(untag('c2x1aWNlXXXX').signature?.from).toBe('GEMINI_GENERATE')
  })

  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('comes back whole from a client that keeps parts (shown %s, streamed %s)', (includeThoughts, streamed) => {
    const request = admitted({ contents, generationConfig: { thinkingConfig: { includeThoughts } } }, streamed)
    const writer = geminiGenerate.writer(request)
    const choice = 0
    const events: NeutralEvent[] = [
      { type: 'start', id: 'i', model: 'm', createdS: null },
      { type: 'thought', choice, text: 'Ün' },
      { type: 'thought', choice, text: 'ï漢' },
      { type: 'signature', choice, signature: thought.signature!, encrypted: true },
      { type: 'text', choice, text: 'Let me\nlook' },
      { type: 'toolCall', choice, call: 0, id: 'a', name: 'f' },
      { type: 'arguments', choice, call: 0, json: '{"n":\n12345678901234567890,' },
      { type: 'arguments', choice, call: 0, json: '"x":1.0}' },
      { type: 'toolCall', choice, call: 1, id: 'b', name: 'g' },
      { type: 'finish', choice, reason: 'tool_calls' },
    ]
    const chunks = [...events.flatMap((event) => writer.write([event])), ...writer.end()]
    const told = Buffer.concat(chunks).toString()
    const answers = streamed
      ? told
          .split('\r\n\r\n')
          .filter(Boolean)
          .map((event) => JSON.parse(event.slice(6)))
      : [JSON.parse(told)]
    const parts = answers.flatMap(({ candidates }) => candidates[0].content.parts)
    expect(parts.some((part) => part.thought)).toBe(includeThoughts)
    expect(answers.at(-1).candidates[0].finishReason).toBe('STOP')
    const [turn] = neutral({ contents: [{ role: 'model', parts }] }).turns
    expect(turn!.parts[0]).toEqual(thought)
    expect(turn!.parts.slice(1)).toMatchObject([
      { type: 'text', text: 'Let me\nlook' },
      { type: 'toolCall', id: 'a', name: 'f' },
      { type: 'toolCall', id: 'b', name: 'g', arguments: '{}' },
    ])
  })

  it('leaves a call out whose arguments were cut off, and says so', () => {
    const writer = geminiGenerate.writer(admitted({ contents }))
    writer.write([
      { type: 'toolCall', choice: 0, call: 0, id: 'a', name: 'f' },
      { type: 'arguments', choice: 0, call: 0, json: '{"a":' },
      { type: 'finish', choice: 0, reason: 'length' },
    ])
    const [candidate] = JSON.parse(Buffer.concat(writer.end()).toString()).candidates
    expect(candidate).toMatchObject({ content: { parts: [] }, finishReason: 'MAX_TOKENS' })
    expect([...writer.lost]).toEqual(['functionCall'])
  })
})

describe('usage', () => {
  it('is disjoint: cached and audio are within the prompt, thoughts and tools beside', () => {
    const readings = readUsage({
      promptTokenCount: 100,
      cachedContentTokenCount: 40,
      toolUsePromptTokenCount: 7,
      candidatesTokenCount: 20,
      thoughtsTokenCount: 5,
      promptTokensDetails: [
        { modality: 'TEXT', tokenCount: 70 },
        { modality: 'AUDIO', tokenCount: 30 },
      ],
      cacheTokensDetails: [{ modality: 'AUDIO', tokenCount: 10 }],
      candidatesTokensDetails: [{ modality: 'AUDIO', tokenCount: 8 }],
    })!
    expect(readings.map(({ meter, quantity }) => [meter, quantity])).toEqual([
      ['INPUT_TOKENS', 47],
      ['CACHED_INPUT_TOKENS', 30],
      ['CACHED_AUDIO_INPUT_TOKENS', 10],
      ['AUDIO_INPUT_TOKENS', 20],
      ['OUTPUT_TOKENS', 12],
      ['REASONING_TOKENS', 5],
      ['AUDIO_OUTPUT_TOKENS', 8],
    ])
    expect(readUsage(writeUsage(readings))).toEqual(readings)
  })

  it.each([
    [undefined],
    [{}],
    [{ trafficType: 'ON_DEMAND' }],
    [{ promptTokenCount: 1, cachedContentTokenCount: 2 }],
    [{ promptTokenCount: -1 }],
    [{ promptTokenCount: 1e12 }],
    [{ promptTokenCount: '5' }],
  ])('is none where it cannot be: %j', (usage) => {
    expect(readUsage(usage)).toBeUndefined()
  })
})

describe('a ceiling', () => {
  const ceiling = (body: object) => geminiGenerate.ceiling(admitted(body), model)

  it('bounds what is seen by its bytes, and multiplies the output', () => {
    expect(ceiling({ contents })).toMatchObject({ inputTokens: 12, outputTokens: 200 })
    const image = { inlineData: { mimeType: 'image/png', data: 'x'.repeat(9_000) } }
    expect(
      ceiling({ contents: [{ parts: [image] }], generationConfig: { candidateCount: 3, maxOutputTokens: 5_000 } }),
    ).toMatchObject({
      outputTokens: 3_000,
    })
    expect(ceiling({ contents: [{ parts: [image] }] }).inputTokens).toBe(310)
  })

  it.each([
    [{ cachedContent: 'c' }],
    [{ contents: [{ parts: [{ fileData: { fileUri: 'https://x/y' } }] }] }],
    [{ contents: [{ parts: [{ inline_data: { mime_type: 'video/mp4', data: '' } }] }] }],
    [{ contents: [{ parts: [{ functionResponse: { name: 'f', parts: [{ fileData: {} }] } }] }] }],
    [{ tools: [{ googleSearch: {} }] }],
    [{ tools: [{ function_declarations: [], code_execution: {} }] }],
    [{ systemInstruction: { parts: [{ fileData: {} }] } }],
  ])('is the model’s whole context where something is not seen: %j', (body) => {
    expect(ceiling({ contents, ...body }).inputTokens).toBe(8_000)
  })

  it('does not trust an output limit for what is no text', () => {
    expect(
      ceiling({ contents, generationConfig: { maxOutputTokens: 5, responseModalities: ['IMAGE'] } }).outputTokens,
    ).toBe(1_000)
  })
})

it('reads Google’s schemas as JSON Schema', () => {
  const google = {
    type: 'OBJECT',
    properties: {
      min_items: { type: 'ARRAY', items: { type: 'STRING', nullable: true }, minItems: '2' },
      kind: {
        anyOf: [
          { type: 'INTEGER', format: 'int32' },
          { type: 'STRING', enum: ['a'] },
        ],
      },
    },
    required: ['kind'],
    propertyOrdering: ['kind', 'min_items'],
  }
  expect(jsonSchemaOf(google)).toEqual({
    type: 'object',
    properties: {
      min_items: { type: 'array', items: { type: ['string', 'null'] }, minItems: 2 },
      kind: {
        anyOf: [
          { type: 'integer', format: 'int32' },
          { type: 'string', enum: ['a'] },
        ],
      },
    },
    required: ['kind'],
  })
})
