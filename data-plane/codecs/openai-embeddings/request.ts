import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import { readBody, refuseLookalike, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import { openaiPath } from '../openai-path.ts'

export interface EmbeddingsRequest extends AdmittedRequest {
  text: string
  members: Member[]
  body: Json
}

const own = new Set(['model', 'input'])
/** OpenAI's own bound on inputs in one request. */
const inputsMax = 2_048

/** Reads a request of POST /v1/embeddings (OpenAI API reference, "Create embeddings"). */
export function admitEmbeddings(text: string, call: Call): EmbeddingsRequest | Refusal {
  const read = readBody(text)
  if (isRefusal(read)) return read
  const { body, members } = read
  const nameless = wrongModel(body, call.model)
  if (nameless) return nameless
  const isInput = typeof body.input === 'string' || (Array.isArray(body.input) && body.input.length > 0)
  if (!isInput) return wrongField('input', 'must be a text, a list of texts, or token ids')
  if (inputsOf(body.input) > inputsMax) return wrongField('input', `must be at most ${inputsMax} inputs`)
  const request = { operation: 'embed', streamed: false, answerType: 'application/json' } as const
  return refuseLookalike(members, own) ?? { alias: call.model ?? body.model, ...request, text, members, body }
}

/** A list of nothing but numbers is one input in tokens. */
export function inputsOf(input: unknown): number {
  return Array.isArray(input) && input.some((one) => typeof one !== 'number') ? input.length : 1
}

/** The client's own text with the model's name put in; every other byte is the client's. */
export function passEmbeddings(request: EmbeddingsRequest, target: EncodeTarget): Encoded {
  const edits = { model: JSON.stringify(target.upstreamName) }
  return { path: openaiPath(target, '/embeddings'), body: editMembers(request.text, request.members, edits) }
}
