import type { AnswerFault, AnswerReader } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import { type Json, textOf } from '../json.ts'
import type { NeutralEvent, TokenLogprob } from '../neutral.ts'
import { JsonReader, SseReader, type StreamGrammar } from '../reading.ts'
import { readToldError } from './errors.ts'
import { madeUpId } from './ids.ts'
import { camel } from './names.ts'
import { readReason } from './reasons.ts'
import { readUsage, tierOf } from './usage.ts'

/** Reads a GenerateContentResponse, streamed or plain, into events. What was thought is billed and need not be shown. */
export function geminiReader(streamed: boolean): AnswerReader {
  return streamed ? new SseReader(new Pieces(), true) : new JsonReader(readWhole)
}

function readWhole(answer: Json, text: string): NeutralEvent[] | AnswerFault {
  const pieces = new Pieces()
  const events = pieces.read(answer, text)
  if ('refusal' in events) return events
  const rest = pieces.end()
  return 'refusal' in rest ? rest : [...events, ...rest]
}

/** Reads pieces of an answer, each a GenerateContentResponse of its own; a plain answer is one such piece. */
class Pieces implements StreamGrammar {
  /** The connection's end is the answer's. */
  readonly complete = false
  #id: string | undefined
  readonly #candidates = new Map<number, Candidate>()
  #blocked = false
  #usage: NeutralEvent | undefined

  event(data: string): NeutralEvent[] | AnswerFault {
    const read = readObject(data, 'An event of its')
    return 'object' in read ? this.read(read.object, data) : read
  }

  read(piece: Json, text: string): NeutralEvent[] | AnswerFault {
    if (piece.error) return readToldError(piece.error, text)
    const readings = readUsage(piece.usageMetadata)
    if (readings) this.#usage = { type: 'usage', readings, serviceTier: tierOf(piece.usageMetadata) }
    const events = this.#start(piece)
    if (typeof piece.promptFeedback?.blockReason === 'string' && !this.#blocked) {
      this.#blocked = true
      events.push({ type: 'finish', choice: 0, reason: 'content_filter' })
    }
    for (const given of Array.isArray(piece.candidates) ? piece.candidates : []) {
      const read = this.#candidateAt(given?.index ?? 0).read(given ?? {})
      if ('refusal' in read) return read
      events.push(...read)
    }
    return events
  }

  /** Every piece can bring counts; the last ones hold. */
  end(): NeutralEvent[] | AnswerFault {
    const candidates = [...this.#candidates.values()]
    if (!this.#blocked && !candidates.some(({ isTold }) => isTold)) return brokeOff('Its answer holds no candidates.')
    if (!this.#blocked && !candidates.some(({ isOver }) => isOver)) return brokeOff('Its answer ended too early.')
    return this.#usage ? [this.#usage] : []
  }

  #start({ responseId, modelVersion, createTime }: Json): NeutralEvent[] {
    if (this.#id !== undefined) return []
    this.#id = textOf(responseId)
    const createdMs = typeof createTime === 'string' ? Date.parse(createTime) : Number.NaN
    const createdS = Number.isNaN(createdMs) ? null : Math.floor(createdMs / 1_000)
    return [{ type: 'start', id: this.#id, model: textOf(modelVersion), createdS }]
  }

  #candidateAt(given: unknown): Candidate {
    const index = Number.isInteger(given) && (given as number) >= 0 && (given as number) < 128 ? (given as number) : 0
    let candidate = this.#candidates.get(index)
    if (!candidate) {
      candidate = new Candidate(index, this.#id ?? '')
      this.#candidates.set(index, candidate)
    }
    return candidate
  }
}

/** More parts than this in one answer are no answer. */
const callsMax = 1_000

/** What one candidate says, piece by piece. */
class Candidate {
  isTold = false
  isOver = false
  #calls = 0
  #content = false

  constructor(
    readonly choice: number,
    readonly answerId: string,
  ) {}

  read(candidate: Json): NeutralEvent[] | AnswerFault {
    const { content, finishReason, logprobsResult } = candidate
    const events: NeutralEvent[] = []
    if (content !== undefined || finishReason !== undefined) this.isTold = true
    for (const part of Array.isArray(content?.parts) ? content.parts : []) events.push(...this.#part(camel(part)))
    if (this.#calls > callsMax) return brokeOff(`It made more than ${callsMax} calls.`)
    if (events.length > 0) this.#content = true
    attachLogprobs(events, logprobsResult)
    for (const what of foreignMembers) if (candidate[what] != null) events.push({ type: 'foreign', what })
    return typeof finishReason === 'string' ? this.#finish(finishReason, events) : events
  }

  #part(part: Json): NeutralEvent[] {
    const { choice } = this
    const value = part.thoughtSignature
    const signature = typeof value === 'string' && value ? ({ from: 'GEMINI_GENERATE', value } as const) : undefined
    if (part.functionCall) return this.#call(part.functionCall, signature && { signature })
    const events: NeutralEvent[] = []
    const text = typeof part.text === 'string' ? part.text : ''
    if (text && part.thought === true) events.push({ type: 'thought', choice, text })
    if (signature) events.push({ type: 'signature', choice, signature, encrypted: false })
    if (text && part.thought !== true) events.push({ type: 'text', choice, text })
    for (const what of foreignParts) if (part[what] != null) events.push({ type: 'foreign', what })
    return events
  }

  /** A call comes whole, and mostly without an id. */
  #call(given: Json, signed: { signature: { from: 'GEMINI_GENERATE'; value: string } } | undefined): NeutralEvent[] {
    const { choice } = this
    const call = this.#calls++
    const id = typeof given.id === 'string' && given.id ? given.id : madeUpId(this.answerId, choice, call)
    const args = given.args && Object.keys(given.args).length > 0 ? JSON.stringify(given.args) : undefined
    return [
      { type: 'toolCall', choice, call, id, name: textOf(given.name), ...signed },
      ...(args ? [{ type: 'arguments' as const, choice, call, json: args }] : []),
    ]
  }

  /** What says that something failed is no answer where nothing was said before it. */
  #finish(given: string, events: NeutralEvent[]): NeutralEvent[] | AnswerFault {
    const { choice } = this
    if (given === 'FINISH_REASON_UNSPECIFIED' || this.isOver) return events
    const reason = readReason(given, this.#calls > 0)
    if (reason === undefined && !this.#content)
      return brokeOff(`It ended with ${given.slice(0, 100)} and said nothing.`)
    this.isOver = true
    if (reason === undefined) events.push({ type: 'foreign', what: `finishReason.${given.slice(0, 100)}` })
    return [...events, { type: 'finish', choice, reason: reason ?? 'stop' }]
  }
}

const foreignMembers = ['groundingMetadata', 'citationMetadata', 'urlContextMetadata']
const foreignParts = ['inlineData', 'fileData', 'executableCode', 'codeExecutionResult', 'toolCall', 'toolResponse']

/** Log probabilities are told per piece; they go with its first text. */
function attachLogprobs(events: NeutralEvent[], result: Json | undefined): void {
  const text = events.find((event) => event.type === 'text')
  if (!text || !Array.isArray(result?.chosenCandidates)) return
  const tops = Array.isArray(result.topCandidates) ? result.topCandidates : []
  text.logprobs = result.chosenCandidates.map(
    (chosen: Json, at: number): TokenLogprob => ({
      ...logprobOf(chosen),
      top: (Array.isArray(tops[at]?.candidates) ? tops[at].candidates : []).map(logprobOf),
    }),
  )
}

function logprobOf(given: Json | null) {
  const { token, logProbability } = given ?? {}
  return { token: textOf(token), logprob: typeof logProbability === 'number' ? logProbability : 0, bytes: null }
}
