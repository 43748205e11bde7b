import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { AdmittedRequest, PassingDialect } from '../codecs/codec.ts'
import { wireTo } from '../codecs/index.ts'
import type { RunningModel } from '../snapshot/running.ts'
import { languageOf } from './language.ts'
import { hasImages, newestText, offersTools } from './traits.ts'

/** What policies may ask about a request. Undefined = not known yet, as where only the key is. */
export interface RequestFacts {
  /** Null = the request has no such label. */
  label(key: string): string | null | undefined
  readonly dialect: CodecName | undefined
  readonly streamed: boolean | undefined
  readonly tools: boolean | undefined
  readonly images: boolean | undefined
  /** Of what the user said last, ISO 639-1. Null = it cannot be told. */
  readonly language: string | null | undefined
  /** The bound that is reserved for at this model. */
  inputTokens(model: RunningModel): number | undefined
}

type Labels = Readonly<Record<string, string>>

/** A request that was read. What takes a look at its content is found out when it is asked for. */
export class RequestInHand implements RequestFacts {
  readonly #labels: Labels
  readonly #dialect: PassingDialect
  readonly #request: AdmittedRequest
  #tools: boolean | undefined
  #images: boolean | undefined
  #language: string | null | undefined

  constructor(labels: Labels, dialect: PassingDialect, request: AdmittedRequest) {
    this.#labels = labels
    this.#dialect = dialect
    this.#request = request
  }

  label(key: string): string | null {
    return Object.hasOwn(this.#labels, key) ? this.#labels[key]! : null
  }

  get dialect(): CodecName {
    return this.#dialect.name
  }

  get streamed(): boolean {
    return this.#request.streamed
  }

  get tools(): boolean {
    this.#tools ??= offersTools(this.#request.body)
    return this.#tools
  }

  get images(): boolean {
    this.#images ??= hasImages(this.#request.body)
    return this.#images
  }

  get language(): string | null {
    if (this.#language === undefined) this.#language = languageOf(newestText(this.#request.body))
    return this.#language
  }

  inputTokens(model: RunningModel): number {
    const wire = wireTo(model.provider, this.#dialect, this.#request.operation) ?? this.#dialect
    return wire.ceiling(this.#request, model).inputTokens
  }
}

/** Any request of a key: only the labels that the key binds are known. */
export function anyRequest(bound: Labels): RequestFacts {
  return {
    label: (key) => (Object.hasOwn(bound, key) ? bound[key]! : undefined),
    dialect: undefined,
    streamed: undefined,
    tools: undefined,
    images: undefined,
    language: undefined,
    inputTokens: () => undefined,
  }
}
