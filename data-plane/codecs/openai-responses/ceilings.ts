import type { RunningModel } from '../../snapshot/running.ts'
import type { TokenCeiling } from '../codec.ts'
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
 */
export function responsesCeiling({ body, text }: ResponsesRequest, model: RunningModel): TokenCeiling {
  const input = inputBound(body, model)
  const context = model.contextTokens
  const seen = Number.isFinite(input) ? input : Buffer.byteLength(text)
  return {
    inputTokens: Number.isFinite(input) ? Math.min(input, context ?? input) : (context ?? seen),
    outputTokens: outputBound(body, model),
  }
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
    bytesOf(body.text) +
    items.reduce<number>((sum, item) => sum + model.bounds.tokensPerMessage + bound(item, model), 0) +
    tools.reduce<number>((sum, tool) => sum + model.bounds.tokensPerTool + toolBound(tool), 0)
  )
}

/** A tool of the provider's own reads what is not seen here. */
function toolBound(tool: unknown): number {
  const type = (tool as Json)?.type
  return type === 'function' || type === 'custom' ? bytesOf(tool) : Number.POSITIVE_INFINITY
}

function bound(item: unknown, model: RunningModel): number {
  if (typeof item !== 'object' || item === null) return bytesOf(item)
  const { type = 'message', content, output } = item as Json
  if (type === 'input_image') return (item as Json).file_id ? Number.POSITIVE_INFINITY : imageBound(model)
  if (!plain.has(type)) return Number.POSITIVE_INFINITY
  const parts = Array.isArray(content) ? content : Array.isArray(output) ? output : undefined
  if (!parts) return bytesOf(item)
  return parts.reduce<number>((sum, part) => sum + bound(part, model), 0)
}

const imageBound = (model: RunningModel) => model.bounds.tokensPerImage ?? Number.POSITIVE_INFINITY

function bytesOf(value: unknown): number {
  if (value == null) return 0
  return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value))
}
