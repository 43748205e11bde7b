import { randomBytes } from 'node:crypto'
import type { Reading } from '../../reading.ts'
import type { AnswerWriter } from '../codec.ts'
import type { Json } from '../json.ts'
import type { FinishReason, NeutralEvent, TokenLogprob } from '../neutral.ts'
import { tagSignature } from '../signatures.ts'
import type { ResponsesRequest } from './request.ts'
import { writeResponsesUsage } from './usage.ts'

const encoder = new TextEncoder()
const mint = (prefix: string) => `${prefix}_${randomBytes(16).toString('hex')}`

type Of<T extends NeutralEvent['type']> = Extract<NeutralEvent, { type: T }>
type Told = Of<'text' | 'thought' | 'signature' | 'refusal' | 'toolCall' | 'arguments'>

/** An output item in the making. */
interface Item {
  index: number
  item: Json
  closed: boolean
}

/**
 * Builds a response from events, one item after the other, and says each step as an event of the streamed form; whether anybody
 * listens is the writers' business. Tool calls stay open until the end, since their pieces may come in turns.
 */
class ResponseBuilder {
  readonly response: Json
  readonly #items: Item[] = []
  readonly #calls = new Map<number, Item>()
  #open: Item | undefined
  #sequence = 0

  constructor(
    { body }: ResponsesRequest,
    readonly tell: (event: Json) => void,
  ) {
    this.response = emptyResponse(body)
  }

  begin({ model, createdS }: Of<'start'>): void {
    Object.assign(this.response, { model, created_at: createdS ?? Math.floor(Date.now() / 1000) })
    this.say('response.created', { response: this.response })
    this.say('response.in_progress', { response: this.response })
  }

  add(event: Told): void {
    if (event.type === 'toolCall') this.#addCall(event)
    else if (event.type === 'arguments') this.#addArguments(event)
    else if (event.type === 'thought') this.#addThought(event.text)
    else if (event.type === 'signature') this.#addSignature(event)
    else this.#addContent(event)
  }

  /** Ends what is open and the response itself; `reason` is how. */
  finish(reason: FinishReason, readings: Reading[] | undefined): void {
    this.#close(this.#open)
    for (const item of this.#calls.values()) this.#close(item)
    const cut = incompleteReasons[reason]
    Object.assign(this.response, {
      status: cut ? 'incomplete' : 'completed',
      incomplete_details: cut ? { reason: cut } : null,
      output: this.#items.map(({ item }) => item),
      ...(readings && { usage: writeResponsesUsage(readings) }),
    })
    this.say(cut ? 'response.incomplete' : 'response.completed', { response: this.response })
  }

  say(type: string, fields: Json): void {
    this.tell({ type, sequence_number: this.#sequence++, ...fields })
  }

  #item(item: Json): Item {
    const made = { index: this.#items.length, item, closed: false }
    this.#items.push(made)
    this.say('response.output_item.added', { output_index: made.index, item: structuredClone(item) })
    return made
  }

  /** The open item where it is of this type, else a new one. */
  #current(type: string, make: () => Json): Item {
    if (this.#open?.item.type === type) return this.#open
    this.#close(this.#open)
    this.#open = this.#item(make())
    return this.#open
  }

  #addContent(event: Of<'text' | 'refusal'>): void {
    const made = this.#current('message', () => ({ ...messageItem, id: mint('msg'), content: [] }))
    const { content, id } = made.item
    const isText = event.type === 'text'
    let part: Json = content.at(-1)
    if (!part || (part.type === 'output_text') !== isText) {
      if (part) this.#closePart(made, content.length - 1)
      part = isText
        ? { type: 'output_text', text: '', annotations: [], logprobs: [] }
        : { type: 'refusal', refusal: '' }
      content.push(part)
      this.#say(made, 'response.content_part.added', { content_index: content.length - 1, part: { ...part } })
    }
    const logprobs = (isText && event.logprobs?.map(logprobOf)) || []
    part[isText ? 'text' : 'refusal'] += event.text
    if (isText) part.logprobs.push(...logprobs)
    const type = isText ? 'response.output_text.delta' : 'response.refusal.delta'
    const delta = { content_index: content.length - 1, delta: event.text, ...(isText && { logprobs }) }
    this.say(type, { item_id: id, output_index: made.index, ...delta })
  }

  #addThought(text: string): void {
    const made = this.#current('reasoning', () => ({ type: 'reasoning', id: mint('rs'), summary: [] }))
    const { summary } = made.item
    if (summary.length === 0) {
      summary.push({ type: 'summary_text', text: '' })
      this.#say(made, 'response.reasoning_summary_part.added', { summary_index: 0, part: { ...summary[0] } })
    }
    summary[0].text += text
    this.#say(made, 'response.reasoning_summary_text.delta', { summary_index: 0, delta: text })
  }

  /** Ends the thought; what proves it travels where OpenAI has its own. */
  #addSignature({ signature, encrypted }: Of<'signature'>): void {
    const made = this.#current('reasoning', () => ({ type: 'reasoning', id: mint('rs'), summary: [] }))
    const own = signature.from === 'OPENAI_RESPONSES'
    if (own) {
      const [id, sealed] = signature.value.split(' ', 2)
      Object.assign(made.item, { ...(id && { id }), encrypted_content: sealed })
    } else made.item.encrypted_content = tagSignature(encrypted ? 'encrypted' : 'thought', signature)
    this.#close(made)
  }

  #addCall({ call, id, name, signature }: Of<'toolCall'>): void {
    this.#close(this.#open)
    if (signature) {
      const encrypted_content = tagSignature('call', signature)
      this.#close(this.#item({ type: 'reasoning', id: mint('rs'), summary: [], encrypted_content }))
    }
    const item = { type: 'function_call', id: mint('fc'), call_id: id, name, arguments: '', status: 'in_progress' }
    this.#calls.set(call, this.#item(item))
  }

  #addArguments({ call, json }: Of<'arguments'>): void {
    const made = this.#calls.get(call)!
    made.item.arguments += json
    this.#say(made, 'response.function_call_arguments.delta', { delta: json })
  }

  #close(made: Item | undefined): void {
    if (this.#open === made) this.#open = undefined
    if (!made || made.closed) return
    made.closed = true
    const { item } = made
    if (item.type === 'message') {
      this.#closePart(made, item.content.length - 1)
      item.status = 'completed'
    } else if (item.type === 'function_call') {
      item.arguments ||= '{}'
      item.status = 'completed'
      this.#say(made, 'response.function_call_arguments.done', { name: item.name, arguments: item.arguments })
    } else if (item.summary.length > 0) {
      const [part] = item.summary
      this.#say(made, 'response.reasoning_summary_text.done', { summary_index: 0, text: part.text })
      this.#say(made, 'response.reasoning_summary_part.done', { summary_index: 0, part })
    }
    this.say('response.output_item.done', { output_index: made.index, item })
  }

  #closePart(made: Item, contentIndex: number): void {
    const part = made.item.content[contentIndex]
    const at = { content_index: contentIndex }
    if (part.type === 'refusal') this.#say(made, 'response.refusal.done', { ...at, refusal: part.refusal })
    else this.#say(made, 'response.output_text.done', { ...at, text: part.text, logprobs: part.logprobs })
    this.#say(made, 'response.content_part.done', { ...at, part })
  }

  #say({ item, index }: Item, type: string, fields: Json): void {
    this.say(type, { item_id: item.id, output_index: index, ...fields })
  }
}

const messageItem = { type: 'message', role: 'assistant', status: 'in_progress' }

const incompleteReasons: Partial<Record<FinishReason, string>> = {
  length: 'max_output_tokens',
  context_full: 'max_output_tokens',
  content_filter: 'content_filter',
}

/** A response repeats what it was asked with. */
function emptyResponse(body: Json): Json {
  return {
    id: mint('resp'),
    object: 'response',
    created_at: 0,
    status: 'in_progress',
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    model: body.model ?? '',
    output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: body.reasoning ?? { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? null,
    text: body.text ?? { format: { type: 'text' } },
    tool_choice: body.tool_choice ?? 'auto',
    tools: body.tools ?? [],
    top_p: body.top_p ?? null,
    truncation: 'disabled',
    usage: null,
    user: body.user ?? null,
  }
}

function logprobOf({ token, logprob, bytes, top }: TokenLogprob): Json {
  return { token, logprob, bytes: bytes ?? [], top_logprobs: top.map((each) => ({ ...each, bytes: each.bytes ?? [] })) }
}

/** What both manners share: the end waits until the record is durable. */
abstract class ResponsesWriter implements AnswerWriter {
  readonly lost: Set<string> = new Set()
  protected readonly out: Json[] = []
  protected readonly builder: ResponseBuilder
  #reason: FinishReason = 'stop'
  #readings: Reading[] | undefined

  constructor(request: ResponsesRequest) {
    this.builder = new ResponseBuilder(request, (event) => this.out.push(event))
  }

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    for (const event of events) {
      if (event.type === 'start') this.builder.begin(event)
      else if (event.type === 'finish') this.#reason = event.reason
      else if (event.type === 'usage') this.#readings = event.readings
      else if (event.type !== 'foreign') this.builder.add(event)
    }
    return this.release()
  }

  end(): Uint8Array[] {
    this.builder.finish(this.#reason, this.#readings)
    return this.last()
  }

  protected abstract release(): Uint8Array[]
  protected abstract last(): Uint8Array[]
}

/** Tells an answer as the events of a streamed response. */
export class ResponsesEventWriter extends ResponsesWriter {
  protected release(): Uint8Array[] {
    if (this.out.length === 0) return []
    const text = this.out.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
    this.out.length = 0
    return [encoder.encode(text)]
  }

  protected last(): Uint8Array[] {
    return this.release()
  }
}

/** Tells an answer as one response. */
export class ResponseWriter extends ResponsesWriter {
  protected release(): Uint8Array[] {
    this.out.length = 0
    return []
  }

  protected last(): Uint8Array[] {
    return [encoder.encode(JSON.stringify(this.builder.response))]
  }
}
