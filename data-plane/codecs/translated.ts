import {
  type AnswerDecoder,
  type AnswerFacts,
  type AnswerFault,
  type AnswerReader,
  type AnswerWriter,
  isFault,
  type UpstreamError,
} from './codec.ts'

/** Follows an answer in the provider's protocol and tells it in the client's. */
export class TranslatedDecoder implements AnswerDecoder {
  readonly #foreign = new Set<string>()

  constructor(
    readonly reader: AnswerReader,
    readonly writer: AnswerWriter,
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
    return isFault(events) ? retold(events) : this.#tell(events)
  }

  end(): Uint8Array[] | AnswerFault {
    const events = this.reader.end()
    if (isFault(events)) return retold(events)
    return [...this.#tell(events), ...this.writer.end()]
  }

  #tell(events: Parameters<AnswerWriter['write']>[0]): Uint8Array[] {
    for (const event of events) if (event.type === 'foreign' && this.#foreign.size < 20) this.#foreign.add(event.what)
    return events.length > 0 ? this.writer.write(events) : []
  }
}

/** An error of another protocol: its body is not the client's, its sentence is. */
export function retold({ body: _, told, ...error }: UpstreamError): UpstreamError {
  return told === undefined ? error : { ...error, refusal: { ...error.refusal, detail: told } }
}
