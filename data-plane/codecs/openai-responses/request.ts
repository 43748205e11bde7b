import { isRefusal, type Refusal, refuse } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import { readBody, refuseLookalike, wrongCount, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'

export interface ResponsesRequest extends AdmittedRequest {
  text: string
  members: Member[]
  body: Json
}

const own = new Set(['model', 'input', 'stream', 'max_output_tokens', 'background', 'tools', 'previous_response_id'])

/** Reads a request of POST /v1/responses (OpenAI API reference, "Create a model response"). */
export function admitResponses(text: string, call: Call): ResponsesRequest | Refusal {
  const read = readBody(text)
  if (isRefusal(read)) return read
  const { body, members } = read
  const wrong = firstWrong(body, call) ?? refuseLookalike(members, own)
  if (wrong) return wrong
  const streamed = body.stream === true
  return {
    alias: call.model ?? body.model,
    operation: 'generate',
    streamed,
    answerType: streamed ? 'text/event-stream' : 'application/json',
    ...{ text, members, body },
  }
}

function firstWrong(body: Json, call: Call): Refusal | undefined {
  const nameless = wrongModel(body, call.model)
  if (nameless) return nameless
  if (body.input != null && typeof body.input !== 'string' && !Array.isArray(body.input))
    return wrongField('input', 'must be a text or a list of items')
  if (body.stream != null && typeof body.stream !== 'boolean') return wrongField('stream', 'must be true or false')
  if (body.tools != null && !Array.isArray(body.tools)) return wrongField('tools', 'must be a list')
  const uncounted = wrongCount(body, { max_output_tokens: 1e9 })
  if (uncounted) return uncounted
  // Its answer would come later, to nobody who could record and charge it.
  if (body.background === true)
    return refuse('unsupported_feature', 'Background responses cannot be recorded; leave it out.', 'background')
  return undefined
}

/** The client's own text with the model's name and the output limit put in; every other byte is the client's. */
export function passResponses(request: ResponsesRequest, target: EncodeTarget): Encoded {
  const { maxOutputTokens, defaultOutputTokens } = target.model
  const edits: Record<string, string> = { model: JSON.stringify(target.upstreamName) }
  const wanted: number | null = request.body.max_output_tokens ?? null
  const limit = Math.min(
    wanted ?? defaultOutputTokens ?? Number.POSITIVE_INFINITY,
    maxOutputTokens ?? Number.POSITIVE_INFINITY,
  )
  const isSaid = wanted !== null || defaultOutputTokens !== null
  if (isSaid && limit !== wanted) edits.max_output_tokens = String(limit)
  return { path: responsesPath(target), body: editMembers(request.text, request.members, edits) }
}

/** Azure's dated API has its version in the query; its `v1` API has none (Azure OpenAI REST reference). */
export function responsesPath({ model: { provider } }: EncodeTarget): string {
  const dated = provider.platform === 'AZURE_OPENAI' && provider.apiVersion !== null
  return dated ? `/responses?api-version=${encodeURIComponent(provider.apiVersion!)}` : '/responses'
}
