import { SseCutter, type SseProblem } from '../sse.ts'
import { type AnswerFacts, type AnswerFault, type AnswerReader, isFault } from './codec.ts'
import { brokeOff, Gathered, readObject } from './gathered.ts'
import { type Json, textOf } from './json.ts'
import type { NeutralEvent, TokenLogprob } from './neutral.ts'

/** One event larger than this is no token of any model. */
export const eventBytesMax = 8 * 1024 * 1024

/** Pieces of content, calls and the like that one event, or one plain answer, may hold. No model writes as many. */
const partsMax = 10_000
const tooManyParts = `It holds more than ${partsMax} parts.`

/** How one protocol's streamed answers are read; a new one for each answer. */
export interface StreamGrammar {
  /** One event's data, with its name where it has one. */
  event(data: string, name: string | undefined): NeutralEvent[] | AnswerFault
  /** True once the answer is complete: what follows is ignored. */
  readonly complete: boolean
  /** True once there is output that is billed and not shown. */
  readonly hidesOutput?: boolean
  /** What is left to tell when the stream ends; a fault where it ended too early. */
  end(): NeutralEvent[] | AnswerFault
}

export function emptyFacts(hiddenOutput: boolean): AnswerFacts {
  return { usage: undefined, finishReason: null, outputBytes: 0, hiddenOutput }
}

/** Keeps the facts up with what was read. */
export function note(facts: AnswerFacts, events: readonly NeutralEvent[]): void {
  for (const event of events) {
    if (event.type === 'text' || event.type === 'thought' || event.type === 'refusal')
      facts.outputBytes += Buffer.byteLength(event.text)
    else if (event.type === 'arguments') facts.outputBytes += Buffer.byteLength(event.json)
    else if (event.type === 'toolCall') facts.outputBytes += Buffer.byteLength(event.name)
    else if (event.type === 'usage') {
      facts.usage = event.readings
      facts.serviceTier = event.serviceTier
    } else if (event.type === 'finish') facts.finishReason = event.reason
  }
}

/** Reads a stream of server-sent events by its grammar. */
export class SseReader implements AnswerReader {
  readonly facts: AnswerFacts
  readonly #cutter = new SseCutter(eventBytesMax)
  readonly #grammar: StreamGrammar
  /** Met behind events that are good: told by `end`. */
  #fault: AnswerFault | undefined

  /** `hiddenOutput`: tokens can be billed that the stream does not show. */
  constructor(grammar: StreamGrammar, hiddenOutput = false) {
    this.#grammar = grammar
    this.facts = emptyFacts(hiddenOutput)
  }

  get complete(): boolean {
    return this.#fault !== undefined || this.#grammar.complete
  }

  push(chunk: Uint8Array): NeutralEvent[] | AnswerFault {
    const events: NeutralEvent[] = []
    if (this.complete) return events
    for (const cut of this.#cutter.push(chunk)) {
      const read = typeof cut === 'string' ? brokeOff(problems[cut]) : this.#read(cut.data, cut.name)
      if (isFault(read)) return this.#stop(events, read)
      events.push(...read)
      if (this.#grammar.complete) break
    }
    return events
  }

  end(): NeutralEvent[] | AnswerFault {
    if (this.#fault) return this.#fault
    const last = this.#grammar.complete ? undefined : this.#cutter.end()
    if (typeof last === 'string') return brokeOff(problems[last])
    const read = last ? this.#read(last.data, last.name) : []
    if (isFault(read)) return read
    const rest = this.#grammar.end()
    if (isFault(rest)) return rest
    note(this.facts, rest)
    return [...read, ...rest]
  }

  #read(data: string | undefined, name: string | undefined): NeutralEvent[] | AnswerFault {
    if (data === undefined) return []
    const events = this.#grammar.event(data, name)
    if (isFault(events)) return events
    if (events.length > partsMax) return brokeOff(tooManyParts)
    note(this.facts, events)
    if (this.#grammar.hidesOutput) this.facts.hiddenOutput = true
    return events
  }

  #stop(events: NeutralEvent[], fault: AnswerFault): NeutralEvent[] | AnswerFault {
    if (events.length === 0) return fault
    this.#fault = fault
    return events
  }
}

/** Reads a plain JSON answer, once it is whole. */
export class JsonReader implements AnswerReader {
  readonly facts: AnswerFacts = emptyFacts(true)
  readonly complete = false
  readonly #gathered = new Gathered()

  constructor(readonly read: (answer: Record<string, unknown>, text: string) => NeutralEvent[] | AnswerFault) {}

  push(chunk: Uint8Array): NeutralEvent[] | AnswerFault {
    return this.#gathered.push(chunk) ?? []
  }

  end(): NeutralEvent[] | AnswerFault {
    const text = new TextDecoder().decode(this.#gathered.bytes())
    const answer = readObject(text, 'Its answer')
    if (!('object' in answer)) return answer
    const events = this.read(answer.object, text)
    if (isFault(events)) return events
    if (events.length > partsMax) return brokeOff(tooManyParts)
    note(this.facts, events)
    return events
  }
}

export const problems: Record<SseProblem, string> = {
  event_too_large: `It sent an event larger than ${eventBytesMax} bytes.`,
  not_utf8: 'It sent bytes that are not UTF-8.',
}

/** A token's log probability as both of OpenAI's protocols tell it. */
export function readLogprob(given: Json | null): TokenLogprob {
  const tops: unknown = given?.top_logprobs
  return { ...tokenOf(given), top: Array.isArray(tops) ? tops.map(tokenOf) : [] }
}

function tokenOf(given: Json | null): Omit<TokenLogprob, 'top'> {
  const { token, logprob, bytes } = given ?? {}
  return {
    token: textOf(token),
    logprob: typeof logprob === 'number' ? logprob : 0,
    bytes: Array.isArray(bytes) ? bytes : null,
  }
}
