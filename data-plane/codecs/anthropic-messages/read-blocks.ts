import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { wrongField } from '../admission.ts'
import type { Json } from '../json.ts'
import type { Part, Signature, Source, ToolCall, ToolResult } from '../neutral.ts'
import { untagSignature } from '../signatures.ts'

/** Reads the content of a message, a tool's result or the system prompt. `at` is its path. */
export function readBlocks(content: unknown, at: string, foreign: string[], ignored: string[]): Part[] | Refusal {
  if (content == null) return []
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  if (!Array.isArray(content)) return wrongField(at, 'must be a text or a list of blocks')
  const parts: Part[] = []
  /** What proves the call that comes next. */
  let signature: Signature | null = null
  for (const [index, given] of content.entries()) {
    const block = (given ?? {}) as Json
    const proof = callProof(block)
    if (proof) {
      signature = proof
      continue
    }
    const part = readBlock(block, `${at}.${index}`, foreign, ignored)
    if (isRefusal(part)) return part
    if (!part) foreign.push(`${at}.${index}`)
    else parts.push(part.type === 'toolCall' && signature ? { ...part, signature } : part)
    if (part) signature = null
  }
  return parts
}

/** The signature of a call stands before it in a block of its own: a call has no place for one here. */
function callProof({ type, data }: Json): Signature | null {
  const tagged = type === 'redacted_thinking' && typeof data === 'string' ? untagSignature(data) : undefined
  return tagged?.kind === 'call' ? tagged.signature : null
}

function readBlock(block: Json, at: string, foreign: string[], ignored: string[]): Part | undefined | Refusal {
  switch (block.type) {
    case 'text':
      if (typeof block.text !== 'string') return wrongField(`${at}.text`, 'must be a text')
      if (block.citations?.length > 0) ignored.push(`${at}.citations`)
      return { type: 'text', text: block.text, ...cacheOf(block) }
    case 'image': {
      const source = sourceOf(block.source)
      return source && { type: 'image', source, ...cacheOf(block) }
    }
    case 'document':
      return readDocument(block, at, foreign)
    case 'thinking':
      return readThought(block.thinking, block.signature, false)
    case 'redacted_thinking':
      return readThought('', block.data, true)
    case 'tool_use':
      return readCall(block, at)
    case 'tool_result':
      return readResult(block, at, foreign, ignored)
  }
  return undefined
}

/** The cache mark of anything that has one; five minutes where it does not say. */
export function cacheOf({ cache_control: mark }: Json): { cache?: '5m' | '1h' } {
  return mark ? { cache: mark.ttl === '1h' ? '1h' : '5m' } : {}
}

function sourceOf(source: Json | undefined): Source | undefined {
  if (source?.type === 'url' && typeof source.url === 'string') return { kind: 'url', url: source.url }
  if (source?.type !== 'base64' || typeof source.data !== 'string' || typeof source.media_type !== 'string')
    return undefined
  return { kind: 'data', mediaType: source.media_type, data: source.data }
}

function readDocument(
  { source, title, context, citations, ...block }: Json,
  at: string,
  foreign: string[],
): Part | undefined {
  if (context != null) foreign.push(`${at}.context`)
  if (citations?.enabled === true) foreign.push(`${at}.citations`)
  const isText = source?.type === 'text' && typeof source.data === 'string'
  const known: Source | undefined = isText
    ? { kind: 'data', mediaType: 'text/plain', data: Buffer.from(source.data).toString('base64') }
    : sourceOf(source)
  return known && { type: 'file', source: known, name: typeof title === 'string' ? title : null, ...cacheOf(block) }
}

/** A thought of this protocol's, or one of another's that the gateway had shown under a tag. */
function readThought(text: unknown, proof: unknown, encrypted: boolean): Part {
  const shown = typeof text === 'string' ? text : ''
  if (typeof proof !== 'string' || proof === '') return { type: 'thought', text: shown, signature: null, encrypted }
  const tagged = untagSignature(proof)
  if (!tagged)
    return { type: 'thought', text: shown, signature: { from: 'ANTHROPIC_MESSAGES', value: proof }, encrypted }
  return { type: 'thought', text: shown, signature: tagged.signature, encrypted: tagged.kind === 'encrypted' }
}

function readCall(block: Json, at: string): ToolCall | Refusal {
  const { id, name, input } = block
  if (typeof id !== 'string') return wrongField(`${at}.id`, 'must be a text')
  if (typeof name !== 'string') return wrongField(`${at}.name`, 'must be a name')
  return { type: 'toolCall', id, name, arguments: JSON.stringify(input ?? {}), ...cacheOf(block) }
}

function readResult(block: Json, at: string, foreign: string[], ignored: string[]): ToolResult | Refusal {
  const { tool_use_id: id, content, is_error: isError } = block
  if (typeof id !== 'string') return wrongField(`${at}.tool_use_id`, 'must name the call it answers')
  const parts = readBlocks(content, `${at}.content`, foreign, ignored)
  if (isRefusal(parts)) return parts
  const known: ToolResult['parts'] = []
  for (const part of parts) if (part.type === 'text' || part.type === 'image' || part.type === 'file') known.push(part)
  return { type: 'toolResult', id, name: null, parts: known, isError: isError === true, ...cacheOf(block) }
}
