import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogleGenerativeAI } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, jsonSchema, type LanguageModel, type ModelMessage, Output, streamText, tool } from 'ai'
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

/** The AI SDK with each of its vendor packages. */
export function aiClients({ origin, key }: Door): Client[] {
  const openai = createOpenAI({ baseURL: `${origin}/v1`, apiKey: key })
  const anthropic = createAnthropic({ baseURL: `${origin}/v1`, apiKey: key })
  const google = createGoogleGenerativeAI({ baseURL: `${origin}/v1beta`, apiKey: key })
  return [
    clientOf('chat', (name) => openai.chat(name)),
    clientOf('responses', (name) => openai.responses(name)),
    clientOf('anthropic', (name) => anthropic(name)),
    clientOf('gemini', (name) => google(name)),
  ]
}

type Call = (name: string) => LanguageModel

function clientOf(dialect: Client['dialect'], model: Call): Client {
  const leaves = { chat: ['shown', 'replayed'] as const, responses: ['unsigned'] as const, anthropic: [], gemini: [] }[
    dialect
  ]
  return { name: `ai ${dialect}`, dialect, leaves, headstrong: true, ask: (given) => ask(model, given, opening(given)) }
}

function opening(given: Ask): ModelMessage[] {
  const image = { type: 'file' as const, data: picture, mediaType: 'image/png' }
  return [
    { role: 'user', content: [{ type: 'text', text: wordsOf(given) }, ...(given.scene === 'image' ? [image] : [])] },
  ]
}

globalThis.AI_SDK_LOG_WARNINGS = false

const thinking = {
  openai: { reasoningEffort: 'medium', reasoningSummary: 'auto', forceReasoning: true, store: false },
  anthropic: { thinking: { type: 'enabled', budgetTokens: thinkingTokens } },
  google: { thinkingConfig: { includeThoughts: true, thinkingBudget: thinkingTokens } },
}

async function ask(model: Call, given: Ask, messages: ModelMessage[]): Promise<Told> {
  const offered = toolList.map(({ name, description, parameters }) => [
    name,
    tool({ description, inputSchema: jsonSchema(parameters as never) }),
  ])
  const params = {
    ...{ model: model(given.model), messages, instructions: system, maxOutputTokens: outputTokens },
    ...(wantsTools(given) && { tools: Object.fromEntries(offered) }),
    ...(given.scene === 'schema' && { output: Output.object({ schema: jsonSchema(schema as never) }) }),
    ...(given.scene === 'thinking' ? { providerOptions: thinking } : { providerOptions: { openai: { store: false } } }),
  }
  const { text, reasoningText, toolCalls, usage, response } = given.streamed
    ? await streamed(params)
    : await generateText(params)
  const calls = toolCalls.map(({ toolCallId, toolName, input }) => ({
    id: toolCallId,
    name: toolName,
    arguments: input,
  }))
  return {
    text,
    thought: reasoningText ?? '',
    calls,
    usage: {
      input: usage.inputTokens ?? 0,
      cached: usage.inputTokenDetails.cacheReadTokens ?? 0,
      output: usage.outputTokens ?? 0,
    },
    goOn: () => ask(model, given, [...messages, ...response.messages, { role: 'tool', content: calls.map(resultOf) }]),
  }
}

/** A stream read to its end; an error in it is thrown, as an application does. */
async function streamed(params: Parameters<typeof streamText>[0]) {
  let failed: unknown
  const result = streamText({
    ...params,
    onError: ({ error }) => {
      failed = error
    },
  })
  await result.consumeStream()
  if (failed) throw failed
  const { text, reasoningText, toolCalls, usage, response } = result
  return {
    ...{ text: await text, reasoningText: await reasoningText, toolCalls: await toolCalls },
    ...{ usage: await usage, response: await response },
  }
}

const resultOf = ({ id, name }: { id: string; name: string }) => ({
  ...{ type: 'tool-result' as const, toolCallId: id, toolName: name },
  output: { type: 'text' as const, value: results[name as ToolName] },
})
