import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import { readBody, refuseLookalike, wrongCount, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import { openaiPath } from '../openai-path.ts'

export interface CompletionRequest extends AdmittedRequest {
  text: string
  members: Member[]
  body: Json
  /** The client asked to see usage in the stream. */
  showsUsage: boolean
}

const own = new Set(['model', 'prompt', 'stream', 'stream_options', 'max_tokens', 'n', 'best_of'])
const mostOf = { max_tokens: 1e9, n: 128, best_of: 128 }
/** OpenAI's own bound on prompts in one request. */
const promptsMax = 2_048

/** Reads a request of POST /v1/completions (OpenAI API reference, "Completions"). */
export function admitCompletion(text: string, call: Call): CompletionRequest | Refusal {
  const read = readBody(text)
  if (isRefusal(read)) return read
  const { body, members } = read
  const wrong = firstWrong(body, call) ?? refuseLookalike(members, own)
  if (wrong) return wrong
  const streamed = body.stream === true
  return {
    alias: call.model ?? body.model,
    operation: 'complete',
    streamed,
    answerType: streamed ? 'text/event-stream' : 'application/json',
    showsUsage: body.stream_options?.include_usage === true,
    ...{ text, members, body },
  }
}

function firstWrong(body: Json, call: Call): Refusal | undefined {
  const nameless = wrongModel(body, call.model)
  if (nameless) return nameless
  if (typeof body.prompt !== 'string' && !(Array.isArray(body.prompt) && body.prompt.length > 0))
    return wrongField('prompt', 'must be a text, a list of texts, or token ids')
  if (body.suffix != null && typeof body.suffix !== 'string') return wrongField('suffix', 'must be a text')
  if (promptsOf(body.prompt) > promptsMax) return wrongField('prompt', `must be at most ${promptsMax} prompts`)
  if (body.stream != null && typeof body.stream !== 'boolean') return wrongField('stream', 'must be true or false')
  if (body.stream_options != null && (typeof body.stream_options !== 'object' || Array.isArray(body.stream_options)))
    return wrongField('stream_options', 'must be an object')
  return wrongCount(body, mostOf)
}

/** A list of nothing but numbers is one prompt in tokens. */
export function promptsOf(prompt: unknown): number {
  return Array.isArray(prompt) && prompt.some((one) => typeof one !== 'number') ? prompt.length : 1
}

/** The client's own text with the model's name, the output limit and the request for usage put in. */
export function passCompletion(request: CompletionRequest, target: EncodeTarget): Encoded {
  const { body } = request
  const { maxOutputTokens, defaultOutputTokens } = target.model
  const edits: Record<string, string> = { model: JSON.stringify(target.upstreamName) }
  if (request.streamed && !request.showsUsage)
    edits.stream_options = JSON.stringify({ ...body.stream_options, include_usage: true })
  const limit = Math.min(
    body.max_tokens ?? defaultOutputTokens ?? Number.POSITIVE_INFINITY,
    maxOutputTokens ?? Number.POSITIVE_INFINITY,
  )
  const isSaid = body.max_tokens != null || defaultOutputTokens !== null
  if (isSaid && limit !== body.max_tokens) edits.max_tokens = String(limit)
  return { path: openaiPath(target, '/completions'), body: editMembers(request.text, request.members, edits) }
}
