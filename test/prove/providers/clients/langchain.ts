import {
  AIMessage,
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
} from '@langchain/core/messages'
import { concat } from '@langchain/core/utils/stream'
import { ChatOpenAI } from '@langchain/openai'
import { picture, results, schema, type ToolName } from '../scenes.ts'
import {
  type Ask,
  type Client,
  type Door,
  outputTokens,
  system,
  type Told,
  toolList,
  wantsTools,
  wordsOf,
} from './client.ts'

/** LangChain's OpenAI package, over chat completions and over responses. */
export function langchainClients({ origin, key }: Door, maxRetries?: number): Client[] {
  const clientOf = (dialect: 'chat' | 'responses'): Client => ({
    name: `langchain ${dialect}`,
    dialect,
    leaves: dialect === 'chat' ? ['shown', 'replayed'] : [],
    headstrong: true,
    ask: (given) => ask(modelOf({ origin, key }, given, dialect, maxRetries), given, opening(given)),
  })
  return [clientOf('chat'), clientOf('responses')]
}

function modelOf({ origin, key }: Door, given: Ask, dialect: 'chat' | 'responses', maxRetries?: number): ChatOpenAI {
  const isThinking = given.scene === 'thinking'
  return new ChatOpenAI({
    ...{ model: given.model, apiKey: key, configuration: { baseURL: `${origin}/v1` }, maxTokens: outputTokens },
    ...(maxRetries !== undefined && { maxRetries }),
    ...(dialect === 'responses' && { useResponsesApi: true, zdrEnabled: true }),
    ...(isThinking && { reasoning: { effort: 'medium', ...(dialect === 'responses' && { summary: 'auto' }) } }),
  })
}

function opening(given: Ask): BaseMessage[] {
  const text = { type: 'text' as const, text: wordsOf(given) }
  const image = { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${picture}` } }
  return [new SystemMessage(system), new HumanMessage({ content: given.scene === 'image' ? [text, image] : text.text })]
}

async function ask(model: ChatOpenAI, given: Ask, messages: BaseMessage[]): Promise<Told> {
  const options = {
    ...(wantsTools(given) && {
      tools: toolList.map((tool) => ({ type: 'function' as const, function: tool as never })),
      strict: false,
    }),
    ...(given.scene === 'schema' && {
      response_format: {
        type: 'json_schema' as const,
        json_schema: { name: 'weather', strict: true, schema: { ...schema } },
      },
    }),
  }
  const message = given.streamed ? await gathered(model, messages, options) : await model.invoke(messages, options)
  const calls = (message.tool_calls ?? []).map(({ id, name, args }) => ({ id: id ?? '', name, arguments: args }))
  const usage = message.usage_metadata
  return {
    text: message.text,
    thought: thoughtOf(message),
    calls,
    usage: {
      ...{ input: usage?.input_tokens ?? 0, cached: usage?.input_token_details?.cache_read ?? 0 },
      output: usage?.output_tokens ?? 0,
    },
    goOn: () => ask(model, given, [...messages, message, ...calls.map(resultOf)]),
  }
}

async function gathered(model: ChatOpenAI, messages: BaseMessage[], options: object): Promise<AIMessage> {
  let whole: AIMessageChunk | undefined
  for await (const chunk of await model.stream(messages, options)) whole = whole ? concat(whole, chunk) : chunk
  return whole ?? new AIMessage('')
}

/** Of several reasoning items the last stands in `additional_kwargs`; the answer's own items have all of them. */
function thoughtOf({ additional_kwargs: more, response_metadata: metadata }: AIMessage): string {
  const items = (metadata.output ?? [more.reasoning]) as ({ type: string; summary?: { text: string }[] } | undefined)[]
  return items.flatMap((item) => (item?.summary ?? []).map(({ text }) => text)).join('')
}

const resultOf = ({ id, name }: { id: string; name: string }) =>
  new ToolMessage({ content: results[name as ToolName], tool_call_id: id, name })
