import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { type FieldTypes, wrongField, wrongType } from '../admission.ts'
import { entryOf, isObject, type Json, textOf } from '../json.ts'
import type { NeutralRequest, OutputFormat, Part, TextPart, Tool, ToolResult, Turn } from '../neutral.ts'
import { isDetail, sourceOf } from '../openai-chat/read-request.ts'
import { untagSignature } from '../signatures.ts'
import type { ResponsesRequest } from './request.ts'

/** What a neutral request is made from, beside the items. */
const read = new Set(
  `model input instructions stream stream_options max_output_tokens tools tool_choice parallel_tool_calls text temperature top_p
  top_logprobs include reasoning user background store`.split(/\s+/),
)
/** Fields that change nothing of the answer. */
const incidental = new Set([
  'metadata',
  'prompt_cache_key',
  'prompt_cache_retention',
  'prompt_cache_options',
  'safety_identifier',
])
/** Values that say what holds anyway, as JSON. */
const plainValues: Record<string, string[]> = {
  service_tier: ['"auto"', '"default"'],
  truncation: ['"disabled"'],
  context_management: ['[]'],
}

/** A request for a response in the form between protocols. It is stateless there: what OpenAI stored cannot be had elsewhere. */
export function readResponsesRequest({ body, streamed }: ResponsesRequest): NeutralRequest | Refusal {
  const wrong = wrongTypes(body)
  if (wrong) return wrong
  const foreign: string[] = []
  const conversation = readInput(body, foreign)
  if (isRefusal(conversation)) return conversation
  const tools = readTools(body.tools ?? [], foreign)
  if (isRefusal(tools)) return tools
  // Unless it is asked for by name, a client that never comes back for it does not mind that nothing is stored.
  if (body.store === true) foreign.push('store')
  if (body.text?.verbosity != null && body.text.verbosity !== 'medium') foreign.push('text.verbosity')
  const others = Object.keys(body).filter((key) => body[key] != null && !read.has(key) && !isPlain(key, body[key]))
  return {
    streamed,
    ...conversation,
    tools,
    toolChoice: readToolChoice(body.tool_choice, foreign),
    parallelToolCalls: typeof body.parallel_tool_calls === 'boolean' ? body.parallel_tool_calls : null,
    output: readFormat(body.text?.format),
    sampling: {
      ...{ temperature: number(body.temperature), topP: number(body.top_p), topK: null, seed: null },
      ...{ presencePenalty: null, frequencyPenalty: null },
    },
    maxOutputTokens: number(body.max_output_tokens),
    stop: [],
    choices: 1,
    reasoning: readReasoning(body.reasoning),
    logprobs: readLogprobs(body, foreign),
    user: typeof body.user === 'string' ? body.user : null,
    foreign: [...foreign, ...others.filter((key) => !incidental.has(key))],
    incidental: others.filter((key) => incidental.has(key)),
  }
}

const types: FieldTypes = {
  number: ['temperature', 'top_p', 'top_logprobs'],
  boolean: ['parallel_tool_calls', 'store'],
  text: ['instructions', 'user'],
  object: ['text', 'reasoning'],
}

function wrongTypes(body: Json): Refusal | undefined {
  return (
    wrongType(body, types) ??
    wrongType(body.text, { object: ['format'] }, 'text.') ??
    wrongType(body.text?.format, { object: ['schema'], text: ['name', 'description'] }, 'text.format.')
  )
}

const isPlain = (key: string, value: unknown) => entryOf(plainValues, key)?.includes(JSON.stringify(value)) ?? false
const flag = (value: unknown) => (typeof value === 'boolean' ? value : null)
const number = (value: unknown) => (typeof value === 'number' ? value : null)

const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const

function readReasoning(reasoning: Json | null | undefined): NeutralRequest['reasoning'] {
  const effort = efforts.find((each) => each === reasoning?.effort) ?? null
  const summary = reasoning?.summary ?? reasoning?.generate_summary
  return { effort, budgetTokens: null, shown: summary == null ? null : true }
}

/** What `include` asks for of stored and server-side things has no form elsewhere. */
function readLogprobs(body: Json, foreign: string[]): NeutralRequest['logprobs'] {
  const include: unknown[] = Array.isArray(body.include) ? body.include : []
  const known = ['message.output_text.logprobs', 'reasoning.encrypted_content']
  if (include.some((each) => !known.includes(each as string))) foreign.push('include')
  const wanted = include.includes('message.output_text.logprobs') || number(body.top_logprobs) !== null
  return wanted ? { top: number(body.top_logprobs) ?? 0 } : null
}

function readFormat(format: Json | null | undefined): OutputFormat {
  if (format?.type === 'json_object') return { type: 'json' }
  if (format?.type !== 'json_schema') return { type: 'text' }
  const { name, description, schema, strict } = format
  return {
    type: 'schema',
    name: name ?? 'answer',
    description: description ?? null,
    schema: schema ?? {},
    strict: flag(strict),
  }
}

function readToolChoice(choice: unknown, foreign: string[]): NeutralRequest['toolChoice'] {
  if (choice == null) return 'auto'
  if (choice === 'auto' || choice === 'none' || choice === 'required') return choice
  const { type, name } = choice as Json
  if (type === 'function' && typeof name === 'string') return { name }
  foreign.push('tool_choice')
  return 'auto'
}

function readTools(tools: unknown[], foreign: string[]): Tool[] | Refusal {
  const known: Tool[] = []
  for (const [index, tool] of tools.entries()) {
    const { type, name, description, parameters, strict } = (tool ?? {}) as Json
    if (type !== 'function') foreign.push(`tools.${index}`)
    else if (typeof name !== 'string') return wrongField(`tools.${index}.name`, 'must be a name')
    else if (parameters != null && !isObject(parameters))
      return wrongField(`tools.${index}.parameters`, 'must be an object')
    else
      known.push({
        name,
        description: typeof description === 'string' ? description : null,
        parameters: parameters ?? null,
        strict: flag(strict),
      })
  }
  return known
}

function readInput(body: Json, foreign: string[]): Pick<NeutralRequest, 'system' | 'turns'> | Refusal {
  const system: TextPart[] = typeof body.instructions === 'string' ? [{ type: 'text', text: body.instructions }] : []
  if (typeof body.input === 'string')
    return { system, turns: [{ role: 'user', parts: [{ type: 'text', text: body.input }] }] }
  const turns: Turn[] = []
  for (const [index, item] of (body.input ?? []).entries()) {
    const turn = readItem((item ?? {}) as Json, `input.${index}`, foreign)
    if (isRefusal(turn)) return turn
    if (turn?.role === 'system' && turns.length === 0) system.push(...(turn.parts as TextPart[]))
    else if (turn) append(turns, turn)
  }
  return { system, turns: turns.map(withSignedCalls) }
}

/** Items of one speaker that follow each other are one turn: a thought, a message, calls. */
function append(turns: Turn[], turn: Turn): void {
  const last = turns.at(-1)
  const joins = last?.role === turn.role && turn.role !== 'system' && !startsAnew(last, turn)
  if (joins) last.parts.push(...turn.parts)
  else turns.push(turn)
}

/** A user's message behind tool results, or another message, stands for itself. */
function startsAnew(last: Turn, { role, parts }: Turn): boolean {
  const isResult = parts[0]?.type === 'toolResult'
  return role === 'user' && !(isResult && last.parts.every(({ type }) => type === 'toolResult'))
}

function readItem(item: Json, at: string, foreign: string[]): Turn | Refusal | undefined {
  const type = item?.type ?? 'message'
  if (type === 'message') return readMessage(item, at, foreign)
  if (type === 'function_call') return readCall(item, at)
  if (type === 'function_call_output') return readResult(item, at, foreign)
  if (type === 'reasoning') return { role: 'assistant', parts: [readThought(item)] }
  foreign.push(at)
  return undefined
}

function readMessage({ role, content }: Json, at: string, foreign: string[]): Turn | Refusal {
  const parts = readContent(content, `${at}.content`, foreign)
  if (isRefusal(parts)) return parts
  if (role === 'system' || role === 'developer')
    return { role: 'system', parts: parts.filter((part) => part.type === 'text') }
  if (role === 'user' || role === 'assistant') return { role, parts }
  return wrongField(`${at}.role`, 'must be user, assistant, system or developer')
}

function readCall({ call_id: id, name, arguments: text }: Json, at: string): Turn | Refusal {
  if (typeof id !== 'string') return wrongField(`${at}.call_id`, 'must be a text')
  if (typeof name !== 'string' || typeof text !== 'string')
    return wrongField(at, 'must have a name, and arguments as a text')
  return { role: 'assistant', parts: [{ type: 'toolCall', id, name, arguments: text }] }
}

function readResult({ call_id: id, output }: Json, at: string, foreign: string[]): Turn | Refusal {
  if (typeof id !== 'string') return wrongField(`${at}.call_id`, 'must name the call it answers')
  const read = readContent(output, `${at}.output`, foreign)
  if (isRefusal(read)) return read
  const parts = read.filter((part): part is ToolResult['parts'][number] => 'text image file'.includes(part.type))
  return { role: 'user', parts: [{ type: 'toolResult', id, name: null, parts, isError: false }] }
}

/** OpenAI's own reasoning is known by its id and its encrypted content, both of which it wants back. */
function readThought({ id, summary, content, encrypted_content: sealed }: Json): Part {
  const told: Json[] = [...(Array.isArray(summary) ? summary : []), ...(Array.isArray(content) ? content : [])]
  const text = told.flatMap((each) => (typeof each?.text === 'string' ? each.text : [])).join('\n\n')
  const tagged = typeof sealed === 'string' ? untagSignature(sealed) : undefined
  if (tagged) return { type: 'thought', text, signature: tagged.signature, encrypted: tagged.kind !== 'thought' }
  const value = typeof sealed === 'string' ? `${textOf(id)} ${sealed}` : null
  return {
    ...{ type: 'thought', text },
    signature: value === null ? null : { from: 'OPENAI_RESPONSES', value },
    encrypted: value !== null,
  }
}

/** A Gemini signature proves the call behind it; it comes back as an empty thought before that call. */
function withSignedCalls(turn: Turn): Turn {
  const parts: Part[] = []
  for (const part of turn.parts) {
    const before = parts.at(-1)
    const signs = before?.type === 'thought' && before.text === '' && before.signature?.from === 'GEMINI_GENERATE'
    if (part.type === 'toolCall' && signs) parts.splice(-1, 1, { ...part, signature: before.signature! })
    else parts.push(part)
  }
  return { ...turn, parts }
}

function readContent(content: unknown, at: string, foreign: string[]): Part[] | Refusal {
  if (content == null) return []
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return wrongField(at, 'must be a text or a list of parts')
  return content.flatMap((given: Json, index) => {
    const part = readPart(given)
    if (!part) foreign.push(`${at}.${index}`)
    return part ?? []
  })
}

function readPart(part: Json): Part | undefined {
  const { type, text } = part ?? {}
  if ((type === 'input_text' || type === 'output_text') && typeof text === 'string') return { type: 'text', text }
  if (type === 'refusal' && typeof part.refusal === 'string') return { type: 'refusal', text: part.refusal }
  if (type === 'input_image' && typeof part.image_url === 'string')
    return { type: 'image', source: sourceOf(part.image_url), ...(isDetail(part.detail) && { detail: part.detail }) }
  if (type === 'input_file') return readFile(part)
  return undefined
}

function readFile({ file_data: data, file_url: url, filename }: Json): Part | undefined {
  const address = typeof data === 'string' ? data : url
  if (typeof address !== 'string') return undefined
  const source = typeof data === 'string' ? sourceOf(data, 'application/pdf') : sourceOf(address)
  return { type: 'file', source, name: typeof filename === 'string' ? filename : null }
}
