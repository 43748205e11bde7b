import {
  type AnswerDecoder,
  type AnswerFacts,
  type AnswerFault,
  type AnswerReader,
  type AnswerWriter,
  type Dialect,
  isFault,
  type UpstreamError,
} from './codec.ts'
import { brokeOff } from './gathered.ts'

/** Follows an answer in the provider's protocol and tells it in the client's. */
export class TranslatedDecoder implements AnswerDecoder {
  readonly #foreign = new Set<string>()

  constructor(
    readonly reader: AnswerReader,
    readonly writer: AnswerWriter,
    readonly dialect: Pick<Dialect, 'renderError'>,
    /** The name that was asked for: told where the provider's protocol names no model. */
    readonly alias: string,
  ) {}

  get complete(): boolean {
    return this.reader.complete
  }

  get facts(): AnswerFacts {
    return this.reader.facts
  }

  /** What of the answer the client did not get. */
  get lost(): string[] {
    return [...this.#foreign, ...this.writer.lost]
  }

  push(chunk: Uint8Array): Uint8Array[] | AnswerFault {
    const events = this.reader.push(chunk)
    return isFault(events) ? retold(events, this.dialect) : this.#tell(events)
  }

  end(): Uint8Array[] | AnswerFault {
    const events = this.reader.end()
    if (isFault(events)) return retold(events, this.dialect)
    const told = this.#tell(events)
    return isFault(told) ? told : [...told, ...this.writer.end()]
  }

  #tell(events: Parameters<AnswerWriter['write']>[0]): Uint8Array[] | AnswerFault {
    if (events.length === 0) return []
    for (const event of events) {
      if (event.type === 'foreign' && this.#foreign.size < 20) this.#foreign.add(event.what)
      if (event.type === 'start' && event.model === '') event.model = this.alias
    }
    const told = this.writer.write(events)
    return this.writer.overflow ? brokeOff('Its answer mixes more tool calls than are held.') : told
  }
}

/** An error of another protocol: its body is not the client's, its sentence is. */
export function retold(error: UpstreamError, dialect: Pick<Dialect, 'renderError'> = {}): UpstreamError {
  const { body: _, told, ...rest } = error
  const body = dialect.renderError?.(error)
  const retold = body === undefined ? rest : { ...rest, body }
  return told === undefined ? retold : { ...retold, refusal: { ...rest.refusal, detail: told } }
}
