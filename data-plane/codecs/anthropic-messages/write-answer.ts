import { isMonstrous } from '../../json-members.ts'
import type { Reading } from '../../reading.ts'
import type { AnswerWriter } from '../codec.ts'
import type { Json } from '../json.ts'
import type { FinishReason, NeutralEvent } from '../neutral.ts'
import { BlockLine, blockWith, type Piece } from './blocks.ts'
import { writeUsage } from './usage.ts'

const encoder = new TextEncoder()

const stopReasons: Record<FinishReason, string> = {
  stop: 'end_turn',
  stop_sequence: 'stop_sequence',
  length: 'max_tokens',
  context_full: 'model_context_window_exceeded',
  tool_calls: 'tool_use',
  content_filter: 'refusal',
  refusal: 'refusal',
  pause: 'pause_turn',
}

/** What both manners of answer gather on the way. */
abstract class MessageWriter implements AnswerWriter {
  readonly lost: Set<string> = new Set()
  protected id = ''
  protected model = ''
  protected usage: Reading[] | undefined
  protected readonly line = new BlockLine()
  #finish: Extract<NeutralEvent, { type: 'finish' }> | undefined
  #called = false
  #refused = false

  get overflow(): boolean {
    return this.line.overflow
  }

  abstract write(events: readonly NeutralEvent[]): Uint8Array[]
  abstract end(): Uint8Array[]

  protected take(event: NeutralEvent): void {
    if (event.type === 'foreign') return
    if (event.type === 'start') {
      this.id = event.id.startsWith('msg_') ? event.id : `msg_${event.id}`
      this.model = event.model
    } else if (event.type === 'usage') this.usage = event.readings
    // A message is one answer: clients of this protocol cannot ask for more.
    else if (event.choice > 0) this.lost.add('choices')
    else if (event.type === 'finish') this.#end(event)
    else {
      if (event.type === 'toolCall') this.#called = true
      if (event.type === 'refusal') this.#refused = true
      this.line.add(event)
    }
  }

  #end(finish: Extract<NeutralEvent, { type: 'finish' }>): void {
    this.#finish = finish
    this.line.finish()
  }

  protected get message(): Json {
    const { id, model } = this
    return { id, type: 'message', role: 'assistant', model, content: [], stop_reason: null, stop_sequence: null }
  }

  /** Some servers say `stop` where the model called tools; a client of this protocol goes by the reason alone. */
  protected get ending(): Json {
    const { reason = 'stop', stopSequence } = this.#finish ?? {}
    const told = this.#refused ? 'refusal' : reason === 'stop' && this.#called ? 'tool_calls' : reason
    return { stop_reason: stopReasons[told], stop_sequence: stopSequence ?? null }
  }
}

/** Tells an answer as the events of a message. */
export class MessageStreamWriter extends MessageWriter {
  #begun = false

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    let out = ''
    for (const event of events) {
      this.take(event)
      if (!this.#begun && opens.has(event.type)) out += this.#start()
      if (this.#begun) out += this.line.release().map(eventOf).join('')
    }
    return out === '' ? [] : [encoder.encode(out)]
  }

  end(): Uint8Array[] {
    this.line.finish()
    const opening = this.#begun ? '' : this.#start()
    const rest = this.line.release().map(eventOf).join('')
    const delta = sse('message_delta', { delta: this.ending, usage: writeUsage(this.usage) })
    return [encoder.encode(opening + rest + delta), encoder.encode(sse('message_stop', {}))]
  }

  #start(): string {
    this.#begun = true
    return sse('message_start', { message: { ...this.message, usage: writeUsage(undefined) } })
  }
}

/** The events that an answer can begin with. */
const opens: ReadonlySet<string> = new Set(['start', 'text', 'thought', 'signature', 'refusal', 'toolCall', 'finish'])

function sse(type: string, members: Json): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`
}

function eventOf(piece: Piece): string {
  const { index } = piece
  if ('start' in piece) return sse('content_block_start', { index, content_block: piece.start })
  if ('delta' in piece) return sse('content_block_delta', { index, delta: piece.delta })
  return sse('content_block_stop', { index })
}

/** Tells an answer as one message. */
export class MessageWholeWriter extends MessageWriter {
  readonly #content: Json[] = []
  readonly #inputs: string[] = []

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    for (const event of events) this.take(event)
    this.#gather()
    return []
  }

  end(): Uint8Array[] {
    this.line.finish()
    this.#gather()
    const answer = { ...this.message, content: this.#content, ...this.ending, usage: writeUsage(this.usage) }
    return [encoder.encode(JSON.stringify(answer))]
  }

  #gather(): void {
    for (const piece of this.line.release()) {
      if ('start' in piece) this.#content[piece.index] = { ...piece.start }
      else if (!('delta' in piece)) this.#close(piece.index)
      else if (piece.delta.type === 'input_json_delta')
        this.#inputs[piece.index] = (this.#inputs[piece.index] ?? '') + piece.delta.partial_json
      else this.#content[piece.index] = blockWith(this.#content[piece.index]!, piece.delta)
    }
  }

  #close(index: number): void {
    const block = this.#content[index]!
    if (block.type === 'tool_use')
      block.input = inputOf(this.#inputs[index] ?? '', () => this.lost.add('tool_use.input'))
  }
}

/** Arguments as the object that this protocol has. What is no JSON object is told whole, under one name. */
export function inputOf(text: string, onOdd: () => void): Json {
  if (text.trim() === '') return {}
  try {
    const input = isMonstrous(text) ? undefined : JSON.parse(text)
    if (typeof input === 'object' && input !== null && !Array.isArray(input)) return input
  } catch {
    // Told below.
  }
  onOdd()
  return { arguments: text }
}
