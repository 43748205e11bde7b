import type { RunningModel } from '../../snapshot/running.ts'
import type { TokenCeiling } from '../codec.ts'
import { type Json, textOf } from '../json.ts'
import { camel } from './names.ts'
import type { GeminiRequest } from './request.ts'

/**
 * Upper bounds of a request that passes: visible text counts its UTF-8 bytes as tokens, each content and declared function an
 * overhead, each image the model's declared maximum. Other media, files, cached content and tools that Google runs itself (they
 * read more than is seen) make it the model's whole context. Counting tokens is free.
 *
 * | field | |
 * |---|---|
 * | `maxOutputTokens` | bounds the answer, what is thought included |
 * | `candidateCount` | multiplies it |
 * | `thinkingConfig` | within `maxOutputTokens` |
 * | `responseModalities` beyond text | the model's most, since no limit is known to hold for pictures and speech |
 * | `serviceTier` | passes; its factor is the price sheet's |
 * | `cachedContent`, `fileData`, media, Google's own tools | the model's whole context |
 */
export function geminiCeiling(
  { operation, body, config, candidates }: GeminiRequest,
  model: RunningModel,
): TokenCeiling {
  if (operation === 'count') return { inputTokens: 0, outputTokens: 0 }
  const seen = inputBound(body, config?.body ?? {}, model)
  const context = model.contextTokens
  return {
    inputTokens: Number.isFinite(seen) ? Math.min(seen, context ?? seen) : (context ?? bytes(body)),
    outputTokens: outputBound(config?.body ?? {}, candidates, model),
  }
}

function outputBound(config: Json, candidates: number, model: RunningModel): number | null {
  const most = model.maxOutputTokens ?? model.contextTokens
  const textOnly = (config.responseModalities ?? []).every?.((one: unknown) => one === 'TEXT') ?? false
  const wanted = textOnly ? (config.maxOutputTokens ?? model.defaultOutputTokens ?? most) : most
  return wanted === null ? null : Math.min(wanted, most ?? wanted) * candidates
}

const unseen = Number.POSITIVE_INFINITY

function inputBound(body: Json, config: Json, model: RunningModel): number {
  if (body.cachedContent != null) return unseen
  const system = body.systemInstruction == null ? 0 : contentBound(body.systemInstruction, model)
  const contents = sum(body.contents ?? [], (content) => contentBound(content, model))
  const tools = sum(body.tools ?? [], (tool) => toolBound(tool, model))
  const others = { ...config, ...body.toolConfig }
  return system + contents + tools + (Object.keys(others).length > 0 ? bytes(others) : 0)
}

function contentBound(content: unknown, model: RunningModel): number {
  const { parts } = camel(content)
  const bound = Array.isArray(parts) ? sum(parts, (part) => partBound(part, model)) : bytes(content)
  return model.bounds.tokensPerMessage + bound
}

/** Parts by the member that says what they are (Gemini API reference, Part). */
function partBound(given: unknown, model: RunningModel): number {
  const part = camel(given)
  if (part.inlineData != null) return mediaBound(part.inlineData, model)
  if (part.fileData != null) return unseen
  const brought = camel(part.functionResponse).parts
  if (Array.isArray(brought)) {
    const { parts: _, ...response } = camel(part.functionResponse)
    return bytes(response) + sum(brought, (inner) => partBound(inner, model))
  }
  return typeof part.text === 'string' ? Buffer.byteLength(part.text) : bytes(part)
}

function mediaBound(media: unknown, model: RunningModel): number {
  const { mimeType, data } = camel(media)
  const type = textOf(mimeType)
  if (type.startsWith('image/')) return model.bounds.tokensPerImage ?? unseen
  return type.startsWith('text/') && typeof data === 'string' ? data.length : unseen
}

function toolBound(given: unknown, model: RunningModel): number {
  const tool = camel(given)
  const functions = tool.functionDeclarations
  const others = Object.keys(tool).some((key) => key !== 'functionDeclarations' && tool[key] != null)
  if (others || (functions != null && !Array.isArray(functions))) return unseen
  return sum(functions ?? [], (one) => model.bounds.tokensPerTool + bytes(one))
}

const sum = (list: unknown[], of: (one: unknown) => number) => list.reduce<number>((total, one) => total + of(one), 0)
const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')
