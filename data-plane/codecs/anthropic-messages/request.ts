import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import type { RunningModel } from '../../snapshot/running.ts'
import { readBody, refuseLookalike, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import type { Feature } from '../neutral.ts'
import { ownMessages } from './own-messages.ts'

/** The fields of a Messages request that the gateway looks at when it passes; all others are the client's affair. */
export interface MessagesBody {
  model: string
  messages: unknown[]
  max_tokens?: number | null
  stream?: boolean | null
  tools?: unknown[] | null
  thinking?: { type?: unknown; budget_tokens?: unknown } | null
}

export interface MessagesRequest extends AdmittedRequest {
  text: string
  members: Member[]
  body: MessagesBody
  query: string
}

/** What is sent in place of a version that the client did not name: the older one, which still has sampling parameters. */
export const defaultVersion = '2023-06-01'

/**
 * Reads a request of POST /v1/messages or /v1/messages/count_tokens (Claude API reference, "Create a Message"). `max_tokens` may
 * be left out: the model's own limit is then sent.
 */
export function admitMessages(text: string, call: Call): MessagesRequest | Refusal {
  const read = readBody(text)
  if (isRefusal(read)) return read
  const body = read.body as MessagesBody
  const wrong = firstWrongField(body) ?? refuseLookalike(read.members, ownKeys)
  if (wrong) return wrong
  const streamed = call.operation === 'generate' && body.stream === true
  return {
    alias: body.model,
    operation: call.operation,
    streamed,
    answerType: streamed ? 'text/event-stream' : 'application/json',
    ...read,
    body,
    query: call.query.slice(0, queryMax),
  }
}

const queryMax = 2_000

function firstWrongField(body: MessagesBody): Refusal | undefined {
  const nameless = wrongModel(body)
  if (nameless) return nameless
  if (!Array.isArray(body.messages)) return wrongField('messages', 'must be a list')
  if (body.stream != null && typeof body.stream !== 'boolean') return wrongField('stream', 'must be true or false')
  if (body.tools != null && !Array.isArray(body.tools)) return wrongField('tools', 'must be a list')
  if (body.thinking != null && (typeof body.thinking !== 'object' || Array.isArray(body.thinking)))
    return wrongField('thinking', 'must be an object')
  const limit = body.max_tokens
  if (limit != null && !(Number.isSafeInteger(limit) && limit >= 0 && limit <= 1e9))
    return wrongField('max_tokens', 'must be a whole number from 0 to 1000000000')
  return undefined
}

const ownKeys: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'max_tokens',
  'stream',
  'system',
  'tools',
  'thinking',
])

/**
 * The client's own text with the model's name and the output limit put in, and what the gateway itself had put into the
 * conversation (thoughts of another protocol) taken out; every other byte is the client's.
 */
export function passMessages(request: MessagesRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const edits: Record<string, string> = { model: JSON.stringify(target.upstreamName) }
  const lost: Feature[] = []
  if (request.operation === 'generate' && !limitOutput(request.body, target.model, edits)) lost.push('reasoningNow')
  const own = ownMessages(request)
  if (own) {
    edits.messages = JSON.stringify(own.messages)
    lost.push('signatures')
    if (own.thinkingOff) {
      edits.thinking = '{"type":"disabled"}'
      lost.push('reasoningNow')
    }
  }
  return {
    path: messagesPath(request),
    headers: { 'anthropic-version': defaultVersion },
    body: editMembers(request.text, request.members, edits),
    lost,
  }
}

function messagesPath({ operation, query }: MessagesRequest): string {
  const path = operation === 'count' ? '/messages/count_tokens' : '/messages'
  return query === '' ? path : `${path}?${query}`
}

/**
 * The API wants a limit in every request; one above the model's is lowered to it, and a thinking budget stays below. False where no
 * budget that the API takes is left, so that the answer is made without thinking.
 */
function limitOutput(body: MessagesBody, model: RunningModel, edits: Record<string, string>): boolean {
  const limit = outputMax(body.max_tokens ?? null, model)
  if (body.max_tokens === limit) return true
  edits.max_tokens = String(limit)
  const budget = body.thinking?.budget_tokens
  if (typeof budget !== 'number' || budget < limit) return true
  const isLeft = limit > budgetMin
  edits.thinking = isLeft ? JSON.stringify({ ...body.thinking, budget_tokens: limit - 1 }) : '{"type":"disabled"}'
  return isLeft
}

/** The smallest thinking budget that the API takes. */
export const budgetMin = 1_024

/** Where neither the client nor the model says how long an answer may be. */
const plainOutput = 4_096

/** The limit that is sent: the caller's, at most the model's own; else the model's. */
export function outputMax(wanted: number | null, { defaultOutputTokens, maxOutputTokens }: RunningModel): number {
  const limit = wanted ?? defaultOutputTokens ?? maxOutputTokens ?? plainOutput
  return Math.min(limit, maxOutputTokens ?? limit)
}
