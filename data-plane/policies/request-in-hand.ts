import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { AdmittedRequest, PassingDialect } from '../codecs/codec.ts'
import { wireTo } from '../codecs/index.ts'
import type { RunningModel } from '../snapshot/running.ts'
import type { RequestFacts } from './facts.ts'
import { languageOf } from './language.ts'
import { hasImages, newestText, offersTools } from './traits.ts'

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
