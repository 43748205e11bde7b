import OpenAI, { AzureOpenAI } from 'openai'
import type { ChatCompletion, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { picture, results, schema, type ToolName } from '../scenes.ts'
import type { Json } from '../vendors/vendor.ts'
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

export function openaiChatClient({ origin, key }: Door): Client {
  const openai = new OpenAI({ baseURL: `${origin}/v1`, apiKey: key })
  return { name: 'openai chat', dialect: 'chat', ask: (given) => ask(openai, given, opening(given)) }
}

/** Azure's own client: the deployment in the path, an API version, the key in `api-key`. */
export function azureChatClient({ origin, key }: Door): Client {
  const openai = new AzureOpenAI({ endpoint: origin, apiKey: key, apiVersion: '2025-04-01-preview' })
  return { name: 'azure chat', dialect: 'chat', ask: (given) => ask(openai, given, opening(given)) }
}

function opening(given: Ask): ChatCompletionMessageParam[] {
  const text = { type: 'text' as const, text: wordsOf(given) }
  const image = { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${picture}` } }
  return [
    { role: 'system', content: system },
    { role: 'user', content: given.scene === 'image' ? [text, image] : text.text },
  ]
}

async function ask(openai: OpenAI, given: Ask, messages: ChatCompletionMessageParam[]): Promise<Told> {
  const params = {
    ...{ model: given.model, messages, max_completion_tokens: outputTokens },
    ...(given.scene === 'thinking' && { reasoning_effort: 'medium' as const }),
    ...(wantsTools(given) && {
      tools: toolList.map((tool) => ({ type: 'function' as const, function: { ...tool, strict: false } as never })),
    }),
    ...(given.scene === 'schema' && {
      response_format: {
        type: 'json_schema' as const,
        json_schema: { name: 'weather', strict: true, schema: { ...schema } },
      },
    }),
  }
  const { message, usage } = given.streamed
    ? await gathered(openai, params)
    : await openai.chat.completions
        .create(params)
        .then((answer) => ({ message: answer.choices[0]!.message as Json, usage: answer.usage }))
  const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: text } }: Json) => ({
    ...{ id, name, arguments: JSON.parse(text) },
  }))
  return {
    text: message.content ?? '',
    thought: message.reasoning_content ?? '',
    calls,
    usage: {
      input: usage?.prompt_tokens ?? 0,
      cached: usage?.prompt_tokens_details?.cached_tokens ?? 0,
      output: usage?.completion_tokens ?? 0,
    },
    goOn: () => ask(openai, given, [...messages, message, ...calls.map(resultOf)]),
  }
}

const resultOf = ({ id, name }: { id: string; name: ToolName }): ChatCompletionMessageParam => ({
  ...{ role: 'tool', tool_call_id: id, content: results[name] },
})

/** Chunks put together as applications do it that send reasoning back. */
async function gathered(openai: OpenAI, params: Json): Promise<{ message: Json; usage: ChatCompletion['usage'] }> {
  const message: Json = { role: 'assistant', content: null }
  let usage: ChatCompletion['usage']
  const stream = await openai.chat.completions.create({
    ...params,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const chunk of stream as unknown as AsyncIterable<Json>) {
    usage = chunk.usage ?? usage
    const delta: Json = chunk.choices[0]?.delta ?? {}
    for (const name of ['content', 'reasoning_content'])
      if (delta[name]) message[name] = (message[name] ?? '') + delta[name]
    if (delta.reasoning_details)
      message.reasoning_details = [...(message.reasoning_details ?? []), ...delta.reasoning_details]
    for (const { index, function: called, ...rest } of delta.tool_calls ?? []) {
      message.tool_calls ??= []
      message.tool_calls[index] ??= { ...rest, type: 'function', function: { name: '', arguments: '' } }
      message.tool_calls[index].function.name += called?.name ?? ''
      message.tool_calls[index].function.arguments += called?.arguments ?? ''
    }
  }
  return { message, usage }
}
