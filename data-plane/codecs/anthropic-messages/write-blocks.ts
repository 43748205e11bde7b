import { createHash } from 'node:crypto'
import type { Json } from '../json.ts'
import type { Feature, FilePart, ImagePart, Part, Source, TextPart, Thought, ToolResult, Turn } from '../neutral.ts'
import { claudeReads } from '../signatures.ts'
import type { ClaudeTraits } from './claude.ts'
import { inputOf } from './write-answer.ts'

type Lost = Set<Feature>

/** The conversation as messages: turns of one role that follow each other are one, and tool results stand first in theirs. */
export function messagesOf(turns: readonly Turn[], claude: ClaudeTraits, lost: Lost): Json[] {
  const messages: Json[] = []
  for (const turn of turns) {
    const content = turn.parts.flatMap((part) => blockOf(part, lost) ?? [])
    if (content.length === 0) continue
    const last = messages.at(-1)
    const role = roleOf(turn, last, claude, lost)
    if (last?.role === role && role !== 'system') last.content.push(...content)
    else messages.push({ role, content })
  }
  for (const message of messages) message.content = resultsFirst(message.content)
  trimLast(messages.at(-1))
  return messages
}

/** An instruction inside a conversation may only follow the user; elsewhere, or where it is not known, the user says it. */
function roleOf({ role }: Turn, last: Json | undefined, claude: ClaudeTraits, lost: Lost): string {
  if (role !== 'system') return role
  if (claude.systemInside && last?.role === 'user') return role
  lost.add('systemInside')
  return 'user'
}

function resultsFirst(content: Json[]): Json[] {
  const isResult = (block: Json) => block.type === 'tool_result'
  return [...content.filter(isResult), ...content.filter((block) => !isResult(block))]
}

/** The beginning of an answer must not end in a space. */
function trimLast(message: Json | undefined): void {
  const block = message?.role === 'assistant' ? message.content.at(-1) : undefined
  if (block?.type === 'text') block.text = block.text.trimEnd()
}

/** Texts as blocks; the API takes no blank ones. */
export function textBlocks(parts: readonly TextPart[]): Json[] {
  return parts.filter(isSaid).map((part) => marked(part, { type: 'text', text: part.text }))
}

const isSaid = ({ text }: { text: string }) => text.trim() !== ''

/** A block with its cache mark; five minutes are the API's default. */
export function marked({ cache }: { cache?: '5m' | '1h' }, block: Json): Json {
  if (!cache) return block
  return { ...block, cache_control: cache === '1h' ? { type: 'ephemeral', ttl: '1h' } : { type: 'ephemeral' } }
}

function blockOf(part: Part, lost: Lost): Json | undefined {
  switch (part.type) {
    case 'text':
      return isSaid(part) ? marked(part, { type: 'text', text: part.text }) : undefined
    case 'refusal':
      return isSaid(part) ? { type: 'text', text: part.text } : undefined
    case 'image':
      return imageOf(part, lost)
    case 'file':
      return documentOf(part, lost)
    case 'audio':
      lost.add('audio')
      return undefined
    case 'thought':
      return thoughtOf(part, lost)
    case 'toolCall':
      if (part.signature) lost.add('signatures')
      return marked(part, {
        type: 'tool_use',
        id: idOf(part.id),
        name: part.name,
        input: inputOf(part.arguments, () => {}),
      })
    case 'toolResult':
      return resultOf(part, lost)
  }
}

function imageOf({ source, detail, ...rest }: ImagePart, lost: Lost): Json {
  if (detail) lost.add('imageDetail')
  return marked(rest, { type: 'image', source: sourceOf(source) })
}

function sourceOf(source: Source): Json {
  if (source.kind === 'url') return { type: 'url', url: source.url }
  return { type: 'base64', media_type: source.mediaType, data: source.data }
}

/** PDF and plain text are what the API reads. */
function documentOf({ source, name, ...rest }: FilePart, lost: Lost): Json | undefined {
  const title = name === null ? {} : { title: name }
  if (source.kind === 'url' || source.mediaType === 'application/pdf')
    return marked(rest, { type: 'document', source: sourceOf(source), ...title })
  if (!source.mediaType.startsWith('text/')) {
    lost.add('files')
    return undefined
  }
  const data = Buffer.from(source.data, 'base64').toString('utf8')
  return marked(rest, { type: 'document', source: { type: 'text', media_type: 'text/plain', data }, ...title })
}

/** A thought without a signature that the API can read would be refused, so it is left out. */
function thoughtOf({ text, signature, encrypted }: Thought, lost: Lost): Json | undefined {
  if (!claudeReads(signature, encrypted, 'ANTHROPIC_MESSAGES')) {
    lost.add('signatures')
    return undefined
  }
  return encrypted
    ? { type: 'redacted_thinking', data: signature.value }
    : { type: 'thinking', thinking: text, signature: signature.value }
}

function resultOf({ id, parts, isError, ...rest }: ToolResult, lost: Lost): Json {
  const content = parts.flatMap((part) => blockOf(part, lost) ?? [])
  return marked(rest, {
    type: 'tool_result',
    tool_use_id: idOf(id),
    ...(content.length > 0 && { content }),
    ...(isError && { is_error: true }),
  })
}

const plainId = /^[A-Za-z0-9_-]+$/

/** Ids of calls may hold only these characters; another's is replaced by one that is always the same for it. */
export function idOf(id: string, most = 128): string {
  if (id.length <= most && plainId.test(id)) return id
  return `toolu_${createHash('sha256').update(id).digest('hex').slice(0, 24)}`
}
