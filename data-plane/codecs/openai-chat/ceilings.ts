import type { RunningModel } from '../../snapshot/running.ts'
import type { TokenCeiling } from '../codec.ts'
import { type ChatBody, type ChatRequest, callerLimit } from './request.ts'

/**
 * Upper bounds of a chat request: visible text counts its UTF-8 bytes as tokens (no tokenizer makes more than one token of a
 * byte), each message and tool a declared overhead, each image or page the model's declared maximum. What cannot be seen makes
 * it the model's whole context, which is the cap in every case.
 */
export function chatCeiling(request: ChatRequest, model: RunningModel): TokenCeiling {
  const input = inputBound(request.body, model)
  const context = model.contextTokens
  return {
    inputTokens: input === undefined ? (context ?? utf8Bytes(request.text)) : Math.min(input, context ?? input),
    outputTokens: outputBound(request.body, model),
  }
}

function outputBound(body: ChatBody, model: RunningModel): number | null {
  const most = model.maxOutputTokens ?? model.contextTokens
  const wanted = callerLimit(body) ?? model.defaultOutputTokens ?? most
  if (wanted === null) return null
  return Math.min(wanted, most ?? wanted) * (body.n ?? 1)
}

/** Undefined where something cannot be bounded by what is seen. */
function inputBound(body: ChatBody, model: RunningModel): number | undefined {
  let tokens = 0
  for (const message of body.messages) {
    const bound = messageBound(message, model)
    if (bound === undefined) return undefined
    tokens += model.bounds.tokensPerMessage + bound
  }
  for (const tool of body.tools ?? []) tokens += model.bounds.tokensPerTool + utf8Bytes(JSON.stringify(tool) ?? '')
  const format = (body as { response_format?: unknown }).response_format
  return format ? tokens + utf8Bytes(JSON.stringify(format)) : tokens
}

function messageBound(message: unknown, model: RunningModel): number | undefined {
  if (typeof message !== 'object' || message === null) return utf8Bytes(String(message))
  let tokens = 0
  for (const [key, value] of Object.entries(message)) {
    if (typeof value === 'string') tokens += utf8Bytes(value)
    else if (key === 'content' && Array.isArray(value)) {
      for (const part of value) {
        const bound = partBound(part, model)
        if (bound === undefined) return undefined
        tokens += bound
      }
    } else if (value !== null) tokens += utf8Bytes(JSON.stringify(value) ?? '')
  }
  return tokens
}

/** Parts by their `type` (OpenAI API reference, content parts). Audio's length and a stored file's size are not visible. */
function partBound(part: unknown, model: RunningModel): number | undefined {
  const { type, text, refusal } = (part ?? {}) as { type?: unknown; text?: unknown; refusal?: unknown }
  if (type === 'text' && typeof text === 'string') return utf8Bytes(text)
  if (type === 'refusal' && typeof refusal === 'string') return utf8Bytes(refusal)
  if (type === 'image_url') return model.bounds.tokensPerImage ?? undefined
  return undefined
}

function utf8Bytes(text: string): number {
  return Buffer.byteLength(text)
}
