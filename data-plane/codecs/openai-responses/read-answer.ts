import { reportedTier } from '../ceiling-parts.ts'
import type { AnswerFault, AnswerReader } from '../codec.ts'
import { brokeOff, readObject } from '../gathered.ts'
import { type Json, textOf } from '../json.ts'
import type { FinishReason, NeutralEvent, TokenLogprob } from '../neutral.ts'
import { JsonReader, readLogprob, SseReader, type StreamGrammar } from '../reading.ts'
import { faultOf } from './answer.ts'
import { readFailed } from './errors.ts'
import { readResponsesUsage } from './usage.ts'

/** Reads a response, streamed or plain, into events. */
export function responsesReader(streamed: boolean): AnswerReader {
  // Reasoning is billed whether or not a summary of it is shown.
  return streamed ? new SseReader(new ResponseGrammar(), true) : new JsonReader(readResponse)
}

function readResponse(response: Json, text: string): NeutralEvent[] | AnswerFault {
  const fault = faultOf(response, text)
  if (fault) return fault
  const items = new Items()
  const events = [startOf(response)]
  for (const [index, item] of response.output.entries()) events.push(...items.whole(item, index))
  return [...events, ...endOf(response, items)]
}

function startOf({ id, model, created_at: created }: Json): NeutralEvent {
  const createdS = Number.isSafeInteger(created) ? created : null
  return { type: 'start', id: textOf(id), model: textOf(model), createdS }
}

function endOf(response: Json, items: Items): NeutralEvent[] {
  const usage = readResponsesUsage(response.usage)
  const finish: NeutralEvent = { type: 'finish', choice: 0, reason: reasonOf(response, items) }
  return usage
    ? [finish, { type: 'usage', readings: usage, serviceTier: reportedTier(response.service_tier) }]
    : [finish]
}

function reasonOf({ incomplete_details: details, status }: Json, items: Items): FinishReason {
  if (status === 'incomplete') return details?.reason === 'content_filter' ? 'content_filter' : 'length'
  if (items.callsSeen > 0) return 'tool_calls'
  return items.refused ? 'refusal' : 'stop'
}

/** The items of one response: which have begun, and how much of each was told in pieces. */
class Items {
  callsSeen = 0
  refused = false
  /** By output index. */
  readonly #calls = new Map<number, { call: number; pieces: number }>()
  readonly #told = new Set<number>()

  begin(item: Json, index: number): NeutralEvent[] {
    if (item?.type !== 'function_call') return []
    const call = this.callsSeen++
    this.#calls.set(index, { call, pieces: 0 })
    return [{ type: 'toolCall', choice: 0, call, id: textOf(item.call_id ?? item.id), name: textOf(item.name) }]
  }

  arguments(index: number, json: string): NeutralEvent[] {
    const known = this.#calls.get(index)
    if (!known || json === '') return []
    known.pieces++
    return [{ type: 'arguments', choice: 0, call: known.call, json }]
  }

  text(index: number, text: string, logprobs?: Json[]): NeutralEvent[] {
    this.#told.add(index)
    const events: NeutralEvent[] = [{ type: 'text', choice: 0, text, ...logprobsOf(logprobs) }]
    return text ? events : []
  }

  thought(index: number, text: string): NeutralEvent[] {
    this.#told.add(index)
    return text ? [{ type: 'thought', choice: 0, text }] : []
  }

  refusal(index: number, text: string): NeutralEvent[] {
    this.#told.add(index)
    this.refused = true
    return text ? [{ type: 'refusal', choice: 0, text }] : []
  }

  /** A whole item: what was told in pieces before is not told again. */
  whole(item: Json, index: number): NeutralEvent[] {
    if (item?.type === 'function_call') return this.#wholeCall(item, index)
    if (item?.type === 'reasoning') return this.#wholeThought(item, index)
    if (item?.type === 'message') return this.#wholeMessage(item, index)
    return [{ type: 'foreign', what: textOf(item?.type).slice(0, 60) || 'item' }]
  }

  #wholeCall(item: Json, index: number): NeutralEvent[] {
    const begun = this.#calls.has(index) ? [] : this.begin(item, index)
    const isTold = this.#calls.get(index)!.pieces > 0
    return [...begun, ...(isTold ? [] : this.arguments(index, textOf(item.arguments)))]
  }

  #wholeThought({ id, summary, content, encrypted_content: sealed }: Json, index: number): NeutralEvent[] {
    const told = [summary, content].flatMap((some): Json[] => (Array.isArray(some) ? some : []))
    const text = told.map((each) => textOf(each?.text)).join('\n\n')
    const events = this.#told.has(index) ? [] : this.thought(index, text)
    if (typeof sealed !== 'string' || sealed === '') return events
    const signature = { from: 'OPENAI_RESPONSES' as const, value: `${textOf(id)} ${sealed}` }
    return [...events, { type: 'signature', choice: 0, signature, encrypted: true }]
  }

  #wholeMessage({ content }: Json, index: number): NeutralEvent[] {
    if (this.#told.has(index) || !Array.isArray(content)) return []
    return content.flatMap((part: Json): NeutralEvent[] => {
      if (part?.type === 'output_text') return this.text(index, textOf(part.text), part.logprobs)
      if (part?.type === 'refusal') return this.refusal(index, textOf(part.refusal))
      return [{ type: 'foreign', what: textOf(part?.type).slice(0, 60) || 'content' }]
    })
  }
}

function logprobsOf(logprobs: Json[] | undefined): { logprobs?: TokenLogprob[] } {
  if (!Array.isArray(logprobs) || logprobs.length === 0) return {}
  return {
    logprobs: logprobs.map(readLogprob),
  }
}

/** Reads the events of a streamed response. */
class ResponseGrammar implements StreamGrammar {
  complete = false
  readonly #items = new Items()

  event(data: string): NeutralEvent[] | AnswerFault {
    if (data === '[DONE]') return []
    const read = readObject(data, 'An event of its')
    if (!('object' in read)) return read
    const event: Json = read.object
    const at = Number.isInteger(event.output_index) ? event.output_index : 0
    switch (event.type) {
      case 'response.created':
        return [startOf(event.response ?? {})]
      case 'response.output_item.added':
        return this.#items.begin(event.item, at)
      case 'response.output_text.delta':
        return this.#items.text(at, textOf(event.delta), event.logprobs)
      case 'response.refusal.delta':
        return this.#items.refusal(at, textOf(event.delta))
      case 'response.reasoning_summary_part.added':
        return Number.isInteger(event.summary_index) && event.summary_index > 0 ? this.#items.thought(at, '\n\n') : []
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return this.#items.thought(at, textOf(event.delta))
      case 'response.function_call_arguments.delta':
        return this.#items.arguments(at, textOf(event.delta))
      case 'response.output_item.done':
        return this.#items.whole(event.item, at)
      case 'response.completed':
      case 'response.incomplete':
        this.complete = true
        return endOf(event.response ?? {}, this.#items)
      case 'response.failed':
        return readFailed(event.response?.error, data)
      case 'error':
        return readFailed(event.error ?? event, data)
      default:
        return []
    }
  }

  end(): NeutralEvent[] | AnswerFault {
    return this.complete ? [] : brokeOff('Its stream ended before the answer did.')
  }
}
