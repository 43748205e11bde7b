import { type Failure, type Heard, nothingHeard, pieces, type Score, thoughtSignature, type Usage } from '../scenes.ts'
import { openaiErrorHeaders } from './openai-errors.ts'
import { firstHalf, type Json, sse, strangers, type Vendor, type Wrong } from './vendor.ts'

const members =
  'model messages max_tokens cache_control container diagnostics inference_geo metadata output_config service_tier speed ' +
  'stop_sequences stream system temperature thinking tool_choice tools top_k top_p user_profile_id workspace_id'

export function anthropicVendor(key: string): Vendor {
  return {
    name: 'anthropic',
    kinds: ['fresh', 'cached', 'write5m', 'write1h', 'output', 'reasoning'],
    thoughtsShown: true,
    door: (request) => door(request, key),
    hear,
    tell: ({ usage, ...score }, model) => ({
      ...messageOf(model, blocksOf(score)),
      ...{ stop_reason: score.calls.length > 0 ? 'tool_use' : 'end_turn', usage: usageOf(usage) },
    }),
    stream,
    error,
    errorHeaders: openaiErrorHeaders,
    streamType: 'text/event-stream; charset=utf-8',
  }
}

function door(request: Request, key: string): Wrong | undefined {
  const { pathname } = new URL(request.url)
  if (pathname !== '/v1/messages') return { status: 404, message: `Not found: ${pathname}` }
  if (request.headers.get('x-api-key') !== key) return { status: 401, message: 'invalid x-api-key' }
  if (request.headers.has('authorization')) return { status: 400, message: 'an authorization header came through' }
  // The API's versions, of which the SDK says the newer one.
  if (!/^(2023-06-01|2026-10-21)$/.test(request.headers.get('anthropic-version') ?? ''))
    return { status: 400, message: 'anthropic-version: header is required' }
  return undefined
}

function hear(body: Json): Heard {
  const heard = nothingHeard(body.stream === true)
  const { faults } = heard
  strangers(body, members, 'body', faults)
  if (!Number.isInteger(body.max_tokens)) faults.push('max_tokens: Field required')
  heard.system =
    typeof body.system === 'string' ? body.system : (body.system ?? []).map((block: Json) => block.text).join('')
  heard.thinks = body.thinking?.type === 'enabled' || body.thinking?.type === 'adaptive'
  heard.shows = body.thinking?.display !== 'omitted'
  if (body.thinking?.type === 'enabled') hearBudget(body, faults)
  for (const tool of body.tools ?? []) {
    strangers(
      tool,
      'name description input_schema cache_control strict type eager_input_streaming defer_loading allowed_callers input_examples',
      'tools',
      faults,
    )
    if (tool.input_schema?.type !== 'object') faults.push('tools.input_schema.type: Field required')
    heard.tools.push({ name: tool.name, parameters: tool.input_schema })
  }
  if (body.output_config) strangers(body.output_config, 'effort format task_budget', 'output_config', faults)
  if (body.output_config?.format) heard.schema = body.output_config.format.schema
  hearMessages(body.messages, heard)
  return heard
}

function hearBudget({ thinking, max_tokens, temperature, tool_choice: choice }: Json, faults: string[]): void {
  if (!(thinking.budget_tokens >= 1_024)) faults.push('thinking.budget_tokens: must be at least 1024')
  if (thinking.budget_tokens >= max_tokens) faults.push('`max_tokens` must be greater than `thinking.budget_tokens`')
  if (temperature !== undefined && temperature !== 1) faults.push('`temperature` may only be set to 1 when thinking')
  if (choice?.type === 'any' || choice?.type === 'tool')
    faults.push('Thinking may not be enabled when tool_choice forces tool use')
}

function hearMessages(messages: Json[], heard: Heard): void {
  const { faults } = heard
  if (messages[0]?.role !== 'user') faults.push('messages: first message must use the "user" role')
  let open = new Map<string, string>()
  for (const [at, { role, content, ...rest }] of messages.entries()) {
    strangers(rest, '', `messages.${at}`, faults)
    const blocks: Json[] = typeof content === 'string' ? [{ type: 'text', text: content }] : content
    if (blocks.length === 0) faults.push(`messages.${at}: content must be non-empty`)
    const answered = new Set<string>()
    for (const block of blocks) {
      if (role === 'assistant') hearAssistant(block, heard, open)
      else hearUser(block, heard, open, answered)
    }
    if (role === 'assistant') continue
    const missing = [...open.keys()].filter((id) => !answered.has(id))
    if (missing.length > 0) faults.push(`messages.${at}: \`tool_use\` ids without \`tool_result\` blocks: ${missing}`)
    open = new Map()
  }
  if (open.size > 0) faults.push('the last tool_use was not answered')
}

function hearAssistant(block: Json, heard: Heard, open: Map<string, string>): void {
  const { faults } = heard
  heard.results = []
  if (block.type === 'thinking') {
    strangers(block, 'type thinking signature', 'thinking', faults)
    if (block.signature !== thoughtSignature) faults.push('Invalid `signature` in `thinking` block')
    heard.thoughts.push({ text: block.thinking, signature: block.signature })
  } else if (block.type === 'tool_use') {
    strangers(block, 'type id name input cache_control caller', 'tool_use', faults)
    if (!/^[a-zA-Z0-9_-]+$/.test(block.id)) faults.push('tool_use.id: String should match pattern')
    if (typeof block.input !== 'object') faults.push('tool_use.input: Input should be a valid dictionary')
    open.set(block.id, block.name)
    heard.calls.push({ id: block.id, name: block.name, arguments: block.input })
  } else if (block.type !== 'text') faults.push(`an assistant's block of type ${block.type}`)
  else if (!block.text) faults.push('text content blocks must be non-empty')
}

function hearUser(block: Json, heard: Heard, open: Map<string, string>, answered: Set<string>): void {
  const { faults } = heard
  if (block.type === 'text') {
    strangers(block, 'type text cache_control citations', 'text', faults)
    heard.userText += block.text
  } else if (block.type === 'image') {
    const { type, media_type: mediaType, data } = block.source
    if (type !== 'base64') faults.push(`an image whose source is ${type}`)
    else heard.images.push({ mediaType, data })
  } else if (block.type === 'tool_result') {
    strangers(block, 'type tool_use_id content is_error cache_control', 'tool_result', faults)
    const name = open.get(block.tool_use_id)
    if (!name) faults.push(`unexpected \`tool_use_id\` ${block.tool_use_id}`)
    answered.add(block.tool_use_id)
    const { content } = block
    const text = typeof content === 'string' ? content : (content ?? []).map((part: Json) => part.text).join('')
    heard.results.push({ name: name ?? '', text })
  } else faults.push(`a user's block of type ${block.type}`)
}

function usageOf({ fresh, cached, write5m, write1h, output, reasoning }: Usage): Json {
  return {
    input_tokens: fresh,
    cache_creation_input_tokens: write5m + write1h,
    cache_read_input_tokens: cached,
    cache_creation: { ephemeral_5m_input_tokens: write5m, ephemeral_1h_input_tokens: write1h },
    output_tokens: output + reasoning,
    output_tokens_details: { thinking_tokens: reasoning },
    server_tool_use: null,
    service_tier: 'standard',
  }
}

function messageOf(model: string, content: Json[]): object {
  return {
    id: 'msg_scripted',
    type: 'message',
    role: 'assistant',
    model,
    content,
    stop_reason: null,
    stop_sequence: null,
  }
}

function blocksOf({ reasoned, thought, text, calls }: Omit<Score, 'usage'>): Json[] {
  return [
    ...(reasoned ? [{ type: 'thinking', thinking: thought, signature: thoughtSignature }] : []),
    ...(text ? [{ type: 'text', text }] : []),
    ...calls.map(({ id, name, arguments: input }) => ({ type: 'tool_use', id: `toolu_${id}`, name, input })),
  ]
}

function stream(score: Score, model: string): string[] {
  const { usage, calls, failure, cut } = score
  const begun = { ...usageOf(usage), output_tokens: 1, output_tokens_details: null }
  const events: Json[] = [
    { type: 'message_start', message: { ...messageOf(model, []), usage: begun } },
    ...blocksOf(score).flatMap(blockEvents),
  ]
  events.splice(2, 0, { type: 'ping' })
  const rest = [
    {
      type: 'message_delta',
      delta: { stop_reason: calls.length > 0 ? 'tool_use' : 'end_turn', stop_sequence: null },
      usage: usageOf(usage),
    },
    { type: 'message_stop' },
  ]
  const told = cut || failure ? firstHalf(events) : [...events, ...rest]
  if (failure) told.push(error(failure))
  return told.map((event) => sse(event, event.type))
}

function blockEvents(block: Json, index: number): Json[] {
  const delta = (given: object) => ({ type: 'content_block_delta', index, delta: given })
  const start = (content_block: object) => ({ type: 'content_block_start', index, content_block })
  const stop = { type: 'content_block_stop', index }
  if (block.type === 'thinking')
    return [
      start({ type: 'thinking', thinking: '', signature: '' }),
      ...pieces(block.thinking).map((thinking) => delta({ type: 'thinking_delta', thinking })),
      delta({ type: 'signature_delta', signature: block.signature }),
      stop,
    ]
  if (block.type === 'text')
    return [
      start({ type: 'text', text: '' }),
      ...pieces(block.text).map((text) => delta({ type: 'text_delta', text })),
      stop,
    ]
  const json = pieces(JSON.stringify(block.input), 5)
  return [
    start({ ...block, input: {} }),
    ...json.map((partial_json) => delta({ type: 'input_json_delta', partial_json })),
    stop,
  ]
}

const types: Record<number, string> = {
  ...{ 400: 'invalid_request_error', 401: 'authentication_error', 402: 'billing_error', 403: 'permission_error' },
  ...{ 404: 'not_found_error', 429: 'rate_limit_error', 504: 'timeout_error', 529: 'overloaded_error' },
}

function error({ status, message }: Failure): object {
  return { type: 'error', error: { type: types[status] ?? 'api_error', message }, request_id: 'req_scripted' }
}
