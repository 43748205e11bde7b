import { reportedTier } from '../ceiling-parts.ts'
import { type AnswerFacts, type AnswerFault, type AnswerReader, isFault } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import { entryOf, type Json, textOf } from '../json.ts'
import type { FinishReason, NeutralEvent } from '../neutral.ts'
import { emptyFacts, eventBytesMax, JsonReader, note } from '../reading.ts'
import { readConverseError, readStreamException } from './errors.ts'
import { type FramingProblem, MessageCutter, type StreamMessage } from './event-stream.ts'
import { readUsage } from './usage.ts'

/** Reads an answer of Converse or ConverseStream into events. */
export function converseReader(streamed: boolean): AnswerReader {
  return streamed ? new ConverseStreamReader() : new JsonReader(readConverse)
}

function readConverse(answer: Json, text: string): NeutralEvent[] | AnswerFault {
  const content = answer.output?.message?.content
  if (!Array.isArray(content))
    return typeof answer.message === 'string' ? readConverseError(500, text) : brokeOff('Its answer holds no content.')
  const blocks = new Blocks()
  const usage = readUsage(answer.usage)
  return [
    begin(),
    ...content.flatMap((block, index) => blocks.whole(index, block ?? {})),
    ...finishOf(answer.stopReason),
    ...(usage
      ? [{ type: 'usage' as const, readings: usage, serviceTier: reportedTier(answer.serviceTier?.type) }]
      : []),
  ]
}

/** Reads the messages of an event stream: blocks start (text does not), grow and stop, the answer stops, metadata say its cost. */
class ConverseStreamReader implements AnswerReader {
  readonly facts: AnswerFacts = emptyFacts(false)
  readonly #cutter = new MessageCutter(eventBytesMax)
  readonly #blocks = new Blocks()
  #begun = false
  #finished = false
  #complete = false
  /** Met behind events that are good: told by `end`. */
  #fault: AnswerFault | undefined

  get complete(): boolean {
    return this.#complete || this.#fault !== undefined
  }

  push(chunk: Uint8Array): NeutralEvent[] | AnswerFault {
    const events: NeutralEvent[] = []
    if (this.complete) return events
    for (const message of this.#cutter.push(chunk)) {
      const read = typeof message === 'string' ? brokeOff(problems[message]) : this.#read(message)
      if (isFault(read)) return this.#stop(events, read)
      note(this.facts, read)
      events.push(...read)
      if (this.#complete) break
    }
    return events
  }

  end(): NeutralEvent[] | AnswerFault {
    if (this.#fault) return this.#fault
    const rest = this.#complete ? undefined : this.#cutter.end()
    if (rest) return brokeOff(problems[rest])
    if (!this.#finished) return brokeOff('Its stream ended before the answer did.')
    return this.#begun ? [] : brokeOff('Its stream held no answer.')
  }

  #stop(events: NeutralEvent[], fault: AnswerFault): NeutralEvent[] | AnswerFault {
    this.#fault = fault
    return events.length > 0 ? events : fault
  }

  #read({ headers, payload }: StreamMessage): NeutralEvent[] | AnswerFault {
    const text = new TextDecoder().decode(payload)
    const kind = headers[':message-type']
    if (kind === 'exception') return readStreamException(headers[':exception-type'] ?? '', text)
    if (kind === 'error')
      return readStreamException(headers[':error-code'] ?? '', JSON.stringify({ message: headers[':error-message'] }))
    const read = readObject(text, 'An event of its')
    return 'object' in read ? this.#event(headers[':event-type'], read.object) : read
  }

  #event(type: string | undefined, event: Json): NeutralEvent[] {
    const index: number = event.contentBlockIndex ?? 0
    switch (type) {
      case 'messageStart':
        this.#begun = true
        return [begin()]
      case 'contentBlockStart':
        return this.#blocks.start(index, event.start ?? {})
      case 'contentBlockDelta':
        if (event.delta?.reasoningContent) this.facts.hiddenOutput = true
        return this.#blocks.grow(index, event.delta ?? {})
      case 'contentBlockStop':
        return this.#blocks.stop(index)
      case 'messageStop':
        if (this.#finished) return []
        this.#finished = true
        return finishOf(event.stopReason)
      case 'metadata':
        return this.#metadata(event)
    }
    return []
  }

  #metadata(event: Json): NeutralEvent[] {
    this.#complete = this.#finished
    const readings = readUsage(event.usage)
    return readings ? [{ type: 'usage', readings, serviceTier: reportedTier(event.serviceTier?.type) }] : []
  }
}

interface Block {
  /** Of a tool call, counted from 0. */
  call: number | undefined
  signature: string
}

/** The blocks of one answer, by their index. */
class Blocks {
  readonly #open = new Map<number, Block>()
  #calls = 0

  /** A block of a plain answer. */
  whole(index: number, block: Json): NeutralEvent[] {
    const { toolUse, reasoningContent: reasoning, text } = block
    if (typeof text === 'string') return this.grow(index, { text })
    if (toolUse) {
      const input = JSON.stringify(toolUse.input ?? {})
      return [...this.start(index, { toolUse }), ...this.grow(index, { toolUse: { input } }), ...this.stop(index)]
    }
    if (reasoning?.reasoningText || reasoning?.redactedContent) {
      const { text: shown, signature } = reasoning.reasoningText ?? {}
      const pieces = [{ text: shown }, { signature }, { redactedContent: reasoning.redactedContent }]
      return [...pieces.flatMap((piece) => this.grow(index, { reasoningContent: piece })), ...this.stop(index)]
    }
    return foreign(block)
  }

  start(index: number, { toolUse, ...other }: Json): NeutralEvent[] {
    if (!toolUse) return foreign(other)
    const { call } = this.#at(index, this.#calls++)
    return [{ type: 'toolCall', choice: 0, call: call!, id: textOf(toolUse.toolUseId), name: textOf(toolUse.name) }]
  }

  grow(index: number, delta: Json): NeutralEvent[] {
    const { text, toolUse, reasoningContent: reasoning } = delta
    if (typeof text === 'string') return text === '' ? [] : [{ type: 'text', choice: 0, text }]
    if (reasoning) return this.#reason(index, reasoning)
    if (!toolUse) return foreign(delta)
    const call = this.#open.get(index)?.call
    const json = textOf(toolUse.input)
    return call === undefined || json === '' ? [] : [{ type: 'arguments', choice: 0, call, json }]
  }

  stop(index: number): NeutralEvent[] {
    const block = this.#open.get(index)
    this.#open.delete(index)
    return block?.signature ? [signatureEvent(block.signature, false)] : []
  }

  #reason(index: number, { text, signature, redactedContent }: Json): NeutralEvent[] {
    if (textOf(signature) !== '') this.#at(index).signature += signature
    if (textOf(redactedContent) !== '') return [signatureEvent(redactedContent, true)]
    return textOf(text) === '' ? [] : [{ type: 'thought', choice: 0, text }]
  }

  #at(index: number, call?: number): Block {
    const known = this.#open.get(index)
    if (known) return known
    const block: Block = { call, signature: '' }
    if (this.#open.size < openMax) this.#open.set(index, block)
    return block
  }
}

/** Blocks come one after the other; a provider that leaves them all open is not followed for ever. */
const openMax = 1_000

/** Citations, images that a model drew, results of a server's tools: what has no neutral form, by its name. */
function foreign(block: Json): NeutralEvent[] {
  return Object.keys(block)
    .slice(0, 1)
    .map((what) => ({ type: 'foreign', what }))
}

function signatureEvent(value: string, encrypted: boolean): NeutralEvent {
  return { type: 'signature', choice: 0, signature: { from: 'BEDROCK_CONVERSE', value }, encrypted }
}

/** Answers have neither an id nor a model's name. */
function begin(): NeutralEvent {
  return { type: 'start', id: crypto.randomUUID(), model: '', createdS: null }
}

const finishReasons: Record<string, FinishReason> = {
  end_turn: 'stop',
  tool_use: 'tool_calls',
  max_tokens: 'length',
  stop_sequence: 'stop_sequence',
  guardrail_intervened: 'content_filter',
  content_filtered: 'content_filter',
  model_context_window_exceeded: 'context_full',
}

/** `malformed_model_output` and `malformed_tool_use` have no other name anywhere: they are told as they are. */
function finishOf(given: unknown): NeutralEvent[] {
  const known = entryOf(finishReasons, given)
  const finish: NeutralEvent = { type: 'finish', choice: 0, reason: known ?? 'stop' }
  return known ? [finish] : [finish, { type: 'foreign', what: `stopReason.${textOf(given)}`.slice(0, 100) }]
}

const problems: Record<FramingProblem, string> = {
  too_large: `It sent an event larger than ${eventBytesMax} bytes.`,
  damaged: 'It sent an event that came damaged.',
  cut_short: 'Its stream ended within an event.',
}
