/**
 * Server-sent events, cut from a stream of bytes (WHATWG HTML, "Interpreting an event stream"). Lines end in LF, CR or CRLF and
 * an empty line ends an event. Bytes are never copied until an event spans chunks, so that they can be passed on as they came.
 */
export interface SseEvent {
  /** The event as it came, its closing empty line included. */
  raw: Uint8Array
  /** Its `data` lines joined by LF; undefined where there are none (comments, keep-alives). */
  data: string | undefined
  /** Its `event` line. */
  name: string | undefined
}

export type SseProblem = 'event_too_large' | 'not_utf8'

const LF = 10
const CR = 13

export class SseCutter {
  /** What is not yet a whole event, with room to grow: a long event in tiny chunks is copied a bounded number of times. */
  #buffer: Uint8Array = empty
  #length = 0
  readonly #eventBytesMax: number
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })

  constructor(eventBytesMax: number) {
    this.#eventBytesMax = eventBytesMax
  }

  /** True between events: nothing of an unfinished one is held. */
  get isBetween(): boolean {
    return this.#length === 0
  }

  /** The events that this chunk completes, in order; a problem comes last, and nothing after it means anything. */
  push(chunk: Uint8Array): (SseEvent | SseProblem)[] {
    const searched = this.#length
    const bytes = searched === 0 ? chunk : this.#append(chunk)
    const events: (SseEvent | SseProblem)[] = []
    let from = 0
    for (let end = eventEnd(bytes, Math.max(0, searched - 3)); end !== -1; end = eventEnd(bytes, from)) {
      const event = this.#read(bytes.subarray(from, end))
      if (!event) return [...events, 'not_utf8']
      events.push(event)
      from = end
    }
    if (searched === 0 || from > 0) this.#keep(bytes.subarray(from))
    if (this.#length > this.#eventBytesMax) events.push('event_too_large')
    return events
  }

  /** What stands behind the last empty line when the stream ends: an event whose last line the upstream left open. */
  end(): SseEvent | undefined | SseProblem {
    if (this.#length === 0) return undefined
    const event = this.#read(this.#buffer.subarray(0, this.#length))
    this.#length = 0
    return event ?? 'not_utf8'
  }

  /** Events already handed out point into the old buffer, so the rest moves to a new one. */
  #keep(rest: Uint8Array): void {
    this.#length = rest.length
    if (rest.length > 0) this.#buffer = rest.slice()
  }

  #append(chunk: Uint8Array): Uint8Array {
    const length = this.#length + chunk.length
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, this.#buffer.length * 2))
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(chunk, this.#length)
    this.#length = length
    return this.#buffer.subarray(0, length)
  }

  #read(raw: Uint8Array): SseEvent | undefined {
    let text: string
    try {
      text = this.#decoder.decode(raw)
    } catch {
      return undefined
    }
    return readEvent(raw, text)
  }
}

const empty = new Uint8Array(0)
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The data of a chunk that is nothing but whole `data:` events with LF line ends, as almost every chunk of almost every provider
 * is: decoded once and cut without looking at each byte. Undefined for any other chunk, which the cutter then reads.
 */
export function plainEvents(chunk: Uint8Array): string[] | undefined {
  if (chunk[chunk.length - 1] !== LF || chunk[chunk.length - 2] !== LF) return undefined
  let text: string
  try {
    text = utf8.decode(chunk)
  } catch {
    return undefined
  }
  if (text.includes('\r')) return undefined
  const events: string[] = []
  for (let at = 0; at < text.length; ) {
    if (!text.startsWith('data: ', at)) return undefined
    const end = text.indexOf('\n', at)
    if (text.charCodeAt(end + 1) !== LF) return undefined
    events.push(text.slice(at + 6, end))
    at = end + 2
  }
  return events
}

/**
 * Just behind the first empty line at or after `from`, or -1. A CR at the very end is not yet known to be a whole line break,
 * unless the one before it already made the line empty.
 */
function eventEnd(bytes: Uint8Array, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte !== LF && byte !== CR) continue
    const next = byte === CR && bytes[at + 1] === LF ? at + 2 : at + 1
    const second = bytes[next]
    if (second === LF) return next + 1
    if (second === CR) return bytes[next + 1] === LF ? next + 2 : next + 1
    at = next - 1
  }
  return -1
}

const lineEnd = /[\r\n]/

/** One `data:` line, with an `event:` line before it or none, is by far the commonest event; it is read without splitting. */
function readEvent(raw: Uint8Array, text: string): SseEvent {
  const end = text.startsWith('data: ') ? text.search(lineEnd) : -1
  if (end === text.length - 2 && text.endsWith('\n\n')) return { raw, data: text.slice(6, end), name: undefined }
  if (end === text.length - 4 && text.endsWith('\r\n\r\n')) return { raw, data: text.slice(6, end), name: undefined }
  const line = text.startsWith('event: ') && !text.includes('\r') ? text.indexOf('\n') + 1 : 0
  if (
    line > 0 &&
    text.startsWith('data: ', line) &&
    text.indexOf('\n', line) === text.length - 2 &&
    text.endsWith('\n\n')
  )
    return { raw, data: text.slice(line + 6, -2), name: text.slice(7, line - 1) }
  let data: string | undefined
  let name: string | undefined
  for (const line of text.split(/\r\n|\n|\r/)) {
    if (line.startsWith('data:')) data = data === undefined ? fieldValue(line, 5) : `${data}\n${fieldValue(line, 5)}`
    else if (line === 'data') data = data === undefined ? '' : `${data}\n`
    else if (line.startsWith('event:')) name = fieldValue(line, 6)
  }
  return { raw, data, name }
}

function fieldValue(line: string, from: number): string {
  return line.charCodeAt(from) === 32 ? line.slice(from + 1) : line.slice(from)
}
