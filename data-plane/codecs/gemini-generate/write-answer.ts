import type { Reading } from '../../reading.ts'
import type { AnswerWriter } from '../codec.ts'
import type { Json } from '../json.ts'
import type { NeutralEvent } from '../neutral.ts'
import { Candidate } from './candidate.ts'
import { Frames } from './framing.ts'
import type { GeminiRequest } from './request.ts'
import { writeUsage } from './usage.ts'

const encoder = new TextEncoder()

/** Tells an answer piece by piece. */
export class GeminiPieceWriter implements AnswerWriter {
  readonly #answer: Answer
  readonly #frames: Frames

  constructor(request: GeminiRequest) {
    this.#answer = new Answer(request)
    this.#frames = new Frames(request.framing)
  }

  get lost(): ReadonlySet<string> {
    return this.#answer.lost
  }

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    const piece = this.#answer.piece(this.#answer.read(events))
    return piece === undefined ? [] : [this.#frames.frame(piece)]
  }

  /** How each candidate ends, and the usage. */
  end(): Uint8Array[] {
    return [this.#frames.frame(this.#answer.rest()), ...this.#frames.close()]
  }
}

/** Tells an answer as one GenerateContentResponse. */
export class GeminiAnswerWriter implements AnswerWriter {
  readonly #answer: Answer

  constructor(request: GeminiRequest) {
    this.#answer = new Answer(request)
  }

  get lost(): ReadonlySet<string> {
    return this.#answer.lost
  }

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    this.#answer.read(events)
    return []
  }

  end(): Uint8Array[] {
    return [encoder.encode(this.#answer.rest())]
  }
}

/** What was said of an answer, and what of it is told by now. */
class Answer {
  readonly lost = new Set<string>()
  readonly #showsThoughts: boolean
  readonly #candidates = new Map<number, Candidate>()
  #readings: readonly Reading[] | undefined
  #head: Json = {}

  constructor({ config }: GeminiRequest) {
    const thinking = config?.body.thinkingConfig
    this.#showsThoughts = (thinking?.includeThoughts ?? thinking?.include_thoughts) === true
  }

  /** Answers the candidates that said something. */
  read(events: readonly NeutralEvent[]): Set<Candidate> {
    const speaking = new Set<Candidate>()
    for (const event of events) {
      if (event.type === 'start') this.#head = { modelVersion: event.model, responseId: event.id }
      else if (event.type === 'usage') this.#readings = event.readings
      else if (event.type !== 'foreign') {
        const candidate = this.#candidateAt(event.choice)
        candidate.read(event)
        speaking.add(candidate)
      }
    }
    return speaking
  }

  /** What these have to tell now; undefined where that is nothing. */
  piece(speaking: Set<Candidate>): string | undefined {
    const candidates = [...speaking].flatMap((candidate) => candidate.take() ?? [])
    return candidates.length > 0 ? this.#response(candidates, '') : undefined
  }

  rest(): string {
    const candidates = [...this.#candidates.values()].map((candidate) => candidate.end())
    const usage = this.#readings ? `,"usageMetadata":${JSON.stringify(writeUsage(this.#readings))}` : ''
    return this.#response(candidates, usage)
  }

  #response(candidates: string[], usage: string): string {
    const head = JSON.stringify(this.#head).slice(1, -1)
    return `{"candidates":[${candidates.join(',')}]${usage}${head && `,${head}`}}`
  }

  #candidateAt(index: number): Candidate {
    let candidate = this.#candidates.get(index)
    if (!candidate) {
      candidate = new Candidate(index, this.#showsThoughts, this.lost)
      this.#candidates.set(index, candidate)
    }
    return candidate
  }
}
