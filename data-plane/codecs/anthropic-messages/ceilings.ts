import type { RunningModel } from '../../snapshot/running.ts'
import { askedTier, firstUnbounded, inputCeiling, unhurried, unseenIn } from '../ceiling-parts.ts'
import type { TokenCeiling, Unbounded } from '../codec.ts'
import { type Json, textOf } from '../json.ts'
import { type MessagesRequest, outputMax } from './request.ts'
import { anywhere } from './usage.ts'

/**
 * Upper bounds of a Messages request that passes. Text counts its UTF-8 bytes as tokens, messages, blocks and tools a declared
 * overhead, images the model's declared maximum. What cannot be seen makes it the model's whole context:
 *
 * | field (Claude API reference, "Create a Message") | bound |
 * |---|---|
 * | `max_tokens` (thinking included) | as sent |
 * | `system`, text, tool calls and results, thoughts, tools of the client's, `output_config` | bytes |
 * | that there are tools, or a schema | 1,000: the API writes instructions of its own |
 * | images | `tokensPerImage`, else the context |
 * | documents but plain text, files by id, search results, blocks of a server or of a kind not known | the context |
 * | Anthropic's tools that the client runs (bash, text editor, computer, memory) | the context |
 * | `cache_control` | priced at the dearest input meter, as all input is |
 * | `service_tier` | unsaid or `auto` the dearest tier of the price sheet but `fast` |
 * | `speed: fast`, `inference_geo` | lines of the price sheet whose service tier is `fast`, or the place (`us`) |
 * | tools that Anthropic runs, `mcp_servers`, `container`, `thread`, `compaction`, compacting `context_management` | unbounded |
 * | `fallbacks` | unbounded: another model may answer |
 */
export function messagesCeiling(request: MessagesRequest, model: RunningModel): TokenCeiling {
  if (request.operation === 'count') return { inputTokens: 0, outputTokens: 0 }
  const body = request.body as unknown as Json
  const seen = inputBound(body, model)
  const context = model.contextTokens
  return {
    inputTokens: inputCeiling(seen, context, () => bytes(request.text)),
    outputTokens: outputMax(request.body.max_tokens ?? null, model),
    unbounded:
      firstUnbounded(body, unbounded) ?? servedBy(body) ?? dearTwice(body) ?? unseenIn(seen, context, 'messages'),
    serviceTier: tierOf(body),
  }
}

const runs = 'has the provider work on by itself, several rounds of it'
const unbounded = {
  mcp_servers: runs,
  container: runs,
  thread: runs,
  compaction: runs,
  fallbacks: 'lets the provider choose another model',
}

const clientTool = /^(bash|text_editor|computer|memory)_\d+$/
const isPlain = ({ type }: Json) => type == null || type === 'custom'

/** What of the request the provider does by itself. */
function servedBy({ tools, context_management: managed, messages }: Json): Unbounded | undefined {
  const isClients = (tool: Json | null) => isPlain(tool ?? {}) || clientTool.test(textOf(tool?.type))
  if (tools && !tools.every(isClients)) return { field: 'tools', why: 'holds a tool that the provider runs' }
  const edits: unknown = managed?.edits ?? []
  const clears = (edit: Json | null) => textOf(edit?.type).startsWith('clear_')
  if (managed != null && !(Array.isArray(edits) && edits.every(clears)))
    return { field: 'context_management', why: runs }
  const adds = (block: Json | null) => block?.type === 'tool_addition'
  const added = messages.some((message: Json | null) => Array.isArray(message?.content) && message.content.some(adds))
  return added ? { field: 'messages.content.tool_addition', why: 'adds tools that are not seen here' } : undefined
}

function tierOf({ speed, inference_geo: geo, service_tier: asked }: Json): TokenCeiling['serviceTier'] {
  if (speed === 'fast') return askedTier('speed', 'fast')
  if (typeof geo === 'string' && !anywhere.has(geo)) return askedTier('inference_geo', geo)
  return asked === 'standard_only' && geo != null ? undefined : unhurried
}

/** Two factors at once have no line on any price sheet. */
function dearTwice({ speed, inference_geo: geo }: Json): Unbounded | undefined {
  const isBoth = speed === 'fast' && typeof geo === 'string' && !anywhere.has(geo)
  return isBoth ? { field: 'inference_geo', why: 'has no price of its own beside fast mode' } : undefined
}

/** The API's own instructions, where there are tools or a schema (Claude documentation, "Tool use", "Pricing": some 350). */
export const instructionTokens = 1_000

const unseen: readonly string[] = ['mcp_servers', 'container', 'thread', 'compaction', 'context_management']

/** Infinite where something cannot be bounded by what is seen. */
function inputBound(body: Json, model: RunningModel): number {
  if (unseen.some((key) => body[key] != null)) return Number.POSITIVE_INFINITY
  const { tokensPerMessage, tokensPerTool } = model.bounds
  const messages = sum(body.messages, ({ content }) => tokensPerMessage + contentBound(content, model))
  const tools = sum(body.tools ?? [], (tool) => tokensPerTool + toolBound(tool))
  const format = body.output_config ?? body.output_format
  const instructions = body.tools?.length > 0 || format ? instructionTokens : 0
  const told = tools + instructions + (format ? jsonBytes(format) : 0)
  return messages + told + contentBound(body.system, model) + tokensPerMessage
}

/** A tool of the client's own is what it says; any other may bring what nobody sees. */
const toolBound = (tool: Json) => (isPlain(tool) ? jsonBytes(tool) : Number.POSITIVE_INFINITY)

function contentBound(content: unknown, model: RunningModel): number {
  if (typeof content === 'string') return bytes(content)
  // A server more lenient than the API's own may take one block for a list of it.
  return content == null ? 0 : sum([content].flat(), (block) => blockBound(block, model))
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
