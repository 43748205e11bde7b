import type { Codec as CodecName } from '../../../schema/config/index.ts'
import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { type FieldTypes, wrongField, wrongType } from '../admission.ts'
import { entryOf, isObject, type Json } from '../json.ts'
import type {
  AudioPart,
  FilePart,
  ImagePart,
  NeutralRequest,
  OutputFormat,
  Part,
  Source,
  TextPart,
  Tool,
  ToolCall,
  Turn,
} from '../neutral.ts'
import { type ChatRequest, callerLimit } from './request.ts'

/** What a neutral request is made from, beside the messages. */
const read = new Set(
  `model messages stream stream_options max_tokens max_completion_tokens n tools tool_choice parallel_tool_calls
  response_format temperature top_p seed presence_penalty frequency_penalty stop reasoning_effort logprobs top_logprobs
  top_k user`.split(/\s+/),
)
/** Fields that change nothing of the answer. */
const incidental = new Set(['metadata', 'store', 'prompt_cache_key', 'prompt_cache_retention', 'safety_identifier'])
/** Values that say what holds anyway, as JSON. */
const plainValues: Record<string, string[]> = {
  service_tier: ['"auto"', '"default"'],
  modalities: ['["text"]'],
  verbosity: ['"medium"'],
  logit_bias: ['{}'],
}

/** A chat completion request in the form between protocols (OpenAI API reference, "Create chat completion"). */
export function readChatRequest({ body: typed, streamed }: ChatRequest): NeutralRequest | Refusal {
  const body = typed as Json
  const wrong = wrongTypes(body)
  if (wrong) return wrong
  const foreign: string[] = []
  const messages = readMessages(body.messages, foreign)
  if (isRefusal(messages)) return messages
  const tools = readTools(body.tools ?? [], foreign)
  if (isRefusal(tools)) return tools
  const others = Object.keys(body).filter((key) => body[key] != null && !read.has(key) && !isPlain(key, body[key]))
  return {
    streamed,
    ...messages,
    tools,
    toolChoice: readToolChoice(body.tool_choice, foreign),
    parallelToolCalls: flag(body.parallel_tool_calls),
    output: readFormat(body.response_format),
    sampling: {
      temperature: number(body.temperature),
      topP: number(body.top_p),
      topK: number(body.top_k),
      seed: number(body.seed),
      presencePenalty: number(body.presence_penalty),
      frequencyPenalty: number(body.frequency_penalty),
    },
    maxOutputTokens: callerLimit(typed) ?? null,
    stop: list(body.stop).filter((one): one is string => typeof one === 'string'),
    choices: body.n ?? 1,
    reasoning: { effort: readEffort(body.reasoning_effort), budgetTokens: null, shown: null },
    logprobs: body.logprobs === true ? { top: number(body.top_logprobs) ?? 0 } : null,
    user: typeof body.user === 'string' ? body.user : null,
    foreign: [...foreign, ...others.filter((key) => !incidental.has(key))],
    incidental: others.filter((key) => incidental.has(key)),
  }
}

const types: FieldTypes = {
  number: 'temperature top_p top_k seed presence_penalty frequency_penalty top_logprobs'.split(' '),
  boolean: ['parallel_tool_calls', 'logprobs'],
  text: ['user', 'reasoning_effort'],
  texts: ['stop'],
  object: ['response_format'],
}

function wrongTypes(body: Json): Refusal | undefined {
  const { response_format: format } = body
  return (
    wrongType(body, types) ??
    wrongType(format, { object: ['json_schema'] }, 'response_format.') ??
    wrongType(
      format?.json_schema,
      { object: ['schema'], text: ['name', 'description'] },
      'response_format.json_schema.',
    )
  )
}

function isPlain(key: string, value: unknown): boolean {
  return entryOf(plainValues, key)?.includes(JSON.stringify(value)) ?? false
}

const number = (value: unknown) => (typeof value === 'number' ? value : null)
const flag = (value: unknown) => (typeof value === 'boolean' ? value : null)
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value])

const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
const readEffort = (value: unknown) => efforts.find((effort) => effort === value) ?? null

function readFormat(format: Json | null | undefined): OutputFormat {
  if (format?.type === 'json_object') return { type: 'json' }
  const { name, description, schema, strict } = format?.json_schema ?? {}
  if (format?.type !== 'json_schema') return { type: 'text' }
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
  const name = (choice as Json).function?.name
  if (typeof name === 'string') return { name }
  foreign.push('tool_choice')
  return 'auto'
}

function readTools(tools: unknown[], foreign: string[]): Tool[] | Refusal {
  const known: Tool[] = []
  for (const [index, tool] of tools.entries()) {
    const { type, function: declared } = (tool ?? {}) as Json
    if (type !== 'function') foreign.push(`tools.${index}`)
    else if (typeof declared?.name !== 'string') return wrongField(`tools.${index}.function.name`, 'must be a name')
    else if (declared.parameters != null && !isObject(declared.parameters))
      return wrongField(`tools.${index}.function.parameters`, 'must be an object')
    else
      known.push({
        name: declared.name,
        description: typeof declared.description === 'string' ? declared.description : null,
        parameters: declared.parameters ?? null,
        strict: flag(declared.strict),
      })
  }
  return known
}

function readMessages(messages: unknown[], foreign: string[]): Pick<NeutralRequest, 'system' | 'turns'> | Refusal {
  const system: TextPart[] = []
  const turns: Turn[] = []
  for (const [index, message] of messages.entries()) {
    const turn = readMessage(message as Json, `messages.${index}`, foreign)
    if (isRefusal(turn)) return turn
    if (turn.role === 'system' && turns.length === 0) system.push(...(turn.parts as TextPart[]))
    else turns.push(turn)
  }
  return { system, turns }
}

function readMessage(message: Json, at: string, foreign: string[]): Turn | Refusal {
  const role = message?.role
  if (role === 'tool') return readToolMessage(message, at, foreign)
  const parts = readContent(message?.content, `${at}.content`, foreign)
  if (isRefusal(parts)) return parts
  if (role === 'system' || role === 'developer') return { role: 'system', parts: parts.filter(isText) }
  if (role === 'user') return { role, parts }
  if (role === 'assistant') return readAssistant(message, parts, at, foreign)
  return wrongField(`${at}.role`, 'must be system, developer, user, assistant or tool')
}

const isText = (part: Part): part is TextPart => part.type === 'text'

function readToolMessage(message: Json, at: string, foreign: string[]): Turn | Refusal {
  if (typeof message.tool_call_id !== 'string') return wrongField(`${at}.tool_call_id`, 'must name the call it answers')
  const parts = readContent(message.content, `${at}.content`, foreign)
  if (isRefusal(parts)) return parts
  const result = { type: 'toolResult', id: message.tool_call_id, name: null, isError: false } as const
  return { role: 'user', parts: [{ ...result, parts: parts.filter(isText) }] }
}

/** Reasoning stands in `reasoning_details` as the gateway tells it, or in `reasoning_content` as DeepSeek and vLLM do. */
function readAssistant(message: Json, parts: Part[], at: string, foreign: string[]): Turn | Refusal {
  if (message.audio != null) foreign.push(`${at}.audio`)
  if (message.function_call != null) foreign.push(`${at}.function_call`)
  const calls = list(message.tool_calls).map((call, index) => readCall(call as Json, `${at}.tool_calls.${index}`))
  const bad = calls.find(isRefusal)
  if (bad) return bad
  const refusal = typeof message.refusal === 'string' ? [{ type: 'refusal', text: message.refusal } as const] : []
  return { role: 'assistant', parts: [...readThoughts(message), ...parts, ...refusal, ...(calls as ToolCall[])] }
}

function readCall(call: Json, at: string): ToolCall | Refusal {
  const { name, arguments: text } = call?.function ?? {}
  if (typeof call?.id !== 'string') return wrongField(`${at}.id`, 'must be a text')
  if (typeof name !== 'string' || typeof text !== 'string')
    return wrongField(`${at}.function`, 'must have a name, and arguments as a text')
  const value = call.extra_content?.google?.thought_signature
  const signature = typeof value === 'string' && { signature: { from: 'GEMINI_GENERATE' as const, value } }
  return { type: 'toolCall', id: call.id, name, arguments: text, ...signature }
}

function readThoughts(message: Json): Part[] {
  const details = list(message.reasoning_details) as Json[]
  const text = typeof message.reasoning_content === 'string' ? message.reasoning_content : ''
  if (details.length === 0) return text ? [{ type: 'thought', text, signature: null, encrypted: false }] : []
  return details.map((detail) => {
    const value = detail?.signature ?? detail?.data
    return {
      type: 'thought',
      text: typeof detail?.text === 'string' ? detail.text : '',
      signature: typeof value === 'string' ? { from: String(detail.format) as CodecName, value } : null,
      encrypted: detail?.type === 'reasoning.encrypted',
    }
  })
}

function readContent(content: unknown, at: string, foreign: string[]): Part[] | Refusal {
  if (content == null) return []
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return wrongField(at, 'must be a text or a list of parts')
  const parts: Part[] = []
  for (const [index, given] of content.entries()) {
    const part = readPart(given as Json)
    if (part) parts.push(part)
    else foreign.push(`${at}.${index}`)
  }
  return parts
}

function readPart(part: Json): Part | undefined {
  if (part?.type === 'text' && typeof part.text === 'string') return { type: 'text', text: part.text }
  if (part?.type === 'refusal' && typeof part.refusal === 'string') return { type: 'refusal', text: part.refusal }
  if (part?.type === 'image_url') return readImage(part.image_url)
  if (part?.type === 'input_audio') return readAudio(part.input_audio)
  if (part?.type === 'file') return readFile(part.file)
  return undefined
}

function readImage(image: Json | undefined): ImagePart | undefined {
  if (typeof image?.url !== 'string') return undefined
  return { type: 'image', source: sourceOf(image.url), ...(isDetail(image.detail) && { detail: image.detail }) }
}

function readAudio(audio: Json | undefined): AudioPart | undefined {
  if (typeof audio?.data !== 'string' || typeof audio.format !== 'string') return undefined
  return { type: 'audio', data: audio.data, format: audio.format }
}

function readFile(file: Json | undefined): FilePart | undefined {
  if (typeof file?.file_data !== 'string') return undefined
  const source = sourceOf(file.file_data, 'application/pdf')
  return { type: 'file', source, name: typeof file.filename === 'string' ? file.filename : null }
}

const dataUrl = /^data:([^;,]{1,100})?(?:;[^;,]{1,100})*;base64,/

/** A `data:` URL as its bytes; any other as an address. Bare base64 is taken where `bare` says of what. */
export function sourceOf(url: string, bare?: string): Source {
  const match = dataUrl.exec(url.slice(0, 300))
  if (match) return { kind: 'data', mediaType: match[1] ?? 'text/plain', data: url.slice(match[0].length) }
  return bare && !/^https?:/.test(url) ? { kind: 'data', mediaType: bare, data: url } : { kind: 'url', url }
}

/** `auto` is what holds anyway. */
export const isDetail = (value: unknown): value is 'low' | 'high' => value === 'low' || value === 'high'
