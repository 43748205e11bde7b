import type { Reading } from '../../reading.ts'
import type { AnswerWriter } from '../codec.ts'
import type { Json } from '../json.ts'
import type { FinishReason, NeutralEvent, Signature, TokenLogprob } from '../neutral.ts'
import { type ChatUsage, writeUsage } from './usage.ts'

const encoder = new TextEncoder()
const sse = (data: string) => encoder.encode(`data: ${data}\n\n`)

const finishReasons: Record<FinishReason, string> = {
  stop: 'stop',
  stop_sequence: 'stop',
  length: 'length',
  context_full: 'length',
  tool_calls: 'tool_calls',
  content_filter: 'content_filter',
  refusal: 'content_filter',
  pause: 'stop',
}

/** What every chunk, and the whole answer, begins with. */
class Head {
  id = ''
  model = ''
  created = 0

  read({ id, model, createdS }: Extract<NeutralEvent, { type: 'start' }>): void {
    this.id = id.startsWith('chatcmpl') ? id : `chatcmpl-${id}`
    this.model = model
    this.created = createdS ?? Math.floor(Date.now() / 1000)
  }
}

/** Tells an answer as chunks of a chat completion. */
export class ChatChunkWriter implements AnswerWriter {
  readonly lost: Set<string> = new Set()
  readonly #head = new Head()
  readonly #held: string[] = []
  readonly #begun = new Set<number>()
  #usage: ChatUsage | undefined

  constructor(readonly showsUsage: boolean) {}

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    const out = events.flatMap((event) => this.#tell(event))
    return out.length > 0 ? [encoder.encode(out.map((data) => `data: ${data}\n\n`).join(''))] : []
  }

  end(): Uint8Array[] {
    const usage = this.showsUsage ? [this.#chunk([], { usage: this.#usage ?? null })] : []
    return [...this.#held, ...usage, '[DONE]'].map(sse)
  }

  #tell(event: NeutralEvent): string[] {
    if (event.type === 'start') this.#head.read(event)
    else if (event.type === 'usage') this.#usage = writeUsage(event.readings)
    else if (event.type === 'finish') {
      const choice = { index: event.choice, delta: {}, logprobs: null, finish_reason: finishReasons[event.reason] }
      this.#held.push(...this.#opening(event.choice), this.#chunk([choice]))
    } else if (event.type !== 'foreign') return [...this.#opening(event.choice), this.#delta(event)]
    return []
  }

  #opening(choice: number): string[] {
    if (this.#begun.has(choice)) return []
    this.#begun.add(choice)
    const delta = { role: 'assistant', content: '' }
    return [this.#chunk([{ index: choice, delta, logprobs: null, finish_reason: null }])]
  }

  #delta(event: Told): string {
    const logprobs = event.type === 'text' && event.logprobs ? { content: event.logprobs.map(logprobOf) } : null
    return this.#chunk([{ index: event.choice, delta: deltaOf(event), logprobs, finish_reason: null }])
  }

  #chunk(choices: Json[], extra: Json = this.showsUsage ? { usage: null } : {}): string {
    const { id, created, model } = this.#head
    return JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices, ...extra })
  }
}

type Told = Exclude<NeutralEvent, { type: 'start' | 'usage' | 'finish' | 'foreign' }>

function deltaOf(event: Told): Json {
  switch (event.type) {
    case 'text':
      return { content: event.text }
    case 'thought':
      return { reasoning_content: event.text }
    case 'signature':
      return { reasoning_details: [detailOf(event.signature, event.encrypted, '')] }
    case 'refusal':
      return { refusal: event.text }
    case 'toolCall':
      return { tool_calls: [{ index: event.call, ...callOf(event) }] }
    case 'arguments':
      return { tool_calls: [{ index: event.call, function: { arguments: event.json } }] }
  }
}

/** Reasoning that is to be sent back, in the form that several gateways and SDKs use. */
function detailOf({ from, value }: Signature, encrypted: boolean, text: string): Json {
  return encrypted
    ? { type: 'reasoning.encrypted', data: value, format: from, ...(text && { text }) }
    : { type: 'reasoning.text', text, signature: value, format: from }
}

function callOf({ id, name, signature }: Extract<NeutralEvent, { type: 'toolCall' }>): Json {
  const signed = signature && { extra_content: { google: { thought_signature: signature.value } } }
  return { id, type: 'function', function: { name, arguments: '' }, ...signed }
}

function logprobOf({ token, logprob, bytes, top }: TokenLogprob): Json {
  return { token, logprob, bytes, top_logprobs: top }
}

interface Choice {
  message: Json
  logprobs: Json[]
  finish: string
}

/** Tells an answer as one chat completion. */
export class ChatCompletionWriter implements AnswerWriter {
  readonly lost: Set<string> = new Set()
  readonly #head = new Head()
  readonly #choices: Choice[] = []
  #readings: Reading[] | undefined

  write(events: readonly NeutralEvent[]): Uint8Array[] {
    for (const event of events) {
      if (event.type === 'start') this.#head.read(event)
      else if (event.type === 'usage') this.#readings = event.readings
      else if (event.type !== 'foreign') this.#gather(event, this.#choiceAt(event.choice))
    }
    return []
  }

  end(): Uint8Array[] {
    const { id, created, model } = this.#head
    const choices = this.#choices.map(({ message, logprobs, finish }, index) => ({
      ...{ index, message, logprobs: logprobs.length > 0 ? { content: logprobs } : null, finish_reason: finish },
    }))
    const usage = this.#readings && { usage: writeUsage(this.#readings) }
    return [encoder.encode(JSON.stringify({ id, object: 'chat.completion', created, model, choices, ...usage }))]
  }

  #choiceAt(index: number): Choice {
    this.#choices[index] ??= {
      message: { role: 'assistant', content: null, refusal: null },
      logprobs: [],
      finish: 'stop',
    }
    return this.#choices[index]
  }

  #gather(event: Told | Extract<NeutralEvent, { type: 'finish' }>, choice: Choice): void {
    const { message } = choice
    if (event.type === 'finish') choice.finish = finishReasons[event.reason]
    else if (event.type === 'text') {
      message.content = (message.content ?? '') + event.text
      if (event.logprobs) choice.logprobs.push(...event.logprobs.map(logprobOf))
    } else if (event.type === 'refusal') message.refusal = (message.refusal ?? '') + event.text
    else if (event.type === 'thought') gatherThought(message, event.text)
    else if (event.type === 'signature') gatherSignature(message, event)
    else if (event.type === 'toolCall') callsOf(message)[event.call] = callOf(event)
    else message.tool_calls[event.call].function.arguments += event.json
  }
}

function callsOf(message: Json): Json[] {
  message.tool_calls ??= []
  return message.tool_calls
}

/** The newest thought's text stands apart until its signature, where it has one, says how it ends. */
function gatherThought(message: Json, text: string): void {
  message.reasoning_content = (message.reasoning_content ?? '') + text
}

function gatherSignature(message: Json, event: Extract<NeutralEvent, { type: 'signature' }>): void {
  message.reasoning_details ??= []
  const details: Json[] = message.reasoning_details
  const told = details.reduce((length, { text }) => length + (text?.length ?? 0), 0)
  const text = (message.reasoning_content ?? '').slice(told)
  details.push(detailOf(event.signature, event.encrypted, text))
}
