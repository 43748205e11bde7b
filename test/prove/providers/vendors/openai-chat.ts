import { type Heard, nothingHeard, pieces, type Score, thought, thoughtSignature, type Usage } from '../scenes.ts'
import { bearer, openaiError, openaiErrorHeaders } from './openai-errors.ts'
import { dataUrl, firstHalf, type Json, parsed, sse, strangers, strictSchema, type Vendor } from './vendor.ts'

const members =
  'messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata ' +
  'modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options ' +
  'prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options ' +
  'temperature tool_choice tools top_logprobs top_p user verbosity web_search_options'

/** Chat completions as OpenAI serves them, which show no reasoning; `compatible` servers show it (DeepSeek, vLLM). */
export function openaiChatVendor(name: string, key: string, compatible: boolean): Vendor {
  return {
    name,
    kinds: ['fresh', 'cached', 'write5m', 'output', 'reasoning'],
    thoughtsShown: compatible,
    door: (request) => bearer(request, key, '/v1/chat/completions'),
    hear: (body) => hearChat(body, compatible),
    tell: tellChat,
    stream: streamChat,
    error: openaiError,
    errorHeaders: openaiErrorHeaders,
    streamType: 'text/event-stream; charset=utf-8',
  }
}

export function hearChat(body: Json, compatible: boolean): Heard {
  const heard = nothingHeard(body.stream === true)
  const { faults } = heard
  strangers(body, compatible ? `${members} top_k` : members, 'body', faults)
  if (!compatible && 'max_tokens' in body && /^(o\d|gpt-5)/.test(body.model))
    faults.push("'max_tokens' is not supported with this model. Use 'max_completion_tokens'")
  if (body.stream_options && !body.stream) faults.push('stream_options without stream')
  heard.thinks = body.reasoning_effort !== undefined
  heard.shows = compatible
  if (heard.thinks && body.temperature !== undefined && !compatible) faults.push('temperature with a reasoning model')
  for (const tool of body.tools ?? []) {
    strangers(tool, 'type function', 'tools', faults)
    strangers(tool.function, 'name description parameters strict', 'tools.function', faults)
    if (tool.function.strict) strictSchema(tool.function.parameters, faults)
    heard.tools.push({ name: tool.function.name, parameters: tool.function.parameters })
  }
  const format = body.response_format
  if (format?.type === 'json_schema') {
    strangers(format.json_schema, 'name description schema strict', 'response_format.json_schema', faults)
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(format.json_schema.name)) faults.push('response_format.json_schema.name')
    if (format.json_schema.strict) strictSchema(format.json_schema.schema, faults)
    heard.schema = format.json_schema.schema
  }
  hearMessages(body.messages, heard, compatible)
  return heard
}

function hearMessages(messages: Json[], heard: Heard, compatible: boolean): void {
  const { faults } = heard
  const open = new Map<string, string>()
  for (const [at, message] of messages.entries()) {
    const { role, content } = message
    if (open.size > 0 && role !== 'tool')
      faults.push(`messages[${at}]: tool calls were not answered: ${[...open.keys()]}`)
    if (role === 'system' || role === 'developer') heard.system += textOf(content)
    else if (role === 'user') hearUser(content, heard)
    else if (role === 'assistant') {
      strangers(
        message,
        `role content name refusal tool_calls audio${compatible ? ' reasoning_content' : ''}`,
        'assistant',
        faults,
      )
      heard.results = []
      if (compatible && message.reasoning_content) heard.thoughts.push(unsigned(message.reasoning_content))
      for (const call of message.tool_calls ?? []) {
        strangers(call, 'id type function', 'tool_calls', faults)
        open.set(call.id, call.function.name)
        heard.calls.push({ id: call.id, name: call.function.name, arguments: parsed(call.function.arguments, faults) })
      }
    } else if (role === 'tool') {
      // `name` is not in the reference, but taken; some clients send it.
      strangers(message, 'role content tool_call_id name', 'tool', faults)
      const name = open.get(message.tool_call_id)
      if (!name) faults.push(`messages[${at}]: no such tool call`)
      heard.results.push({ name: name ?? '', text: textOf(content) })
      open.delete(message.tool_call_id)
    } else faults.push(`messages[${at}]: role ${role}`)
  }
  if (open.size > 0) faults.push('the last tool calls were not answered')
}

/** These servers sign nothing: the text is all that comes back. */
const unsigned = (text: string) => ({ text, signature: text === thought ? thoughtSignature : '' })

const textOf = (content: Json): string =>
  typeof content === 'string' ? content : content.map((part: Json) => part.text ?? '').join('')

function hearUser(content: Json, heard: Heard): void {
  const parts = typeof content === 'string' ? [{ type: 'text', text: content }] : content
  for (const part of parts) {
    if (part.type === 'text') heard.userText += part.text
    else if (part.type === 'image_url') {
      strangers(part.image_url, 'url detail', 'image_url', heard.faults)
      heard.images.push(...dataUrl(part.image_url.url, heard.faults))
    } else heard.faults.push(`a user's part of type ${part.type}`)
  }
}

export function chatUsage({ fresh, cached, write5m, write1h, output, reasoning }: Usage): Json {
  const prompt = fresh + cached + write5m + write1h
  return {
    prompt_tokens: prompt,
    completion_tokens: output + reasoning,
    total_tokens: prompt + output + reasoning,
    prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: write5m, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoning, audio_tokens: 0 },
  }
}

const headOf = (object: string, model: string) => ({ id: 'chatcmpl-scripted', object, created: 1_790_000_000, model })

export function tellChat({ text, thought: shown, calls, usage }: Score, model: string): object {
  const message = {
    role: 'assistant',
    content: calls.length > 0 && !text ? null : text,
    refusal: null,
    ...(shown && { reasoning_content: shown }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: given }) => ({
        ...{ id, type: 'function', function: { name, arguments: JSON.stringify(given) } },
      })),
    }),
  }
  const choice = { index: 0, message, logprobs: null, finish_reason: calls.length > 0 ? 'tool_calls' : 'stop' }
  return { ...headOf('chat.completion', model), choices: [choice], usage: chatUsage(usage), service_tier: 'default' }
}

export function streamChat(score: Score, model: string): string[] {
  const { text, thought: shown, calls, usage, failure, cut } = score
  const chunk = (choices: object[], more: object = { usage: null }) =>
    sse({ ...headOf('chat.completion.chunk', model), choices, ...more })
  const delta = (given: object, reason: string | null = null) =>
    chunk([{ index: 0, delta: given, logprobs: null, finish_reason: reason }])
  const said = [
    delta({ role: 'assistant', content: calls.length > 0 ? null : '' }),
    ...pieces(shown).map((piece) => delta({ reasoning_content: piece })),
    ...pieces(text).map((piece) => delta({ content: piece })),
    ...calls.flatMap(({ id, name, arguments: given }, index) => [
      delta({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] }),
      ...pieces(JSON.stringify(given), 5).map((piece) =>
        delta({ tool_calls: [{ index, function: { arguments: piece } }] }),
      ),
    ]),
  ]
  if (cut) return firstHalf(said)
  if (failure) return [...firstHalf(said), sse(openaiError(failure))]
  const reason = calls.length > 0 ? 'tool_calls' : 'stop'
  return [...said, delta({}, reason), chunk([], { usage: chatUsage(usage) }), sse('[DONE]')]
}
