import type { Reading } from '../../reading.ts'
import { reportedTier } from '../ceiling-parts.ts'
import type { AnswerFault, AnswerReader } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import { entryOf, type Json, textOf } from '../json.ts'
import type { FinishReason, NeutralEvent, Signature, TokenLogprob } from '../neutral.ts'
import { JsonReader, readLogprob, SseReader, type StreamGrammar } from '../reading.ts'
import { readToldError } from './errors.ts'
import { readUsage } from './usage.ts'

/** Reads a chat completion, streamed or plain, into events. */
export function chatReader(streamed: boolean, thinks = false): AnswerReader {
  return streamed ? new SseReader(new ChunkGrammar(), thinks) : new JsonReader(readCompletion)
}

function readCompletion(answer: Json, text: string): NeutralEvent[] | AnswerFault {
  if (answer.error) return readToldError(answer as { error: object }, text)
  const choices = Array.isArray(answer.choices) ? answer.choices : []
  if (choices.length === 0) return brokeOff('Its answer holds no choices.')
  if (!choices.every((choice) => typeof choice?.message === 'object' && choice.message !== null))
    return brokeOff('Its answer holds a choice without a message.')
  if (choices.length > choicesMax) return brokeOff(`Its answer holds more than ${choicesMax} choices.`)
  const usage = readUsage(answer.usage)
  const calls = choices.map(() => new Calls())
  const told = choices.flatMap((choice, index) => [
    ...contentOf(choice.message, choice.logprobs, index, calls[index]!),
    ...finishOf(choice.finish_reason ?? 'stop', index),
  ])
  if (calls.some(({ isFlooded }) => isFlooded)) return brokeOff(`It made more than ${callsMax} calls.`)
  return [startOf(answer), ...told, ...(usage ? [usageOf(usage, answer)] : [])]
}

/** Reads chunks: deltas that name their choice, a last one with usage, `[DONE]`. */
class ChunkGrammar implements StreamGrammar {
  complete = false
  #begun = false
  #finished = false
  #isFlooded = false
  readonly #calls = new Map<number, Calls>()

  event(data: string): NeutralEvent[] | AnswerFault {
    if (data === '[DONE]') {
      this.complete = true
      return []
    }
    const read = readObject(data, 'An event of its')
    if (!('object' in read)) return read
    const chunk: Json = read.object
    if (chunk.error) return readToldError(chunk as { error: object }, data)
    const events: NeutralEvent[] = []
    const choices: Json[] = Array.isArray(chunk.choices) ? chunk.choices : []
    if (!this.#begun && choices.length > 0) {
      this.#begun = true
      events.push(startOf(chunk))
    }
    for (const choice of choices) {
      for (const event of this.#read(choice ?? {})) events.push(event)
      if (this.#isFlooded) return brokeOff(`It made more than ${callsMax} calls.`)
    }
    const usage = readUsage(chunk.usage)
    if (usage) events.push(usageOf(usage, chunk))
    return events
  }

  end(): NeutralEvent[] | AnswerFault {
    if (!this.#finished && !this.complete) return brokeOff('Its stream ended before the answer did.')
    return this.#begun ? [] : brokeOff('Its stream held no answer.')
  }

  #read(choice: Json): NeutralEvent[] {
    const index = isPlace(choice.index, choicesMax) ? choice.index : 0
    const calls = this.#calls.get(index) ?? new Calls()
    this.#calls.set(index, calls)
    const finish = choice.finish_reason == null ? [] : finishOf(choice.finish_reason, index)
    if (finish.length > 0) this.#finished = true
    const said = contentOf(choice.delta ?? {}, choice.logprobs, index, calls)
    this.#isFlooded = calls.isFlooded
    return [...said, ...finish]
  }
}

function usageOf(readings: Reading[], { service_tier: tier }: Json): NeutralEvent {
  return { type: 'usage', readings, serviceTier: reportedTier(tier) }
}

function startOf({ id, model, created }: Json): NeutralEvent {
  const createdS = Number.isSafeInteger(created) ? created : null
  return { type: 'start', id: textOf(id), model: textOf(model), createdS }
}

/** A message or a delta: they have the same members. */
function contentOf(said: Json, logprobs: Json | null, choice: number, calls: Calls): NeutralEvent[] {
  const events: NeutralEvent[] = []
  const thought = said.reasoning_content ?? said.reasoning
  if (typeof thought === 'string' && thought) events.push({ type: 'thought', choice, text: thought })
  for (const detail of Array.isArray(said.reasoning_details) ? said.reasoning_details : [])
    events.push(...signatureOf(detail, choice))
  if (typeof said.content === 'string' && said.content)
    events.push({ type: 'text', choice, text: said.content, ...logprobsOf(logprobs) })
  if (typeof said.refusal === 'string' && said.refusal) events.push({ type: 'refusal', choice, text: said.refusal })
  if (said.audio) events.push({ type: 'foreign', what: 'audio' })
  if (said.function_call) events.push({ type: 'foreign', what: 'function_call' })
  if (said.annotations?.length > 0) events.push({ type: 'foreign', what: 'annotations' })
  if (Array.isArray(said.tool_calls)) {
    for (const call of said.tool_calls) events.push(...calls.read(call ?? {}, choice))
  }
  return events
}

/** What proves the reasoning, as gateways of this protocol tell it. */
function signatureOf(detail: Json, choice: number): NeutralEvent[] {
  const value = detail?.signature ?? detail?.data
  if (typeof value !== 'string' || typeof detail.format !== 'string') return []
  const signature = { from: detail.format as Signature['from'], value }
  return [{ type: 'signature', choice, signature, encrypted: detail.type === 'reasoning.encrypted' }]
}

/** The tool calls of one choice. Some servers leave `index` out, or send each call whole: a new id is then a new call. */
class Calls {
  readonly #ids: string[] = []

  get isFlooded(): boolean {
    return this.#ids.length > callsMax
  }

  read(call: Json, choice: number): NeutralEvent[] {
    if (this.isFlooded) return []
    const at = this.#placeOf(call)
    const events: NeutralEvent[] = []
    if (this.#ids[at] === undefined) {
      const id = textOf(call.id) || `call_${at}_${choice}`
      this.#ids[at] = id
      events.push({ type: 'toolCall', choice, call: at, id, name: textOf(call.function?.name), ...signed(call) })
    }
    const json = call.function?.arguments
    if (typeof json === 'string' && json) events.push({ type: 'arguments', choice, call: at, json })
    return events
  }

  #placeOf({ index, id: given }: Json): number {
    const id = textOf(given)
    const known = id ? this.#ids.indexOf(id) : -1
    if (known >= 0) return known
    if (isPlace(index, callsMax) && !(id && this.#ids[index])) return index
    return id ? this.#ids.length : Math.max(0, this.#ids.length - 1)
  }
}

/** No request asks for more choices (OpenAI API reference), and no model makes more calls in one answer. */
const choicesMax = 128
const callsMax = 1_000

const isPlace = (index: unknown, most: number) =>
  Number.isInteger(index) && (index as number) >= 0 && (index as number) < most

function signed(call: Json) {
  const value = call.extra_content?.google?.thought_signature
  return typeof value === 'string' ? { signature: { from: 'GEMINI_GENERATE' as const, value } } : {}
}

function logprobsOf(logprobs: Json | null): { logprobs?: TokenLogprob[] } {
  if (!Array.isArray(logprobs?.content)) return {}
  return {
    logprobs: logprobs.content.map(readLogprob),
  }
}

const finishReasons: Record<string, FinishReason> = {
  stop: 'stop',
  length: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
}

function finishOf(reason: unknown, choice: number): NeutralEvent[] {
  return [{ type: 'finish', choice, reason: entryOf(finishReasons, reason) ?? 'stop' }]
}
