import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { type FieldTypes, wrongField, wrongType } from '../admission.ts'
import { entryOf, isObject, type Json } from '../json.ts'
import type { NeutralRequest, OutputFormat, Reasoning, TextPart, Tool, Turn } from '../neutral.ts'
import { cacheOf, readBlocks } from './read-blocks.ts'
import type { MessagesRequest } from './request.ts'

/** What a neutral request is made from. */
const read = new Set(
  `model messages system stream max_tokens stop_sequences temperature top_p top_k thinking tools tool_choice output_config
  output_format metadata`.split(/\s+/),
)
/** Fields that change nothing of the answer, or only what is kept, cached or told of it. */
const incidental = new Set(['cache_control', 'context_management', 'diagnostics', 'betas'])
/** Values that say what holds anyway, as JSON. */
const plainValues: Record<string, string[]> = {
  service_tier: ['"auto"', '"standard_only"'],
  speed: ['"standard"'],
  inference_geo: ['"global"'],
  mcp_servers: ['[]'],
  allowed_callers: ['["direct"]'],
}

/** A Messages request in the form between protocols (Claude API reference, "Create a Message"). */
export function readMessagesRequest({ body: typed, streamed }: MessagesRequest): NeutralRequest | Refusal {
  const body = typed as unknown as Json
  const wrong = wrongTypes(body)
  if (wrong) return wrong
  const foreign: string[] = []
  const ignored: string[] = []
  const system = readSystem(body.system, foreign)
  if (isRefusal(system)) return system
  const turns = readTurns(body.messages, foreign, ignored)
  if (isRefusal(turns)) return turns
  const tools = readTools(body.tools ?? [], foreign, ignored)
  if (isRefusal(tools)) return tools
  const others = Object.keys(body).filter((key) => body[key] != null && !read.has(key) && !isPlain(key, body[key]))
  // An answer of no tokens only warms the cache.
  if (body.max_tokens === 0) foreign.push('max_tokens')
  const { user_id: user, ...metadata } = body.metadata ?? {}
  ignored.push(...Object.keys(metadata).map((key) => `metadata.${key}`))
  return {
    streamed,
    system,
    turns,
    tools,
    ...readToolChoice(body.tool_choice, foreign),
    output: readFormat(body, foreign),
    sampling: {
      temperature: number(body.temperature),
      topP: number(body.top_p),
      topK: number(body.top_k),
      seed: null,
      presencePenalty: null,
      frequencyPenalty: null,
    },
    maxOutputTokens: number(body.max_tokens),
    stop: list(body.stop_sequences).filter((one): one is string => typeof one === 'string'),
    choices: 1,
    reasoning: readReasoning(body.thinking, body.output_config?.effort, foreign),
    logprobs: null,
    user: typeof user === 'string' ? user : null,
    foreign: [...foreign, ...others.filter((key) => !incidental.has(key))],
    incidental: [...ignored, ...others.filter((key) => incidental.has(key))],
  }
}

const types: FieldTypes = {
  number: ['temperature', 'top_p', 'top_k'],
  texts: ['stop_sequences'],
  object: ['metadata', 'tool_choice', 'output_config', 'output_format'],
}

function wrongTypes(body: Json): Refusal | undefined {
  return (
    wrongType(body, types) ??
    wrongType(body.metadata, { text: ['user_id'] }, 'metadata.') ??
    wrongType(body.thinking, { number: ['budget_tokens'] }, 'thinking.')
  )
}

function isPlain(key: string, value: unknown): boolean {
  return entryOf(plainValues, key)?.includes(JSON.stringify(value)) ?? false
}

const number = (value: unknown) => (typeof value === 'number' ? value : null)
const flag = (value: unknown) => (typeof value === 'boolean' ? value : null)
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : value == null ? [] : [value])

function readSystem(system: unknown, foreign: string[]): TextPart[] | Refusal {
  if (system == null || system === '') return []
  if (typeof system === 'string') return [{ type: 'text', text: system }]
  const parts = readBlocks(system, 'system', foreign, [])
  return isRefusal(parts) ? parts : parts.filter((part) => part.type === 'text')
}

function readTurns(messages: unknown[], foreign: string[], ignored: string[]): Turn[] | Refusal {
  const turns: Turn[] = []
  for (const [index, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as Json
    if (role !== 'user' && role !== 'assistant' && role !== 'system')
      return wrongField(`messages.${index}.role`, 'must be user, assistant or system')
    const parts = readBlocks(content, `messages.${index}.content`, foreign, ignored)
    if (isRefusal(parts)) return parts
    turns.push({ role, parts })
  }
  return turns
}

/** Tools of the client's own; those that the provider has a form of its own for are nobody else's. */
function readTools(tools: unknown[], foreign: string[], ignored: string[]): Tool[] | Refusal {
  const known: Tool[] = []
  for (const [index, tool] of tools.entries()) {
    const at = `tools.${index}`
    const given = (tool ?? {}) as Json
    if (given.type != null && given.type !== 'custom') {
      foreign.push(at)
      continue
    }
    if (typeof given.name !== 'string') return wrongField(`${at}.name`, 'must be a name')
    if (given.input_schema != null && !isObject(given.input_schema))
      return wrongField(`${at}.input_schema`, 'must be an object')
    noteToolFields(given, at, foreign, ignored)
    known.push({
      name: given.name,
      description: typeof given.description === 'string' ? given.description : null,
      parameters: given.input_schema ?? null,
      strict: flag(given.strict),
      ...cacheOf(given),
    })
  }
  return known
}

function noteToolFields(tool: Json, at: string, foreign: string[], ignored: string[]): void {
  for (const [key, value] of Object.entries(tool)) {
    if (toolFields.has(key) || value == null || isPlain(key, value)) continue
    const changesNothing = key === 'eager_input_streaming' || value === false
    if (changesNothing) ignored.push(`${at}.${key}`)
    else foreign.push(`${at}.${key}`)
  }
}

const toolFields = new Set(['type', 'name', 'description', 'input_schema', 'strict', 'cache_control'])

function readToolChoice(choice: Json | null | undefined, foreign: string[]) {
  const alone = flag(choice?.disable_parallel_tool_use)
  const parallelToolCalls = alone === null ? null : !alone
  return { toolChoice: choiceOf(choice, foreign), parallelToolCalls }
}

function choiceOf(choice: Json | null | undefined, foreign: string[]): NeutralRequest['toolChoice'] {
  if (choice == null || choice.type === 'auto') return 'auto'
  if (choice.type === 'none') return 'none'
  if (choice.type === 'any') return 'required'
  if (choice.type === 'tool' && typeof choice.name === 'string') return { name: choice.name }
  foreign.push('tool_choice')
  return 'auto'
}

/** The API holds its answer to the schema whatever is asked, so that strictness is asked for of others. */
function readFormat({ output_config: config, output_format: older }: Json, foreign: string[]): OutputFormat {
  for (const key of Object.keys(config ?? {}))
    if (key !== 'format' && key !== 'effort' && config[key] != null) foreign.push(`output_config.${key}`)
  const format = config?.format ?? older
  if (format == null) return { type: 'text' }
  if (format.type === 'json_schema' && isObject(format.schema))
    return { type: 'schema', name: 'answer', description: null, schema: format.schema, strict: true }
  foreign.push(config?.format ? 'output_config.format' : 'output_format')
  return { type: 'text' }
}

const efforts = ['low', 'medium', 'high', 'xhigh', 'max'] as const

/** `adaptive` leaves it to the model, as other protocols do where nothing is said; `effort` is for all that it writes. */
function readReasoning(thinking: Json | null | undefined, asked: unknown, foreign: string[]): Reasoning {
  const effort = efforts.find((each) => each === asked) ?? null
  const shown = thinking?.display == null ? null : thinking.display !== 'omitted'
  if (thinking?.type === 'enabled')
    return { effort, budgetTokens: number(thinking.budget_tokens), shown: shown ?? true }
  if (thinking?.type === 'disabled') return { effort: 'none', budgetTokens: null, shown: null }
  if (thinking?.type !== undefined && thinking.type !== 'adaptive') foreign.push('thinking')
  return { effort, budgetTokens: null, shown: thinking ? (shown ?? true) : null }
}
