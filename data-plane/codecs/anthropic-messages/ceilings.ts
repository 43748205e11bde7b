import type { RunningModel } from '../../snapshot/running.ts'
import type { TokenCeiling } from '../codec.ts'
import type { Json } from '../json.ts'
import { type MessagesRequest, outputMax } from './request.ts'

/**
 * Upper bounds of a Messages request that passes. Text counts its UTF-8 bytes as tokens, messages, blocks and tools a declared
 * overhead, images the model's declared maximum. What cannot be seen makes it the model's whole context:
 *
 * | field | bound |
 * |---|---|
 * | `max_tokens` (thinking included) | as sent |
 * | `system`, text, tool calls and results, thoughts, tools of the client's, `output_config` | bytes |
 * | images | `tokensPerImage`, else the context |
 * | documents but plain text, files by id, search results, blocks and tools of a server or of a kind not known | the context |
 * | `mcp_servers`, `container`, `thread`, `compaction`, `context_management` | the context |
 * | `cache_control` | priced at the dearest input meter, as all input is |
 * | `service_tier`, `speed`, `inference_geo` | a factor of the price sheet's |
 */
export function messagesCeiling(request: MessagesRequest, model: RunningModel): TokenCeiling {
  if (request.operation === 'count') return { inputTokens: 0, outputTokens: 0 }
  const input = inputBound(request.body as unknown as Json, model)
  const context = model.contextTokens
  return {
    inputTokens: Number.isFinite(input) ? Math.min(input, context ?? input) : (context ?? bytes(request.text)),
    outputTokens: outputMax(request.body.max_tokens ?? null, model),
  }
}

const unseen: readonly string[] = ['mcp_servers', 'container', 'thread', 'compaction', 'context_management']

/** Infinity where something cannot be bounded by what is seen. */
function inputBound(body: Json, model: RunningModel): number {
  if (unseen.some((key) => body[key] != null)) return Number.POSITIVE_INFINITY
  const { tokensPerMessage, tokensPerTool } = model.bounds
  const messages = sum(body.messages, ({ content }) => tokensPerMessage + contentBound(content, model))
  const tools = sum(body.tools ?? [], (tool) => tokensPerTool + toolBound(tool))
  const format = body.output_config ?? body.output_format
  return messages + tools + contentBound(body.system, model) + tokensPerMessage + (format ? jsonBytes(format) : 0)
}

/** A tool of the client's own is what it says; any other may bring what nobody sees. */
function toolBound(tool: Json): number {
  return tool.type == null || tool.type === 'custom' ? jsonBytes(tool) : Number.POSITIVE_INFINITY
}

function contentBound(content: unknown, model: RunningModel): number {
  if (typeof content === 'string') return bytes(content)
  return Array.isArray(content) ? sum(content, (block) => blockBound(block, model)) : 0
}

const plainBlocks: ReadonlySet<string> = new Set(['text', 'thinking', 'redacted_thinking', 'tool_use'])

function blockBound(block: Json, model: RunningModel): number {
  if (plainBlocks.has(block.type)) return jsonBytes(block)
  if (block.type === 'image') return model.bounds.tokensPerImage ?? Number.POSITIVE_INFINITY
  if (block.type === 'tool_result') return model.bounds.tokensPerMessage + contentBound(block.content, model)
  if (block.type === 'document' && block.source?.type === 'text') return jsonBytes(block)
  return Number.POSITIVE_INFINITY
}

function sum(list: readonly unknown[], of: (one: Json) => number): number {
  return list.reduce<number>((total, one) => total + of((typeof one === 'object' && one) || {}), 0)
}

const bytes = (text: string) => Buffer.byteLength(text)
const jsonBytes = (value: unknown) => bytes(JSON.stringify(value) ?? '')
