import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import { readBody, refuseLookalike, wrongCount, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import { openaiPath } from '../openai-path.ts'

/** The fields of a chat completion request that the gateway looks at; all others pass through untouched. */
export interface ChatBody {
  model: string
  messages: unknown[]
  stream?: boolean | null
  stream_options?: Record<string, unknown> | null
  max_tokens?: number | null
  max_completion_tokens?: number | null
  n?: number | null
  tools?: unknown[] | null
}

export interface ChatRequest extends AdmittedRequest {
  text: string
  members: Member[]
  body: ChatBody
  /** The client asked to see usage in the stream. */
  showsUsage: boolean
}

/** Reads a request of POST /v1/chat/completions (OpenAI API reference, "Create chat completion"). */
export function admitChat(text: string, call: Call): ChatRequest | Refusal {
  const read = readBody(text)
  if (isRefusal(read)) return read
  const body = read.body as ChatBody
  const wrong = firstWrongField(body, call.model) ?? refuseLookalike(read.members, ownKeys)
  if (wrong) return wrong
  const streamed = body.stream === true
  return {
    alias: call.model ?? body.model,
    operation: 'generate',
    streamed,
    answerType: streamed ? 'text/event-stream' : 'application/json',
    showsUsage: body.stream_options?.include_usage === true,
    body,
    text,
    members: read.members,
  }
}

/** `model` may be missing where the path names it, as with Azure's deployments. */
function firstWrongField(body: ChatBody, named: string | undefined): Refusal | undefined {
  const nameless = wrongModel(body, named)
  if (nameless) return nameless
  if (!Array.isArray(body.messages)) return wrongField('messages', 'must be a list')
  if (body.stream != null && typeof body.stream !== 'boolean') return wrongField('stream', 'must be true or false')
  if (body.stream_options != null && !isSmallObject(body.stream_options))
    return wrongField('stream_options', 'must be an object of few members')
  if (body.tools != null && !Array.isArray(body.tools)) return wrongField('tools', 'must be a list')
  return wrongCount(body, mostOf)
}

function isSmallObject(value: unknown): boolean {
  return typeof value === 'object' && !Array.isArray(value) && Object.keys(value!).length <= 32
}

/** OpenAI's own bound on choices; no model writes 10⁹ tokens. */
const mostOf = { max_tokens: 1e9, max_completion_tokens: 1e9, n: 128 }

const ownKeys = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'tools',
])

/** The smallest output limit that the caller names, per choice. */
export function callerLimit(body: ChatBody): number | undefined {
  const limits = [body.max_completion_tokens, body.max_tokens].filter((limit) => limit != null)
  return limits.length > 0 ? Math.min(...limits) : undefined
}

/**
 * The client's own text with the model's name, the output limit and the request for usage put in; every other byte is the
 * client's.
 */
export function encodeChat(request: ChatRequest, target: EncodeTarget): Encoded {
  const edits: Record<string, string> = { model: JSON.stringify(target.upstreamName) }
  if (request.streamed && !request.showsUsage)
    edits.stream_options = JSON.stringify({ ...request.body.stream_options, include_usage: true })
  limitOutput(request.body, target, edits)
  return { path: openaiPath(target, '/chat/completions'), body: editMembers(request.text, request.members, edits) }
}

/**
 * A limit above the model's is lowered to it; without one the model's default is sent. `max_completion_tokens` also bounds
 * hidden reasoning, but only OpenAI itself and Azure are sure to know it; others get `max_tokens` beside it.
 */
function limitOutput(body: ChatBody, target: EncodeTarget, edits: Record<string, string>): void {
  const { maxOutputTokens, defaultOutputTokens, provider } = target.model
  const { platform } = provider
  const own = platform === 'OPENAI' || platform === 'AZURE_OPENAI'
  if (body.max_completion_tokens == null && body.max_tokens == null) {
    if (defaultOutputTokens !== null) edits[own ? 'max_completion_tokens' : 'max_tokens'] = String(defaultOutputTokens)
    return
  }
  // Where a caller gives both, a provider may take either: neither is sent above what was reserved.
  const limit = Math.min(callerLimit(body)!, maxOutputTokens ?? Number.POSITIVE_INFINITY)
  for (const field of ['max_completion_tokens', 'max_tokens'] as const)
    if (body[field] != null && body[field] > limit) edits[field] = String(limit)
  if (!own && body.max_tokens == null) edits.max_tokens = String(limit)
}
