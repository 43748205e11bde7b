import type { Codec as CodecName, RetryCause } from '../../schema/config/index.ts'
import type { Refusal } from '../../schema/refusals.ts'
import type { Reading } from '../reading.ts'
import type { RunningModel } from '../snapshot/running.ts'

/** One wire protocol: how its requests are read and written, its answers followed, its errors told and understood. */
export interface Codec {
  readonly name: CodecName
  /** Reads a client's body. The result is never changed; every attempt is encoded from it again. */
  admit(text: string): AdmittedRequest | Refusal
  /** Upper bounds for one attempt at this model. */
  ceiling(request: AdmittedRequest, model: RunningModel): TokenCeiling
  /** The request as this target gets it. */
  encode(request: AdmittedRequest, target: EncodeTarget): { path: string; body: string }
  /** Follows one answer. */
  decoder(request: AdmittedRequest): AnswerDecoder
  /** What a provider's error means: which refusal, and which cause of retrying. */
  readError(status: number, body: string): UpstreamError
  /** The body of a refusal as this protocol tells errors. */
  renderRefusal(refusal: Refusal): string
  /** A refusal within a stream that has begun; `told` is the provider's own error where it passes. */
  renderStreamRefusal(refusal: Refusal, told?: string): string
}

/** A request as it was admitted: what the stages ask about, and what the codec needs to encode it. */
export interface AdmittedRequest {
  /** The model name that was asked for. */
  alias: string
  streamed: boolean
  body: unknown
}

export interface EncodeTarget {
  model: RunningModel
  /** The provider's name for the model, a wildcard's rest filled in. */
  upstreamName: string
}

/** Tokens that one attempt can come to at most; null where nothing bounds them. */
export interface TokenCeiling {
  inputTokens: number
  outputTokens: number | null
}

/**
 * Follows an answer chunk by chunk. `push` and `end` say what may be released; the end of the answer (`[DONE]`, the whole of a
 * plain body) is held back for `end`, so that the record can be durable first.
 */
export interface AnswerDecoder {
  push(chunk: Uint8Array): Uint8Array[] | AnswerFault
  /** The upstream has ended. Answers what was held back. */
  end(): Uint8Array[] | AnswerFault
  /** True once the answer is complete though the connection may still be open; what follows is ignored. */
  readonly complete: boolean
  readonly facts: AnswerFacts
}

export interface AnswerFacts {
  /** As the provider reported it; undefined where it did not. */
  usage: Reading[] | undefined
  finishReason: string | null
  /** UTF-8 bytes of output seen: text, tool arguments, reasoning. */
  outputBytes: number
  /** Output can have been made, and billed, that the answer does not show. */
  hiddenOutput: boolean
}

/** An answer that is no answer: an error told inside it, or something that is not the protocol. */
export type AnswerFault = UpstreamError

export interface UpstreamError {
  refusal: Refusal
  cause: RetryCause | null
  /** The status to answer with where it is not the refusal's own. */
  status?: number
  /** The provider's own body, to be passed on to a client of the same dialect. */
  body?: string
  /** True where the provider charges nothing for it: it refused before it began. */
  free: boolean
}

export function isFault(value: Uint8Array[] | AnswerFault): value is AnswerFault {
  return 'refusal' in value
}
