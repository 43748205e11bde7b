import type { RunningModel } from '../../snapshot/running.ts'
import { firstUnbounded, inputCeiling, openaiTier, unseenIn, utf8Bytes } from '../ceiling-parts.ts'
import type { TokenCeiling, Unbounded } from '../codec.ts'
import type { Json } from '../json.ts'
import type { ResponsesRequest } from './request.ts'

/** Members that bring in what is not seen here: stored responses, prompts and conversations. */
const unseen = ['previous_response_id', 'conversation', 'prompt'] as const

/** Items and parts whose text is all there is to them; anything else may bring in more than is seen. */
const plain = new Set(
  'message function_call function_call_output reasoning input_text output_text refusal summary_text reasoning_text function'.split(
    ' ',
  ),
)

/**
 * Upper bounds of a request that passes: visible text counts its UTF-8 bytes, each item and tool a declared overhead, each image
 * the model's declared maximum. What cannot be seen makes it the model's whole context, which is the cap in every case.
 *
 * | field (OpenAI API reference, "Create a model response") | bound |
 * |---|---|
 * | `max_output_tokens` | as sent; reasoning counts within |
 * | `instructions`, `text`, plain items, tools that are functions or custom | bytes |
 * | images | `tokensPerImage`, else the context |
 * | files, stored items (also named without a type), `previous_response_id`, `conversation` | the context |
 * | `prompt_cache_…` | input is priced at its dearest meter, cache writes among them |
 * | `service_tier` | its lines of the price sheet; unsaid or `auto` the dearest tier of the sheet |
 * | `prompt` | unbounded: a stored prompt may bring tools of its own |
 * | tools of other kinds, `image`, `context_management` | unbounded: the provider works on by itself, several rounds of it |
 * | `reasoning.mode` but `standard` | unbounded: more is made than is told |
 * | `background` | never passes |
 */
export function responsesCeiling({ body, text }: ResponsesRequest, model: RunningModel): TokenCeiling {
  const seen = inputBound(body, model)
  const context = model.contextTokens
  return {
    inputTokens: inputCeiling(seen, context, () => utf8Bytes(text)),
    outputTokens: outputBound(body, model),
    unbounded:
      firstUnbounded(body, unbounded) ?? proMode(body) ?? foreignTool(body) ?? unseenIn(seen, context, 'input'),
    serviceTier: openaiTier(body),
  }
}

const unbounded = {
  prompt: 'brings in a stored prompt, which may have tools of its own',
  image: 'makes pictures, whose price is not in tokens of the answer',
  context_management: 'lets the provider work on the conversation by itself',
}

function proMode({ reasoning }: Json): Unbounded | undefined {
  const mode = reasoning?.mode ?? 'standard'
  return mode === 'standard' ? undefined : { field: 'reasoning.mode', why: 'has several answers made for one' }
}

const ownTools: ReadonlySet<unknown> = new Set(['function', 'custom'])

function foreignTool({ tools }: Json): Unbounded | undefined {
  const isOwn = (tool: unknown) => ownTools.has((tool as Json | null)?.type)
  return !tools || tools.every(isOwn) ? undefined : { field: 'tools', why: 'holds a tool that the provider runs' }
}

function outputBound(body: Json, model: RunningModel): number | null {
  const most = model.maxOutputTokens ?? model.contextTokens
  const wanted = body.max_output_tokens ?? model.defaultOutputTokens ?? most
  return wanted === null ? null : Math.min(wanted, most ?? wanted)
}

function inputBound(body: Json, model: RunningModel): number {
  if (unseen.some((field) => body[field] != null)) return Number.POSITIVE_INFINITY
  const items: unknown[] = typeof body.input === 'string' ? [body.input] : (body.input ?? [])
  const tools: unknown[] = body.tools ?? []
  return (
    bytesOf(body.instructions) +
    model.bounds.tokensPerMessage +
    bytesOf(body.text) +
    items.reduce<number>((sum, item) => sum + model.bounds.tokensPerMessage + bound(item, model), 0) +
    tools.reduce<number>((sum, tool) => sum + model.bounds.tokensPerTool + toolBound(tool), 0)
  )
}

/** A tool of the provider's own reads what is not seen here. */
const toolBound = (tool: unknown) => (ownTools.has((tool as Json)?.type) ? bytesOf(tool) : Number.POSITIVE_INFINITY)

function bound(item: unknown, model: RunningModel): number {
  if (typeof item !== 'object' || item === null) return bytesOf(item)
  const { type = untyped(item), content, output } = item as Json
  if (type === 'input_image') return (item as Json).file_id ? Number.POSITIVE_INFINITY : imageBound(model)
  if (!plain.has(type)) return Number.POSITIVE_INFINITY
  const { content: _, output: __, ...rest } = item as Json
  return bytesOf(rest) + partsBound(content, model) + partsBound(output, model)
}

/** A message may leave its type out, and so may a reference to a stored item (OpenAI API reference, "Item reference"). */
const untyped = (item: Json) => (item.role === undefined ? 'item_reference' : 'message')

function partsBound(parts: unknown, model: RunningModel): number {
  if (typeof parts === 'object' && parts !== null)
    return [parts].flat().reduce<number>((sum, part) => sum + bound(part, model), 0)
  return bytesOf(parts)
}

const imageBound = (model: RunningModel) => model.bounds.tokensPerImage ?? Number.POSITIVE_INFINITY

function bytesOf(value: unknown): number {
  if (value == null) return 0
  return utf8Bytes(typeof value === 'string' ? value : JSON.stringify(value))
}
