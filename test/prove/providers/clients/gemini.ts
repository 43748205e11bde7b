import { type Content, type FunctionCall, type GenerateContentResponse, GoogleGenAI, type Part } from '@google/genai'
import { picture, results, schema, type ToolName } from '../scenes.ts'
import {
  type Ask,
  type Client,
  type Door,
  outputTokens,
  system,
  type Told,
  thinkingTokens,
  toolList,
  wantsTools,
  wordsOf,
} from './client.ts'

export function geminiClient({ origin, key }: Door): Client {
  const google = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: origin } })
  return { name: 'google genai', dialect: 'gemini', ask: (given) => ask(google, given, opening(given)) }
}

function opening(given: Ask): Content[] {
  const image = given.scene === 'image' ? [{ inlineData: { mimeType: 'image/png', data: picture } }] : []
  return [{ role: 'user', parts: [{ text: wordsOf(given) }, ...image] }]
}

async function ask(google: GoogleGenAI, given: Ask, contents: Content[]): Promise<Told> {
  const declarations = toolList.map(({ parameters, ...tool }) => ({ ...tool, parametersJsonSchema: parameters }))
  const params = {
    ...{ model: given.model, contents },
    config: {
      ...{ systemInstruction: system, maxOutputTokens: outputTokens },
      ...(given.scene === 'thinking' && { thinkingConfig: { includeThoughts: true, thinkingBudget: thinkingTokens } }),
      ...(wantsTools(given) && { tools: [{ functionDeclarations: declarations }] }),
      ...(given.scene === 'schema' && { responseMimeType: 'application/json', responseJsonSchema: schema }),
    },
  }
  const parts: Part[] = []
  let usage: GenerateContentResponse['usageMetadata']
  const answers = given.streamed
    ? await google.models.generateContentStream(params)
    : [await google.models.generateContent(params)]
  for await (const { candidates, usageMetadata } of answers) {
    parts.push(...(candidates?.[0]?.content?.parts ?? []))
    usage = usageMetadata ?? usage
  }
  const called = parts.flatMap(({ functionCall }) => functionCall ?? [])
  const said = (isThought: boolean) =>
    parts.map(({ text, thought }) => (text && (thought ?? false) === isThought ? text : '')).join('')
  return {
    text: said(false),
    thought: said(true),
    calls: called.map(({ id, name, args }) => ({ id: id ?? '', name: name ?? '', arguments: args })),
    usage: {
      ...{ input: usage?.promptTokenCount ?? 0, cached: usage?.cachedContentTokenCount ?? 0 },
      output: (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
    },
    goOn: () =>
      ask(google, given, [...contents, { role: 'model', parts }, { role: 'user', parts: called.map(resultOf) }]),
  }
}

const resultOf = ({ id, name }: FunctionCall): Part => ({
  functionResponse: { ...(id && { id }), name, response: { output: results[name as ToolName] } },
})
