import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { type FieldTypes, wrongField, wrongType } from '../admission.ts'
import { entryOf, type Json, textOf } from '../json.ts'
import type { NeutralRequest, OutputFormat, Reasoning, Sampling, TextPart, Tool } from '../neutral.ts'
import { camel } from './names.ts'
import { readContents } from './read-contents.ts'
import type { GeminiRequest } from './request.ts'
import { jsonSchemaOf } from './schemas.ts'

/** What a neutral request is made from. */
const read = new Set('contents systemInstruction tools toolConfig generationConfig model'.split(' '))
const readConfig = new Set(
  `temperature topP topK seed candidateCount maxOutputTokens stopSequences responseMimeType responseSchema
  responseJsonSchema thinkingConfig responseLogprobs logprobs presencePenalty frequencyPenalty`.split(/\s+/),
)
/** Fields that change nothing of the answer. */
const incidental = new Set(['labels', 'store'])
/** Values that say what holds anyway, as JSON. */
const plainValues: Record<string, string[]> = {
  safetySettings: ['[]'],
  responseModalities: ['["TEXT"]', '[]'],
  serviceTier: ['"STANDARD"', '"standard"', '"SERVICE_TIER_UNSPECIFIED"'],
  mediaResolution: ['"MEDIA_RESOLUTION_UNSPECIFIED"'],
}

/** A generateContent request in the form between protocols (Gemini API reference, models.generateContent). */
export function readGeminiRequest({ body, config: written, streamed }: GeminiRequest): NeutralRequest | Refusal {
  const config = written?.body ?? {}
  const wrong = wrongType(body, types) ?? wrongType(config, configTypes, 'generationConfig.')
  if (wrong) return wrong
  const foreign: string[] = []
  const turns = readContents(body.contents, foreign)
  if (isRefusal(turns)) return turns
  const tools = readTools(body.tools ?? [], foreign)
  if (isRefusal(tools)) return tools
  const others = unreadFields(body, config)
  return {
    streamed,
    system: readSystem(body.systemInstruction, foreign),
    turns,
    tools,
    toolChoice: readToolChoice(body.toolConfig, tools, foreign),
    parallelToolCalls: null,
    output: readFormat(config, foreign),
    sampling: readSampling(config),
    maxOutputTokens: config.maxOutputTokens ?? null,
    stop: texts(config.stopSequences),
    choices: config.candidateCount ?? 1,
    reasoning: readReasoning(config.thinkingConfig, foreign),
    logprobs: config.responseLogprobs === true ? { top: number(config.logprobs) ?? 0 } : null,
    user: null,
    foreign: [...foreign, ...others.filter((name) => !incidental.has(name))],
    incidental: others.filter((name) => incidental.has(name)),
  }
}

const types: FieldTypes = { object: ['systemInstruction', 'toolConfig'] }
const configTypes: FieldTypes = {
  number: 'temperature topP topK seed presencePenalty frequencyPenalty logprobs'.split(' '),
  boolean: ['responseLogprobs'],
  texts: ['stopSequences'],
  object: ['thinkingConfig', 'responseSchema', 'responseJsonSchema'],
}

const texts = (value: unknown) => (Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [])
const number = (value: unknown) => (typeof value === 'number' ? value : null)

function unreadFields(body: Json, config: Json): string[] {
  const unread = (object: Json, known: Set<string>, prefix = '') =>
    Object.keys(object)
      .filter((name) => object[name] != null && !known.has(name) && !isPlain(name, object[name]))
      .map((name) => prefix + name)
  return [...unread(body, read), ...unread(config, readConfig, 'generationConfig.')]
}

function isPlain(name: string, value: unknown): boolean {
  return entryOf(plainValues, name)?.includes(JSON.stringify(value)) ?? false
}

function readSystem(instruction: unknown, foreign: string[]): TextPart[] {
  const { parts = [] } = camel(instruction)
  const system: TextPart[] = []
  for (const [index, part] of (Array.isArray(parts) ? parts : [parts]).entries()) {
    if (typeof part?.text === 'string') system.push({ type: 'text', text: part.text })
    else foreign.push(`systemInstruction.parts.${index}`)
  }
  return system
}

function readSampling(config: Json): Sampling {
  return {
    temperature: number(config.temperature),
    topP: number(config.topP),
    topK: number(config.topK),
    seed: number(config.seed),
    presencePenalty: number(config.presencePenalty),
    frequencyPenalty: number(config.frequencyPenalty),
  }
}

const levels: Record<string, Reasoning['effort']> = { MINIMAL: 'minimal', LOW: 'low', MEDIUM: 'medium', HIGH: 'high' }

/** A budget of 0 is no reasoning; -1 leaves it to the model, as saying nothing does. */
function readReasoning(given: unknown, foreign: string[]): Reasoning {
  const { thinkingBudget: budget, thinkingLevel, includeThoughts, ...others } = camel(given)
  foreign.push(...Object.keys(others).map((name) => `generationConfig.thinkingConfig.${name}`))
  const level = typeof thinkingLevel === 'string' ? (entryOf(levels, thinkingLevel.toUpperCase()) ?? null) : null
  return {
    effort: budget === 0 ? 'none' : level,
    budgetTokens: typeof budget === 'number' && budget > 0 ? budget : null,
    shown: typeof includeThoughts === 'boolean' ? includeThoughts : null,
  }
}

function readFormat(config: Json, foreign: string[]): OutputFormat {
  const type = config.responseMimeType ?? 'text/plain'
  const schema = config.responseJsonSchema ?? (config.responseSchema && jsonSchemaOf(config.responseSchema))
  if (type === 'application/json' && schema)
    return { type: 'schema', name: 'answer', description: null, schema, strict: null }
  if (type === 'application/json') return { type: 'json' }
  if (type !== 'text/plain') foreign.push('generationConfig.responseMimeType')
  return { type: 'text' }
}

function readToolChoice(config: unknown, tools: Tool[], foreign: string[]): NeutralRequest['toolChoice'] {
  const { functionCallingConfig, ...others } = camel(config)
  foreign.push(...Object.keys(others).map((name) => `toolConfig.${name}`))
  const { mode, allowedFunctionNames: allowed } = camel(functionCallingConfig)
  const names: unknown[] = Array.isArray(allowed) ? allowed : []
  if (mode === 'NONE') return 'none'
  if (mode === 'ANY' && names.length === 1) return { name: textOf(names[0]) }
  const all = tools.every(({ name }) => names.includes(name))
  if (names.length > 0 && !all) foreign.push('toolConfig.functionCallingConfig.allowedFunctionNames')
  return mode === 'ANY' ? 'required' : 'auto'
}

function readTools(tools: unknown[], foreign: string[]): Tool[] | Refusal {
  const known: Tool[] = []
  for (const [index, given] of tools.entries()) {
    const { functionDeclarations = [], ...others } = camel(given)
    for (const name of Object.keys(others)) if (others[name] != null) foreign.push(`tools.${index}.${name}`)
    if (!Array.isArray(functionDeclarations)) return wrongField(`tools.${index}.functionDeclarations`, 'must be a list')
    for (const [at, declared] of functionDeclarations.entries()) {
      const tool = readTool(camel(declared), `tools.${index}.functionDeclarations.${at}`, foreign)
      if (isRefusal(tool)) return tool
      known.push(tool)
    }
  }
  return known
}

function readTool(declared: Json, at: string, foreign: string[]): Tool | Refusal {
  const { name, description, parameters, parametersJsonSchema, ...others } = declared
  if (typeof name !== 'string') return wrongField(`${at}.name`, 'must be a name')
  const wrong = wrongType(declared, { object: ['parameters', 'parametersJsonSchema'] }, `${at}.`)
  if (wrong) return wrong
  for (const [other, value] of Object.entries(others)) if (value != null) foreign.push(`${at}.${other}`)
  return {
    name,
    description: typeof description === 'string' ? description : null,
    parameters: parametersJsonSchema ?? (parameters ? jsonSchemaOf(parameters) : null),
    strict: null,
  }
}
