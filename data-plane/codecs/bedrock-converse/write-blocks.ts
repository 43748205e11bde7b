import { inputOf } from '../anthropic-messages/write-answer.ts'
import { idOf } from '../anthropic-messages/write-blocks.ts'
import type { Json } from '../json.ts'
import type { AudioPart, Feature, FilePart, ImagePart, Part, TextPart, Thought, ToolResult, Turn } from '../neutral.ts'
import { claudeReads } from '../signatures.ts'

type Lost = Set<Feature>

/** What the writing of one conversation needs to know, and keeps. */
interface Writing {
  lost: Lost
  /** Only Claude takes back what it thought. */
  isClaude: boolean
  /** Names of documents must differ within a request. */
  names: Set<string>
}

/** The conversation as messages: turns of one role that follow each other are one, and tool results stand first in theirs. */
export function messagesOf(turns: readonly Turn[], isClaude: boolean, lost: Lost): Json[] {
  const writing: Writing = { lost, isClaude, names: new Set() }
  const messages: Json[] = []
  for (const turn of turns) {
    if (turn.role === 'system') lost.add('systemInside')
    const role = turn.role === 'assistant' ? 'assistant' : 'user'
    const content = turn.parts.flatMap((part) => blocksOf(part, writing))
    const last = messages.at(-1)
    if (content.length === 0) continue
    if (last?.role === role) last.content.push(...content)
    else messages.push({ role, content })
  }
  for (const message of messages) message.content = resultsFirst(message.content)
  trimLast(messages.at(-1))
  return messages
}

/** Calls' results first; what marks a cache stays behind what it marks. */
function resultsFirst(content: Json[]): Json[] {
  const isResult = (block: Json | undefined) => block?.toolResult !== undefined
  const leads = content.map(
    (block, at) => isResult(block) || (block.cachePoint !== undefined && isResult(content[at - 1])),
  )
  return [...content.filter((_, at) => leads[at]), ...content.filter((_, at) => !leads[at])]
}

/** The beginning of an answer must not end in a space. */
function trimLast(message: Json | undefined): void {
  const block = message?.role === 'assistant' ? message.content.at(-1) : undefined
  if (typeof block?.text === 'string') block.text = block.text.trimEnd()
}

/** The system prompt; blank texts are refused. */
export function systemOf(parts: readonly TextPart[]): Json[] {
  return parts.filter(isSaid).flatMap(({ text, ...rest }) => [{ text }, ...cachePoint(rest)])
}

const isSaid = ({ text }: { text: string }) => text.trim() !== ''

/** A mark behind what shall be cached; five minutes are the default. */
export function cachePoint({ cache }: { cache?: '5m' | '1h' }): Json[] {
  if (!cache) return []
  return [{ cachePoint: cache === '1h' ? { type: 'default', ttl: '1h' } : { type: 'default' } }]
}

function blocksOf(part: Part, writing: Writing): Json[] {
  const block = blockOf(part, writing)
  return block ? [block, ...('cache' in part ? cachePoint(part) : [])] : []
}

function blockOf(part: Part, writing: Writing): Json | undefined {
  const { lost } = writing
  switch (part.type) {
    case 'text':
    case 'refusal':
      return isSaid(part) ? { text: part.text } : undefined
    case 'image':
      return imageOf(part, lost)
    case 'file':
      return documentOf(part, writing)
    case 'audio':
      return audioOf(part)
    case 'thought':
      return thoughtOf(part, writing)
    case 'toolCall': {
      if (part.signature) lost.add('signatures')
      const input = inputOf(part.arguments, () => {})
      return { toolUse: { toolUseId: idOf(part.id, idMax), name: part.name, input } }
    }
    case 'toolResult':
      return resultOf(part, writing)
  }
}

const idMax = 64

const imageFormats: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpeg',
  'image/jpg': 'jpeg',
  'image/gif': 'gif',
  'image/webp': 'webp',
}

/** Bytes only: addresses are read nowhere but in the caller's own S3, which no other protocol means. */
function imageOf({ source, detail }: ImagePart, lost: Lost): Json | undefined {
  if (detail) lost.add('imageDetail')
  if (source.kind === 'url') {
    lost.add('imageUrls')
    return undefined
  }
  const format = imageFormats[source.mediaType]
  if (!format) lost.add('images')
  return format ? { image: { format, source: { bytes: source.data } } } : undefined
}

const audioOf = ({ format, data }: AudioPart): Json => ({ audio: { format, source: { bytes: data } } })

const documentFormats: Record<string, string> = {
  'application/pdf': 'pdf',
  'text/plain': 'txt',
  'text/markdown': 'md',
  'text/html': 'html',
  'text/csv': 'csv',
  'application/msword': 'doc',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'docx',
  'application/vnd.ms-excel': 'xls',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'xlsx',
}

function documentOf({ source, name }: FilePart, { lost, names }: Writing): Json | undefined {
  if (source.kind === 'url') {
    lost.add('fileUrls')
    return undefined
  }
  const format = documentFormats[source.mediaType] ?? (source.mediaType.startsWith('text/') ? 'txt' : undefined)
  if (!format) lost.add('files')
  return format ? { document: { format, name: nameOf(name, names), source: { bytes: source.data } } } : undefined
}

/** A name of letters, digits, single spaces, hyphens, parentheses and brackets, which no other document of the request has. */
function nameOf(given: string | null, names: Set<string>): string {
  const plain =
    (given ?? '')
      .slice(0, 150)
      .replace(/[^A-Za-z0-9()[\]-]+/g, ' ')
      .trim() || 'document'
  let name = plain
  for (let count = 2; names.has(name); count++) name = `${plain} ${count}`
  names.add(name)
  return name
}

function thoughtOf({ text, signature, encrypted }: Thought, { lost, isClaude }: Writing): Json | undefined {
  if (!isClaude || !claudeReads(signature, encrypted, 'BEDROCK_CONVERSE')) {
    lost.add('signatures')
    return undefined
  }
  return encrypted
    ? { reasoningContent: { redactedContent: signature.value } }
    : { reasoningContent: { reasoningText: { text, signature: signature.value } } }
}

function resultOf({ id, parts, isError }: ToolResult, writing: Writing): Json {
  const content = parts.flatMap((part) => blockOf(part, writing) ?? [])
  const told = content.length > 0 ? content : [{ text: '(no output)' }]
  return { toolResult: { toolUseId: idOf(id, idMax), content: told, ...(isError && { status: 'error' }) } }
}
