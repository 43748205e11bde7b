import type { Json } from '../json.ts'
import { claudeReads, mayHoldTag, untagSignature } from '../signatures.ts'
import type { MessagesRequest } from './request.ts'

export interface OwnMessages {
  messages: unknown[]
  /** The last tool turn has lost its thinking, so that the API would refuse to think on. */
  thinkingOff: boolean
}

/**
 * A conversation as its provider may see it again: thoughts that came from another protocol, which the gateway had shown to the
 * client under a tag, are left out. Undefined where there are none, and the client's own text can pass.
 */
export function ownMessages({ text, body }: MessagesRequest): OwnMessages | undefined {
  if (!mayHoldTag(text)) return undefined
  let isChanged = false
  const messages: Json[] = []
  for (const message of body.messages as Json[]) {
    const own = ownMessage(message)
    if (own !== message) isChanged = true
    if (own) messages.push(own)
  }
  if (!isChanged) return undefined
  return { messages, thinkingOff: body.thinking?.type === 'enabled' && !thinksOn(messages) }
}

/** The message itself where nothing of it is another's; undefined where nothing of it is left. */
function ownMessage(message: Json): Json | undefined {
  if (!Array.isArray(message?.content)) return message
  const given: Json[] = message.content
  const content = given.flatMap(ownBlock)
  if (content.length === given.length && content.every((block, index) => block === given[index])) return message
  return content.length > 0 ? { ...message, content } : undefined
}

/** The block itself where it is the provider's own; none where it is another's; untagged where the provider can read it. */
function ownBlock(block: Json): Json[] {
  const value =
    block?.type === 'thinking' ? block.signature : block?.type === 'redacted_thinking' ? block.data : undefined
  const tagged = typeof value === 'string' ? untagSignature(value) : undefined
  if (!tagged) return [block]
  const { signature, kind } = tagged
  if (!claudeReads(signature, kind !== 'thought', 'ANTHROPIC_MESSAGES')) return []
  return [block.type === 'thinking' ? { ...block, signature: signature.value } : { ...block, data: signature.value }]
}

/**
 * True where thinking by budget can go on: the answer that is being continued after a tool's result began with a thought, as the
 * API demands ("a final assistant message must start with a thinking block"). `adaptive` thinking has no such rule.
 */
export function thinksOn(messages: readonly Json[]): boolean {
  let first: Json | undefined
  for (let at = messages.length - 1; at > 0 && answersTools(messages[at]!); at -= 2) first = messages[at - 1]
  const opening = first?.content?.[0]?.type
  return first === undefined || opening === 'thinking' || opening === 'redacted_thinking'
}

function answersTools({ role, content }: Json): boolean {
  return role === 'user' && Array.isArray(content) && content.some((block: Json) => block?.type === 'tool_result')
}
