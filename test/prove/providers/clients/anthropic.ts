import Anthropic from '@anthropic-ai/sdk'
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

type Messages = Anthropic.MessageParam[]

export function anthropicClient({ origin, key }: Door): Client {
  const anthropic = new Anthropic({ baseURL: origin, apiKey: key })
  return { name: 'anthropic', dialect: 'anthropic', ask: (given) => ask(anthropic, given, opening(given)) }
}

function opening(given: Ask): Messages {
  const source = { type: 'base64' as const, media_type: 'image/png' as const, data: picture }
  const image = given.scene === 'image' ? [{ type: 'image' as const, source }] : []
  return [{ role: 'user', content: [{ type: 'text', text: wordsOf(given) }, ...image] }]
}

async function ask(anthropic: Anthropic, given: Ask, messages: Messages): Promise<Told> {
  const params = {
    ...{ model: given.model, messages, max_tokens: outputTokens, system },
    ...(given.scene === 'thinking' && { thinking: { type: 'enabled' as const, budget_tokens: thinkingTokens } }),
    ...(wantsTools(given) && {
      tools: toolList.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters as never })),
    }),
    ...(given.scene === 'schema' && {
      output_config: { format: { type: 'json_schema' as const, schema: { ...schema } } },
    }),
  }
  const message = given.streamed
    ? await anthropic.messages.stream(params).finalMessage()
    : await anthropic.messages.create(params)
  const { content, usage } = message
  const calls = content.flatMap((block) =>
    block.type === 'tool_use' ? [{ id: block.id, name: block.name, arguments: block.input }] : [],
  )
  const cached = usage.cache_read_input_tokens ?? 0
  return {
    text: content.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    thought: content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join(''),
    calls,
    usage: {
      ...{ input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0), cached },
      output: usage.output_tokens,
    },
    goOn: () => ask(anthropic, given, [...messages, { role: 'assistant', content: content as never }, answer(calls)]),
  }
}

const answer = (calls: { id: string; name: string }[]): Messages[number] => ({
  role: 'user',
  content: calls.map(({ id, name }) => ({ type: 'tool_result', tool_use_id: id, content: results[name as ToolName] })),
})
