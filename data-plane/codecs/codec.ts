import type { Codec as CodecName, RetryCause } from '../../schema/config/index.ts'
import type { Refusal } from '../../schema/refusals.ts'
import type { Reading } from '../reading.ts'
import type { RunningModel } from '../snapshot/running.ts'
import type { Feature, NeutralEvent, NeutralRequest } from './neutral.ts'

/** How a client asked, beside the body: protocols that name the model or the manner in the path say it here. */
export interface Call {
  operation: Operation
  /** The model named in the path; the body's own otherwise. */
  model?: string
  /** Set where the path says whether the answer is streamed. */
  streamed?: boolean
  /** Of the URL, without its question mark; empty where there is none. */
  query: string
}

/** What is asked for. `count` is the number of tokens a request would have; it costs nothing. */
export type Operation = 'generate' | 'embed' | 'complete' | 'count'

/** The client's side of a protocol whose requests pass to providers of the same protocol, and to no other. */
export interface PassingDialect {
  readonly name: CodecName
  /** Reads a client's body. The result is never changed; every attempt is encoded from it again. */
  admit(text: string, call: Call): AdmittedRequest | Refusal
  /** Upper bounds for one attempt of a request that passes as it is. */
  ceiling(request: AdmittedRequest, model: RunningModel): TokenCeiling
  /** The client's own text for a provider of the same protocol, changed only where the gateway must. */
  pass(request: AdmittedRequest, target: EncodeTarget): Encoded & { lost?: Feature[] }
  /**
   * The answer to a request for a count (`Operation`) where no provider can be asked for it in this protocol: an estimate, made
   * from what is seen. Absent: such a request is refused.
   */
  countHere?(request: AdmittedRequest, model: RunningModel): string
  /** Follows an answer that passes as it is. `thinks`: the model may bill for output that it does not show. */
  passing(request: AdmittedRequest, thinks?: boolean): AnswerDecoder
  /** What a provider's error means, where it speaks the same protocol. */
  readError(status: number, body: string): UpstreamError
  /** The body of a refusal as this protocol tells errors. */
  renderRefusal(refusal: Refusal): string
  /** The body of an error that a provider of another protocol told, where clients of this one go by certain words or codes. */
  renderError?(error: UpstreamError): string | undefined
  /** A refusal within a stream that has begun; `told` is the provider's own error where it passes. */
  renderStreamRefusal(refusal: Refusal, told?: string, stream?: BrokenStream): string
  /** Headers of the client's that go on to a provider of the same protocol; a name may end in `*`, `!name` leaves one out. */
  readonly forwards: readonly string[]
}

/** The client's side of a protocol: its requests read, its answers and refusals told, whatever the provider speaks. */
export interface Dialect extends PassingDialect {
  /** The request in the form between protocols; a refusal where it is not what this protocol has. */
  neutral(request: AdmittedRequest): NeutralRequest | Refusal
  /** Tells an answer that came in another protocol. */
  writer(request: AdmittedRequest): AnswerWriter
  /** What this dialect calls a thing that a target cannot express. */
  readonly fields: Partial<Record<Feature, string>>
}

export function isTranslatable(dialect: PassingDialect): dialect is Dialect {
  return 'neutral' in dialect
}

/** A stream that ends in a refusal: `begun` where the client has seen some of it. */
export interface BrokenStream {
  request: AdmittedRequest
  begun: boolean
}

/** The provider's side of a protocol: requests written for it, its answers and errors read. */
export interface Protocol {
  readonly name: CodecName
  encode(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] }
  /** `thinks`: the model may bill for output that it does not show. */
  reader(streamed: boolean, thinks?: boolean): AnswerReader
  /** What a provider's error means: which refusal, and which cause of retrying. */
  readError(status: number, body: string): UpstreamError
}

/** A request as it was admitted: what the stages ask about, and what the codec needs to encode it. */
export interface AdmittedRequest {
  /** The model name that was asked for. */
  alias: string
  operation: Operation
  streamed: boolean
  /** Media type of the answer to the client. */
  answerType: string
  body: unknown
}

export interface EncodeTarget {
  model: RunningModel
  /** The provider's name for the model, a wildcard's rest filled in. */
  upstreamName: string
}

export interface Encoded {
  /** Below the provider's base URL, begins with a slash; its query included. */
  path: string
  body: string
  /** What the protocol itself wants said, such as its version. */
  headers?: Record<string, string>
}

/** What one attempt can come to at most. What is absent is not asked for. */
export interface TokenCeiling {
  inputTokens: number
  /** Over all answers that are wanted; null where nothing bounds them. */
  outputTokens: number | null
  /** How many answers are wanted, each with the limit that is sent; absent = one. */
  answers?: number
  /** The first field whose price or size nothing bounds: under a hard budget it is refused. */
  unbounded?: Unbounded | undefined
  /** Beside the standard one: the tier that is asked for, or those that the provider may choose. */
  serviceTier?: AskedTier | ChosenTier | undefined
  /** The field that asks for spoken answers. */
  audioOutput?: string | undefined
}

/** `why` completes a sentence that begins with the field: `reads what is not seen here`. */
export interface Unbounded {
  readonly field: string
  readonly why: string
}

/** Any that the price sheet has, but this one. */
export interface ChosenTier {
  readonly except: string | null
}

/** `name` in lower case, as price sheets' lines are looked up. */
export interface AskedTier {
  readonly field: string
  readonly name: string
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
  /** What of the answer the client does not get; absent where it passes as it is. */
  readonly lost?: readonly string[]
}

/** Reads an answer into events. Faults behind good events are told by `end`, so that they do not depend on how it was cut. */
export interface AnswerReader {
  push(chunk: Uint8Array): NeutralEvent[] | AnswerFault
  end(): NeutralEvent[] | AnswerFault
  readonly complete: boolean
  readonly facts: AnswerFacts
}

/** Tells events as the client's dialect tells an answer, streamed or plain. */
export interface AnswerWriter {
  /** What may go out now; a `finish` and all behind it wait for `end`. */
  write(events: readonly NeutralEvent[]): Uint8Array[]
  /** The rest: how the answer ends, or the whole of a plain one. */
  end(): Uint8Array[]
  /** What this dialect could not tell, by its neutral name; empty where all was told. */
  readonly lost: ReadonlySet<string>
  /** More waits for its turn than is held: the answer breaks off. */
  readonly overflow?: boolean
}

export interface AnswerFacts {
  /** As the provider reported it; undefined where it did not. */
  usage: Reading[] | undefined
  finishReason: string | null
  /** UTF-8 bytes of output seen: text, tool arguments, reasoning. */
  outputBytes: number
  /** Output can have been made, and billed, that the answer does not show. */
  hiddenOutput: boolean
  /** The service tier that the provider says it served, and bills, in lower case; absent where it does not say. */
  serviceTier?: string | undefined
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
  /** The provider's own sentence, for a client of another dialect; absent where it is not the client's business. */
  told?: string
  /** True where the provider charges nothing for it: it refused before it began. */
  free: boolean
}

export function isFault<T>(value: T[] | AnswerFault): value is AnswerFault {
  return 'refusal' in value
}
