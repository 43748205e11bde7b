import OpenAI from 'openai'
import type { ResponseInput } from 'openai/resources/responses/responses'
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

export function openaiResponsesClient({ origin, key }: Door): Client {
  const openai = new OpenAI({ baseURL: `${origin}/v1`, apiKey: key })
  return { name: 'openai responses', dialect: 'responses', ask: (given) => ask(openai, given, opening(given)) }
}

function opening(given: Ask): ResponseInput {
  const image = { type: 'input_image' as const, image_url: `data:image/png;base64,${picture}`, detail: 'auto' as const }
  const content = [{ type: 'input_text' as const, text: wordsOf(given) }, ...(given.scene === 'image' ? [image] : [])]
  return [{ role: 'user', content }]
}

async function ask(openai: OpenAI, given: Ask, input: ResponseInput): Promise<Told> {
  const params = {
    ...{ model: given.model, input, instructions: system, max_output_tokens: outputTokens, store: false },
    ...(given.scene === 'thinking' && {
      ...{
        reasoning: { effort: 'medium' as const, summary: 'auto' as const },
        include: ['reasoning.encrypted_content' as const],
      },
    }),
    ...(wantsTools(given) && {
      tools: toolList.map((tool) => ({ type: 'function' as const, ...tool, strict: false }) as never),
    }),
    ...(given.scene === 'schema' && {
      text: { format: { type: 'json_schema' as const, name: 'weather', strict: true, schema: { ...schema } } },
    }),
  }
  const response = given.streamed
    ? await openai.responses.stream(params).finalResponse()
    : await openai.responses.create(params)
  const calls = response.output.flatMap((item) =>
    item.type === 'function_call' ? [{ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments) }] : [],
  )
  return {
    text: response.output_text,
    thought: response.output
      .flatMap((item) => (item.type === 'reasoning' ? item.summary.map(({ text }) => text) : []))
      .join(''),
    calls,
    usage: {
      input: response.usage?.input_tokens ?? 0,
      cached: response.usage?.input_tokens_details.cached_tokens ?? 0,
      output: response.usage?.output_tokens ?? 0,
    },
    goOn: () => ask(openai, given, [...input, ...response.output.map(sent), ...calls.map(resultOf)]),
  }
}

/** What the SDK itself adds to an item is not the API's. */
const sent = ({ parsed_arguments: _, ...item }: Json) => item

const resultOf = ({ id, name }: { id: string; name: string }) => ({
  ...{ type: 'function_call_output' as const, call_id: id, output: results[name as ToolName] },
})
