import type { RunningModel } from '../../snapshot/running.ts'
import { firstUnbounded, inputCeiling, openaiTier, unseenIn, utf8Bytes } from '../ceiling-parts.ts'
import type { TokenCeiling, Unbounded } from '../codec.ts'
import type { Json } from '../json.ts'
import { type ChatBody, type ChatRequest, callerLimit } from './request.ts'

/**
 * Upper bounds of a chat request: visible text counts its UTF-8 bytes as tokens (no tokenizer makes more than one token of a
 * byte), each message and tool a declared overhead, each image the model's declared maximum. What cannot be seen makes it the
 * model's whole context, which is the cap in every case.
 *
 * | field (OpenAI API reference, "Create chat completion"; servers of the same protocol) | bound |
 * |---|---|
 * | `max_completion_tokens`, `max_tokens` | the smaller; reasoning counts within |
 * | `n` | multiplies the output |
 * | `messages` text, tool calls, refusals; `tools` of functions, `functions`, `response_format` | bytes |
 * | images | `tokensPerImage`, else the context |
 * | audio, files, earlier spoken answers by id | the context |
 * | `prompt_cache_…` | input is priced at its dearest meter, cache writes among them |
 * | `service_tier` | its lines of the price sheet; unsaid or `auto` the dearest tier of the sheet |
 * | `modalities` with audio | needs a price for audio output |
 * | `web_search_options`, `plugins`, tools of other kinds | unbounded: the provider's tools are charged by what they do |
 * | `prediction` | unbounded: tokens that were predicted wrongly are billed, and no limit goes with it |
 * | `best_of`, `models`, `fallbacks` | unbounded: more answers than are told, dearer models than the one asked for |
 */
export function chatCeiling(request: ChatRequest, model: RunningModel): TokenCeiling {
  const { body } = request
  const seen = inputBound(body, model)
  const context = model.contextTokens
  return {
    inputTokens: inputCeiling(seen, context, () => utf8Bytes(request.text)),
    outputTokens: outputBound(body, model),
    answers: body.n ?? 1,
    unbounded: firstUnbounded(body as Json, unbounded) ?? foreignTool(body) ?? unseenIn(seen, context, 'messages'),
    serviceTier: openaiTier(body as Json),
    audioOutput: speaks(body as Json) ? 'modalities' : undefined,
  }
}

const unbounded = {
  web_search_options: 'searches the web, which is charged by what it finds',
  plugins: 'runs what the provider charges for by itself',
  prediction: 'is billed where it is wrong, and goes with no limit',
  best_of: 'makes more answers than are told',
  models: 'lets the provider choose another model',
  fallbacks: 'lets the provider choose another model',
}

const ownTools: ReadonlySet<unknown> = new Set(['function', 'custom'])

function foreignTool({ tools }: ChatBody): Unbounded | undefined {
  const isOwn = (tool: unknown) => ownTools.has((tool as Json | null)?.type ?? 'function')
  return !tools || tools.every(isOwn) ? undefined : { field: 'tools', why: 'holds a tool that the provider runs' }
}

const speaks = ({ modalities, audio }: Json) =>
  (Array.isArray(modalities) && modalities.includes('audio')) || (modalities == null && audio != null)

function outputBound(body: ChatBody, model: RunningModel): number | null {
  const most = model.maxOutputTokens ?? model.contextTokens
  const wanted = callerLimit(body) ?? model.defaultOutputTokens ?? most
  if (wanted === null) return null
  return Math.min(wanted, most ?? wanted) * (body.n ?? 1)
}

const unseen = Number.POSITIVE_INFINITY

function inputBound(body: ChatBody, model: RunningModel): number {
  let tokens = 0
  for (const message of body.messages) tokens += model.bounds.tokensPerMessage + messageBound(message, model)
  for (const tool of body.tools ?? []) tokens += model.bounds.tokensPerTool + jsonBytes(tool)
  const { response_format: format, functions } = body as Json
  for (const declared of Array.isArray(functions) ? functions : [])
    tokens += model.bounds.tokensPerTool + jsonBytes(declared)
  return format ? tokens + jsonBytes(format) : tokens
}

function messageBound(message: unknown, model: RunningModel): number {
  if (typeof message !== 'object' || message === null) return utf8Bytes(String(message))
  let tokens = 0
  for (const [key, value] of Object.entries(message)) {
    if (typeof value === 'string') tokens += utf8Bytes(value)
    else if (key === 'content' && value !== null) for (const part of [value].flat()) tokens += partBound(part, model)
    else if (key === 'audio' && value !== null) return unseen
    else if (value !== null) tokens += jsonBytes(value)
  }
  return tokens
}

/** Parts by their `type` (OpenAI API reference, content parts). Audio's length and a stored file's size are not visible. */
function partBound(part: unknown, model: RunningModel): number {
  const { type, text, refusal } = (part ?? {}) as { type?: unknown; text?: unknown; refusal?: unknown }
  if (type === 'text' && typeof text === 'string') return utf8Bytes(text)
  if (type === 'refusal' && typeof refusal === 'string') return utf8Bytes(refusal)
  if (type === 'image_url') return model.bounds.tokensPerImage ?? unseen
  return unseen
}

const jsonBytes = (value: unknown) => utf8Bytes(JSON.stringify(value) ?? '')
