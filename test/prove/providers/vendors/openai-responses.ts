import { type Failure, type Heard, nothingHeard, pieces, type Score, thoughtSignature, type Usage } from '../scenes.ts'
import { bearer, openaiError, openaiErrorHeaders } from './openai-errors.ts'
import { dataUrl, firstHalf, type Json, parsed, sse, strangers, strictSchema, type Vendor } from './vendor.ts'

const members =
  'background context_management conversation image include input instructions max_output_tokens max_tool_calls metadata model ' +
  'moderation parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention ' +
  'reasoning safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p ' +
  'truncation user'

export function openaiResponsesVendor(key: string): Vendor {
  return {
    name: 'responses',
    kinds: ['fresh', 'cached', 'write5m', 'output', 'reasoning'],
    thoughtsShown: true,
    door: (request) => bearer(request, key, '/v1/responses'),
    hear,
    tell: (score, model) => responseOf(score, model, 'completed'),
    stream,
    error: openaiError,
    errorHeaders: openaiErrorHeaders,
    streamType: 'text/event-stream; charset=utf-8',
  }
}

function hear(body: Json): Heard {
  const heard = nothingHeard(body.stream === true)
  const { faults } = heard
  strangers(body, members, 'body', faults)
  heard.system = body.instructions ?? ''
  heard.thinks = body.reasoning?.effort !== undefined || body.reasoning?.summary !== undefined
  heard.shows = body.reasoning?.summary !== undefined && body.reasoning.summary !== null
  if (body.reasoning) strangers(body.reasoning, 'effort summary generate_summary context', 'reasoning', faults)
  for (const tool of body.tools ?? []) {
    strangers(tool, 'type name description parameters strict', 'tools', faults)
    if (tool.strict) strictSchema(tool.parameters, faults)
    heard.tools.push({ name: tool.name, parameters: tool.parameters })
  }
  const format = body.text?.format
  if (format?.type === 'json_schema') {
    strangers(format, 'type name description schema strict', 'text.format', faults)
    if (format.strict) strictSchema(format.schema, faults)
    heard.schema = format.schema
  }
  if (typeof body.input === 'string') heard.userText = body.input
  else hearItems(body.input, heard)
  return heard
}

function hearItems(items: Json[], heard: Heard): void {
  const { faults } = heard
  const open = new Map<string, string>()
  for (const [at, item] of items.entries()) {
    const type = item.type ?? 'message'
    if (type === 'message') hearMessage(item, heard)
    else if (type === 'function_call') {
      heard.results = []
      open.set(item.call_id, item.name)
      heard.calls.push({ id: item.call_id, name: item.name, arguments: parsed(item.arguments, faults) })
    } else if (type === 'function_call_output') {
      const name = open.get(item.call_id)
      if (!name) faults.push(`No tool call found for function call output with call_id ${item.call_id}`)
      heard.results.push({
        name: name ?? '',
        text: typeof item.output === 'string' ? item.output : textOf(item.output),
      })
      open.delete(item.call_id)
    } else if (type === 'reasoning') {
      strangers(item, 'id type summary content encrypted_content status', 'reasoning', faults)
      if (!String(item.id).startsWith('rs_')) faults.push(`input[${at}].id: must begin with 'rs_'`)
      if (!Array.isArray(item.summary)) faults.push(`input[${at}].summary: missing`)
      const next = items[at + 1]?.type ?? 'message'
      if (next !== 'function_call' && next !== 'message') faults.push('a reasoning item without its following item')
      if (item.encrypted_content !== thoughtSignature) faults.push('The encrypted content could not be verified')
      heard.thoughts.push({ text: textOf(item.summary ?? []), signature: item.encrypted_content ?? '' })
    } else faults.push(`input[${at}]: type ${type}`)
  }
  if (open.size > 0) faults.push(`No tool output found for function call ${[...open.keys()]}`)
}

const textOf = (parts: Json[]): string => parts.map((part) => part.text ?? '').join('')

function hearMessage({ role, content }: Json, heard: Heard): void {
  const parts =
    typeof content === 'string'
      ? [{ type: role === 'assistant' ? 'output_text' : 'input_text', text: content }]
      : content
  for (const part of parts) {
    if (role === 'assistant' ? !/^(output_text|refusal)$/.test(part.type) : !/^input_(text|image)$/.test(part.type))
      heard.faults.push(`Invalid value: '${part.type}' in a message of ${role}`)
    else if (part.type === 'input_image') heard.images.push(...dataUrl(part.image_url, heard.faults))
    else if (role === 'user') heard.userText += part.text
    else if (role === 'system' || role === 'developer') heard.system += part.text
  }
}

function usageOf({ fresh, cached, write5m, write1h, output, reasoning }: Usage): Json {
  const input = fresh + cached + write5m + write1h
  return {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: write5m },
    output_tokens: output + reasoning,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + output + reasoning,
  }
}

function itemsOf({ text, reasoned, thought, calls }: Score): Json[] {
  const summary = thought ? [{ type: 'summary_text', text: thought }] : []
  const content = [{ type: 'output_text', text, annotations: [], logprobs: [] }]
  return [
    ...(reasoned ? [{ id: 'rs_1', type: 'reasoning', summary, encrypted_content: thoughtSignature }] : []),
    ...(text ? [{ id: 'msg_1', type: 'message', status: 'completed', role: 'assistant', content }] : []),
    ...calls.map(({ id, name, arguments: given }) => ({
      ...{ id: `fc_${id}`, type: 'function_call', status: 'completed', call_id: id, name },
      arguments: JSON.stringify(given),
    })),
  ]
}

function responseOf(score: Score, model: string, status: string, output = itemsOf(score), error: object | null = null) {
  return {
    ...{ id: 'resp_scripted', object: 'response', created_at: 1_790_000_000, status, background: false, error },
    ...{
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      model,
      output,
      parallel_tool_calls: true,
    },
    ...{
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      store: false,
      temperature: 1,
      metadata: {},
    },
    ...{ text: { format: { type: 'text' } }, tool_choice: 'auto', tools: [], top_p: 1, truncation: 'disabled' },
    usage: status === 'completed' ? usageOf(score.usage) : null,
  }
}

function stream(score: Score, model: string): string[] {
  const { failure, cut } = score
  const events: Json[] = [
    { type: 'response.created', response: responseOf(score, model, 'in_progress', []) },
    { type: 'response.in_progress', response: responseOf(score, model, 'in_progress', []) },
    ...itemsOf(score).flatMap((item, index) => eventsOf(item, index)),
  ]
  const told =
    cut || failure
      ? firstHalf(events)
      : [...events, { type: 'response.completed', response: responseOf(score, model, 'completed') }]
  if (failure) told.push(errorOf(failure), failedOf(score, model, failure))
  return told.map((event, at) => sse({ ...event, sequence_number: at }, event.type))
}

/** An `error` comes first, and then the response as it failed. */
const errorOf = ({ message }: Failure): Json => ({ type: 'error', code: 'server_error', message, param: null })

function failedOf(score: Score, model: string, { message }: Failure): Json {
  const error = { code: 'server_error', message }
  return { type: 'response.failed', response: responseOf(score, model, 'failed', [], error) }
}

function eventsOf(item: Json, output_index: number): Json[] {
  const at = { item_id: item.id, output_index }
  const added = { ...item, status: 'in_progress', ...emptied(item) }
  const middle: Record<string, () => Json[]> = {
    reasoning: () => summaryEvents(item.summary[0]?.text, { ...at, summary_index: 0 }),
    message: () => textEvents(item.content[0], { ...at, content_index: 0 }),
    function_call: () => [
      ...pieces(item.arguments, 5).map((delta) => ({ type: 'response.function_call_arguments.delta', ...at, delta })),
      { type: 'response.function_call_arguments.done', ...at, name: item.name, arguments: item.arguments },
    ],
  }
  return [
    { type: 'response.output_item.added', output_index, item: added },
    ...middle[item.type]!(),
    { type: 'response.output_item.done', output_index, item },
  ]
}

function emptied({ type }: Json): object {
  if (type === 'function_call') return { arguments: '' }
  return type === 'message' ? { content: [] } : { summary: [] }
}

function summaryEvents(text: string | undefined, at: object): Json[] {
  if (text === undefined) return []
  return [
    { type: 'response.reasoning_summary_part.added', ...at, part: { type: 'summary_text', text: '' } },
    ...pieces(text).map((delta) => ({ type: 'response.reasoning_summary_text.delta', ...at, delta })),
    { type: 'response.reasoning_summary_text.done', ...at, text },
    { type: 'response.reasoning_summary_part.done', ...at, part: { type: 'summary_text', text } },
  ]
}

function textEvents(part: Json, at: object): Json[] {
  return [
    { type: 'response.content_part.added', ...at, part: { ...part, text: '' } },
    ...pieces(part.text).map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text: part.text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part },
  ]
}
