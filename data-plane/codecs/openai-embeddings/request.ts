import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { editMembers, type Member } from '../../json-members.ts'
import type { RunningModel } from '../../snapshot/running.ts'
import { readBody, refuseLookalike, wrongField, wrongModel } from '../admission.ts'
import type { AdmittedRequest, Call, Encoded, EncodeTarget, TokenCeiling } from '../codec.ts'
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

/** A list of numbers is one input in tokens. */
function inputsOf(input: unknown): number {
  return Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1
}

/** A text has at most a token per byte, a list of token ids as many as it holds; embeddings have no output tokens. */
export function embeddingsCeiling({ body: { input } }: EmbeddingsRequest, model: RunningModel): TokenCeiling {
  const inputs: unknown[] = inputsOf(input) === 1 && !Array.isArray(input?.[0]) ? [input] : input
  const seen = inputs.reduce<number>((sum, one) => sum + tokensOf(one), 0)
  const most = model.contextTokens === null ? seen : model.contextTokens * inputs.length
  return { inputTokens: Math.min(seen, most), outputTokens: 0 }
}

function tokensOf(input: unknown): number {
  if (Array.isArray(input) && input.every((token) => typeof token === 'number')) return input.length
  return Buffer.byteLength(typeof input === 'string' ? input : JSON.stringify(input))
}

/** The client's own text with the model's name put in; every other byte is the client's. */
export function passEmbeddings(request: EmbeddingsRequest, target: EncodeTarget): Encoded {
  const edits = { model: JSON.stringify(target.upstreamName) }
  return { path: openaiPath(target, '/embeddings'), body: editMembers(request.text, request.members, edits) }
}
