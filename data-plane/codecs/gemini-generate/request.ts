import { isRefusal, type Refusal, refuse } from '../../../schema/refusals.ts'
import { editMembers } from '../../json-members.ts'
import { wrongField } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import type { Feature } from '../neutral.ts'
import { camel, type ProtoBody, readProtoBody } from './names.ts'
import { geminiPath } from './paths.ts'
import { untagContents } from './signatures.ts'

/** How an answer is told: one object, server-sent events, or a list whose elements come one by one. */
export type Framing = 'plain' | 'sse' | 'array'

export interface GeminiRequest extends AdmittedRequest {
  read: ProtoBody
  /** The body's members under camelCase names. */
  body: Json
  /** `generationConfig` as the client wrote it; undefined where it did not. */
  config: ProtoBody | undefined
  framing: Framing
  /** Answers wanted. */
  candidates: number
}

/** Members whose second or look-alike spelling would be another request than the one admitted. */
const ownMembers = [
  'contents',
  'systemInstruction',
  'tools',
  'toolConfig',
  'generationConfig',
  'safetySettings',
  'cachedContent',
  'generateContentRequest',
  'serviceTier',
  'model',
]
const ownConfig = ['maxOutputTokens', 'candidateCount', 'responseModalities', 'thinkingConfig']

/** Reads a request of models.generateContent, streamGenerateContent or countTokens (Gemini API reference). */
export function admitGemini(text: string, call: Call): GeminiRequest | Refusal {
  const framing = framingOf(call)
  if (isRefusal(framing)) return framing
  const read = readProtoBody(text, ownMembers)
  if (isRefusal(read)) return read
  const config = configOf(read)
  if (isRefusal(config)) return config
  const wrong = firstWrongField(read.body, config?.body ?? {}, call)
  if (wrong) return wrong
  return {
    alias: call.model!,
    operation: call.operation,
    streamed: call.streamed === true,
    answerType: framing === 'sse' ? 'text/event-stream' : 'application/json',
    read,
    body: read.body,
    config,
    framing,
    candidates: config?.body.candidateCount ?? 1,
  }
}

/** `alt` says in what a stream is told; a mask of fields would hide what the gateway has to see. */
function framingOf({ query, streamed }: Call): Framing | Refusal {
  const asked = new URLSearchParams(query)
  const alt = asked.get('alt') ?? asked.get('$alt') ?? 'json'
  if (alt !== 'json' && alt !== 'sse') return wrongField('alt', 'must be json or sse')
  const mask = ['fields', '$fields'].find((name) => asked.has(name))
  if (mask) return refuse('unsupported_feature', `Answers are told whole; leave '${mask}' out of the query.`, mask)
  if (!streamed) return 'plain'
  return alt === 'sse' ? 'sse' : 'array'
}

function configOf(read: ProtoBody): ProtoBody | Refusal | undefined {
  if (read.body.generationConfig == null) return undefined
  const key = read.spelling('generationConfig')
  const { valueStart, end } = read.members.find((member) => member.key === key)!
  return readProtoBody(read.text.slice(valueStart, end), ownConfig, key)
}

function firstWrongField(body: Json, config: Json, { operation }: Call): Refusal | undefined {
  const whole = operation === 'count' ? body.generateContentRequest : undefined
  if (!Array.isArray(body.contents) && whole == null) return wrongField('contents', 'must be a list')
  if (body.tools != null && !Array.isArray(body.tools)) return wrongField('tools', 'must be a list')
  if (whole != null && typeof whole !== 'object') return wrongField('generateContentRequest', 'must be an object')
  if (whole != null && camel(whole).contents !== undefined && !Array.isArray(camel(whole).contents))
    return wrongField('generateContentRequest.contents', 'must be a list')
  for (const [name, most] of Object.entries(mostOf))
    if (config[name] != null && !(Number.isSafeInteger(config[name]) && config[name] > 0 && config[name] <= most))
      return wrongField(`generationConfig.${name}`, `must be a whole number from 1 to ${most}`)
  return undefined
}

/** No model writes 10⁹ tokens, and none gives so many candidates. */
const mostOf = { maxOutputTokens: 1e9, candidateCount: 128 }

/**
 * The client's own text; only its output limit is lowered to the model's, or the model's default put in. What another
 * protocol signed, and this gateway told as a signature of Gemini's, is taken out again.
 */
export function passGemini(request: GeminiRequest, target: EncodeTarget): Encoded & { lost?: Feature[] } {
  const { read, operation, streamed } = request
  const edits: Record<string, string> = {}
  if (operation === 'count') {
    nameCounted(request, target, edits)
    return { path: geminiPath(target, 'countTokens'), body: editMembers(read.text, read.members, edits) }
  }
  if (read.body.model != null) edits.model = JSON.stringify(`models/${target.upstreamName}`)
  limitOutput(request, target, edits)
  const contents = untagContents(read.text, read.body.contents, target.upstreamName)
  if (contents) edits[read.spelling('contents')] = JSON.stringify(contents)
  const method = streamed ? 'streamGenerateContent' : 'generateContent'
  const body = editMembers(read.text, read.members, edits)
  return { path: geminiPath(target, method), body, ...(contents && { lost: ['signatures'] }) }
}

/** A request to be counted whole names its model a second time. */
function nameCounted({ read }: GeminiRequest, target: EncodeTarget, edits: Record<string, string>): void {
  const model = `models/${target.upstreamName}`
  if (read.body.model != null) edits.model = JSON.stringify(model)
  const whole = read.body.generateContentRequest
  if (whole != null) edits[read.spelling('generateContentRequest')] = JSON.stringify({ ...whole, model })
}

function limitOutput({ read, config }: GeminiRequest, { model }: EncodeTarget, edits: Record<string, string>): void {
  const wanted: number | null = config?.body.maxOutputTokens ?? null
  const limit = wanted === null ? model.defaultOutputTokens : Math.min(wanted, model.maxOutputTokens ?? wanted)
  if (limit === wanted || limit === null) return
  const edit = { [config?.spelling('maxOutputTokens') ?? 'maxOutputTokens']: String(limit) }
  edits[read.spelling('generationConfig')] = config
    ? editMembers(config.text, config.members, edit)
    : JSON.stringify({ maxOutputTokens: limit })
}
