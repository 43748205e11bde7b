import type { AnswerFault, AnswerReader } from '../codec.ts'
import { brokeOff } from '../gathered.ts'
import { entryOf, type Json, textOf } from '../json.ts'
import type { FinishReason, NeutralEvent } from '../neutral.ts'
import { JsonReader, SseReader, type StreamGrammar } from '../reading.ts'
import { readToldError } from './errors.ts'
import { readEvent } from './events.ts'
import { mergeUsage, readUsage, tierOf } from './usage.ts'

/** Reads a message, streamed or plain, into events. */
export function messagesReader(streamed: boolean): AnswerReader {
  return streamed ? new SseReader(new MessageGrammar()) : new JsonReader(readMessage)
}

function readMessage(answer: Json, text: string): NeutralEvent[] | AnswerFault {
  if (answer.type === 'error') return readToldError(answer, text)
  if (!Array.isArray(answer.content)) return brokeOff('Its answer holds no content.')
  const blocks = new Blocks()
  const usage = readUsage(answer.usage)
  return [
    startOf(answer),
    ...answer.content.flatMap((block, index) => [...blocks.start(index, block ?? {}), ...blocks.stop(index)]),
    finishOf(answer.stop_reason ?? 'end_turn', answer.stop_sequence),
    ...(usage ? [{ type: 'usage' as const, readings: usage, serviceTier: tierOf(answer.usage) }] : []),
  ]
}

/** Reads the events of a message: it starts, blocks start, grow and stop, a last delta says how and what it cost, it stops. */
class MessageGrammar implements StreamGrammar {
  complete = false
  hidesOutput = false
  #begun = false
  #finished = false
  #usage: Json | undefined
  readonly #blocks = new Blocks()

  event(data: string): NeutralEvent[] | AnswerFault {
    const read = readEvent(data)
    if ('refusal' in read) return read
    const { type, message, index, content_block: block, delta, usage } = read.event
    switch (type) {
      case 'message_start':
        this.#begun = true
        this.#usage = message?.usage
        return [startOf(message ?? {})]
      case 'content_block_start':
        if (/thinking/.test(block?.type)) this.hidesOutput = true
        return this.#blocks.start(index, block ?? {})
      case 'content_block_delta':
        return this.#blocks.grow(index, delta ?? {})
      case 'content_block_stop':
        return this.#blocks.stop(index)
      case 'message_delta':
        return this.#last(delta ?? {}, usage)
      case 'message_stop':
        this.complete = true
    }
    return []
  }

  end(): NeutralEvent[] | AnswerFault {
    if (!this.#finished) return brokeOff('Its stream ended before the answer did.')
    return this.#begun ? [] : brokeOff('Its stream held no answer.')
  }

  #last({ stop_reason: reason, stop_sequence: sequence }: Json, usage: Json | undefined): NeutralEvent[] {
    this.#usage = mergeUsage(this.#usage, usage)
    const readings = readUsage(this.#usage)
    const events: NeutralEvent[] = readings ? [{ type: 'usage', readings, serviceTier: tierOf(this.#usage) }] : []
    if (reason == null || this.#finished) return events
    this.#finished = true
    return [finishOf(reason, sequence), ...events]
  }
}

interface Block {
  type: string
  /** Of a tool call, counted from 0. */
  call: number
  /** JSON of its input as the block started, for a call whose arguments do not stream. */
  input: string
  signature: string
}

/** The blocks of one message, by their index. */
class Blocks {
  readonly #open = new Map<number, Block>()
  #calls = 0

  start(index: number, block: Json): NeutralEvent[] {
    const type = textOf(block.type)
    const open: Block = { type, call: this.#calls, input: '', signature: '' }
    if (this.#open.size < openMax) this.#open.set(index, open)
    if (type === 'text') return textEvents(block)
    if (type === 'thinking') {
      open.signature = textOf(block.signature)
      return thoughtEvents(block)
    }
    if (type === 'redacted_thinking') return [signatureEvent(textOf(block.data), true)]
    if (type !== 'tool_use') return [{ type: 'foreign', what: type.slice(0, 60) || 'content' }]
    this.#calls++
    if (block.input && Object.keys(block.input).length > 0) open.input = JSON.stringify(block.input)
    return [{ type: 'toolCall', choice: 0, call: open.call, id: textOf(block.id), name: textOf(block.name) }]
  }

  grow(index: number, delta: Json): NeutralEvent[] {
    const open = this.#open.get(index)
    if (delta.type === 'text_delta') return textEvents(delta)
    if (delta.type === 'thinking_delta') return thoughtEvents(delta)
    if (delta.type === 'citations_delta') return [{ type: 'foreign', what: 'citations' }]
    if (delta.type === 'signature_delta' && open) open.signature += textOf(delta.signature)
    if (delta.type !== 'input_json_delta' || open?.type !== 'tool_use' || !delta.partial_json) return []
    open.input = ''
    return [{ type: 'arguments', choice: 0, call: open.call, json: textOf(delta.partial_json) }]
  }

  stop(index: number): NeutralEvent[] {
    const open = this.#open.get(index)
    this.#open.delete(index)
    if (open?.signature) return [signatureEvent(open.signature, false)]
    return open?.input ? [{ type: 'arguments', choice: 0, call: open.call, json: open.input }] : []
  }
}

/** Blocks come one after the other; a provider that leaves them all open is not followed for ever. */
const openMax = 1_000

function textEvents({ text, citations }: Json): NeutralEvent[] {
  const cited: NeutralEvent[] = citations?.length > 0 ? [{ type: 'foreign', what: 'citations' }] : []
  return textOf(text) === '' ? cited : [{ type: 'text', choice: 0, text }, ...cited]
}

function thoughtEvents({ thinking }: Json): NeutralEvent[] {
  return textOf(thinking) === '' ? [] : [{ type: 'thought', choice: 0, text: thinking }]
}

function signatureEvent(value: string, encrypted: boolean): NeutralEvent {
  return { type: 'signature', choice: 0, signature: { from: 'ANTHROPIC_MESSAGES', value }, encrypted }
}

function startOf({ id, model }: Json): NeutralEvent {
  return { type: 'start', id: textOf(id), model: textOf(model), createdS: null }
}

const finishReasons: Record<string, FinishReason> = {
  end_turn: 'stop',
  max_tokens: 'length',
  stop_sequence: 'stop_sequence',
  tool_use: 'tool_calls',
  pause_turn: 'pause',
  compaction: 'pause',
  refusal: 'refusal',
  model_context_window_exceeded: 'context_full',
}

function finishOf(reason: unknown, sequence: unknown): NeutralEvent {
  const stopSequence = typeof sequence === 'string' ? { stopSequence: sequence } : {}
  return { type: 'finish', choice: 0, reason: entryOf(finishReasons, reason) ?? 'stop', ...stopSequence }
}
