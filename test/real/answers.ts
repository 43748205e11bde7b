import { constants, crc32, deflateRawSync } from 'node:zlib'
import type { RecordedRequest } from './recorded-request.ts'

/** What goes over the wire for one answer. */
export interface Script {
  status: number
  headers: Record<string, string>
  /** Each chunk is written on its own; they share no packet only when `chunkDelayMs` is above 0. */
  chunks: Uint8Array[]
  framing: 'length' | 'chunked' | 'until close'
  /** What `content-length` says, where that is not the truth. */
  claimedBytes?: number
  headDelayMs: number
  firstChunkDelayMs: number
  chunkDelayMs: number
  /** After the chunks: end well, close the socket too early, reset it, or say nothing more for ever. */
  ending: 'well' | 'break' | 'reset' | 'stall'
}

/** An answer to be given, made afresh for each request. Every method returns a new answer. */
export class Answer {
  constructor(readonly compose: (request: RecordedRequest) => Script) {}

  /** The general form of all that follow. */
  changed(change: (script: Script) => Partial<Script>): Answer {
    return new Answer((request) => {
      const script = this.compose(request)
      return { ...script, ...change(script) }
    })
  }

  status(status: number): Answer {
    return this.changed(() => ({ status }))
  }
  header(name: string, value: string): Answer {
    return this.changed(({ headers }) => ({ headers: { ...headers, [name]: value } }))
  }
  headDelayMs(headDelayMs: number): Answer {
    return this.changed(() => ({ headDelayMs }))
  }
  /** Between the head and the first byte of the body. */
  firstChunkDelayMs(firstChunkDelayMs: number): Answer {
    return this.changed(() => ({ firstChunkDelayMs }))
  }
  chunkDelayMs(chunkDelayMs: number): Answer {
    return this.changed(() => ({ chunkDelayMs }))
  }

  /** Closes the socket after the last chunk without the end that the framing promised. */
  thenBreak(): Answer {
    return this.changed((script) => ({ ...promised(script), ending: 'break' }))
  }
  /** As `thenBreak`, with a TCP reset. */
  thenReset(): Answer {
    return this.changed((script) => ({ ...promised(script), ending: 'reset' }))
  }
  /** Sends all chunks and then nothing more, the socket open, until the client leaves. */
  thenStall(): Answer {
    return this.changed((script) => ({ ...promised(script), ending: 'stall' }))
  }
  /** Only the first `count` chunks, and a good end unless thenBreak, thenReset or thenStall follows. */
  chunksOnly(count: number): Answer {
    return this.changed(({ chunks }) => ({ chunks: chunks.slice(0, count) }))
  }
  /** Only the first `count` bytes of the body, cut wherever that falls, and a good end: truncated JSON, for one. */
  bytesOnly(count: number): Answer {
    return this.changed(({ chunks }) => ({ chunks: [Buffer.concat(chunks).subarray(0, count)] }))
  }
  /** What `content-length` claims; more than there is makes a truncated answer. */
  claimBytes(claimedBytes: number): Answer {
    return this.changed(() => ({ claimedBytes, framing: 'length' }))
  }
  /** Neither length nor chunks: the body ends where the connection ends. */
  untilClose(): Answer {
    return this.changed(() => ({ framing: 'until close' }))
  }

  /** The same bytes in pieces of `size`, so that characters, lines and events are split anywhere. */
  pieces(size: number): Answer {
    return this.changed(({ chunks }) => ({ chunks: cut(Buffer.concat(chunks), size) }))
  }
  /** The same bytes at once. */
  atOnce(): Answer {
    return this.changed(({ chunks }) => ({ chunks: [Buffer.concat(chunks)] }))
  }
  /** Event streams only: every line end becomes `end`. */
  lineEnds(end: '\n' | '\r\n' | '\r'): Answer {
    return this.changed(({ chunks }) => ({
      chunks: chunks.map((chunk) => Buffer.from(Buffer.from(chunk).toString('latin1').replaceAll('\n', end), 'latin1')),
    }))
  }
  /** Event streams only: how often `data: [DONE]` stands at the end, instead of once. */
  done(times: number): Answer {
    return this.changed(({ chunks }) => ({
      chunks: [...chunks.filter((chunk) => !isDone(chunk)), ...Array<Uint8Array>(times).fill(doneBytes)],
    }))
  }
  /** Compressed, each chunk flushed so that it can be read at once. */
  gzip(): Answer {
    return this.header('content-encoding', 'gzip').changed(({ chunks }) => ({ chunks: gzipChunks(chunks) }))
  }
}

const doneBytes = Buffer.from('data: [DONE]\n\n')
const isDone = (chunk: Uint8Array) => doneBytes.equals(chunk)

/** A body with a length must promise more than it gets, or else its end would look well. */
function promised({ framing, claimedBytes, chunks }: Script): Partial<Script> {
  return framing === 'length' ? { claimedBytes: claimedBytes ?? bytesOf(chunks) + 1 } : {}
}

export function bytesOf(chunks: Uint8Array[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}

function cut(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}

/** RFC 1952: header, raw deflate blocks (each flushed, none final), an empty final block, checksum and length. */
function gzipChunks(chunks: Uint8Array[]): Uint8Array[] {
  const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])
  const blocks = chunks.map((chunk) => deflateRawSync(chunk, { finishFlush: constants.Z_SYNC_FLUSH }))
  const trailer = Buffer.alloc(10)
  trailer.set([3, 0])
  trailer.writeUInt32LE(
    chunks.reduce((sum, chunk) => crc32(chunk, sum), 0),
    2,
  )
  trailer.writeUInt32LE(bytesOf(chunks) % 2 ** 32, 6)
  return [header, ...blocks, trailer]
}

/** One piece of an event stream, already encoded. */
export class Wire {
  constructor(readonly bytes: Uint8Array) {}
}
/** `event: name` and its data. */
export function event(name: string, data: unknown): Wire {
  return new Wire(Buffer.from(`event: ${name}\n${dataLines(data)}\n`))
}
/** A comment, as servers send to keep a connection open. */
export function comment(text: string): Wire {
  return new Wire(Buffer.from(`: ${text}\n\n`))
}
/** Anything at all: invalid data, unfinished events, a byte order mark. */
export function raw(text: string | Uint8Array): Wire {
  return new Wire(Buffer.from(text as string))
}

/** A string goes out as it is, one `data:` line per line of it; anything else as JSON. */
function dataLines(data: unknown): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return text
    .split('\n')
    .map((line) => `data: ${line}\n`)
    .join('')
}

function script(status: number, contentType: string, chunks: Uint8Array[], framing: Script['framing']): Script {
  const headers = { 'content-type': contentType }
  return { status, headers, chunks, framing, headDelayMs: 0, firstChunkDelayMs: 0, chunkDelayMs: 0, ending: 'well' }
}

function jsonScript(value: unknown, status = 200): Script {
  return script(status, 'application/json', [Buffer.from(JSON.stringify(value))], 'length')
}

export interface ChatOptions {
  /** A string is streamed word by word, a list piece by piece. */
  text?: string | string[]
  toolCalls?: { name: string; arguments: unknown }[]
  /** null: the upstream reports no usage at all. */
  usage?: { prompt_tokens: number; completion_tokens: number; [more: string]: unknown } | null
  finishReason?: string
  /** Members to add to the answer or to each chunk. */
  extra?: Record<string, unknown>
}

/** The ways in which a scripted upstream can answer. OpenAI's shapes where a shape is needed. */
export const answers = {
  /** A chat completion: a stream when the request asks for one (usage only with `include_usage`), else one JSON. */
  chat(what: string | string[] | ChatOptions = 'Hello there, friend.'): Answer {
    const options = typeof what === 'string' || Array.isArray(what) ? { text: what } : what
    return new Answer((request) => (request.streamed ? chatStream(options, request) : chatWhole(options, request)))
  },
  json(value: unknown, status = 200): Answer {
    return new Answer(() => jsonScript(value, status))
  },
  /** An error body as OpenAI writes it. With status 200 it is an error that claims success. */
  error(status: number, message: string, fields: { type?: string; code?: string | null; param?: string } = {}): Answer {
    const error = { message, type: 'invalid_request_error', param: null, code: null, ...fields }
    return answers.json({ error }, status)
  },
  /** An event stream, each item a chunk of its own: strings and objects are data; also `event`, `comment`, `raw`. */
  sse(items: unknown[]): Answer {
    const chunks = items.map((item) => (item instanceof Wire ? item.bytes : Buffer.from(`${dataLines(item)}\n`)))
    return new Answer(() => script(200, 'text/event-stream', chunks, 'chunked'))
  },
  /** Any body, with a length; a list of bodies goes out chunked. */
  bytes(body: string | Uint8Array | (string | Uint8Array)[], contentType = 'application/json', status = 200): Answer {
    const chunks = (Array.isArray(body) ? body : [body]).map((part) => Buffer.from(part as string))
    return new Answer(() => script(status, contentType, chunks, Array.isArray(body) ? 'chunked' : 'length'))
  },
  empty(status = 200): Answer {
    return answers.bytes('', 'application/json', status)
  },
  /** One small vector per input, and usage. */
  embeddings(dimensions = 8): Answer {
    return new Answer((request) => {
      const input = request.member('input')
      const data = (Array.isArray(input) ? input : [input]).map((_, index) => ({
        object: 'embedding',
        index,
        embedding: Array.from({ length: dimensions }, (_, at) => (at + index) / 16),
      }))
      const usage = { prompt_tokens: data.length * 5, total_tokens: data.length * 5 }
      return jsonScript({ object: 'list', data, model: request.model, usage })
    })
  },
}

function usageOf(options: ChatOptions): object | undefined {
  if (options.usage === null) return undefined
  const usage = options.usage ?? { prompt_tokens: 10, completion_tokens: pieces(options).length }
  return { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens }
}

function pieces(options: ChatOptions): string[] {
  if (Array.isArray(options.text)) return options.text
  return options.text?.match(/\S+\s*|\s+/gu) ?? []
}

function common(options: ChatOptions, request: RecordedRequest, object: string): Record<string, unknown> {
  return { id: 'chatcmpl-scripted', object, created: 1_767_225_600, model: request.model, ...options.extra }
}

function finishReason(options: ChatOptions): string {
  return options.finishReason ?? (options.toolCalls ? 'tool_calls' : 'stop')
}

function toolCallsOf(options: ChatOptions) {
  return options.toolCalls?.map((call, index) => ({
    id: `call_${index}`,
    type: 'function',
    function: { name: call.name, arguments: JSON.stringify(call.arguments) },
  }))
}

function chatWhole(options: ChatOptions, request: RecordedRequest): Script {
  const content = options.text === undefined && options.toolCalls ? null : pieces(options).join('')
  const message = { role: 'assistant', content, tool_calls: toolCallsOf(options) }
  return jsonScript({
    ...common(options, request, 'chat.completion'),
    choices: [{ index: 0, message, finish_reason: finishReason(options) }],
    usage: usageOf(options),
  })
}

function chatStream(options: ChatOptions, request: RecordedRequest): Script {
  const members = common(options, request, 'chat.completion.chunk')
  const includeUsage = request.member('stream_options', 'include_usage') === true
  const chunk = (choices: unknown[], usage?: unknown) => Buffer.from(`${dataLines({ ...members, choices, usage })}\n`)
  const delta = (fields: object, finish_reason: string | null = null) =>
    chunk([{ index: 0, delta: fields, finish_reason }])
  const encoded = new Map<string, Uint8Array>()
  const content = (text: string) => {
    if (!encoded.has(text)) encoded.set(text, delta({ content: text }))
    return encoded.get(text)!
  }
  const usage = includeUsage ? usageOf(options) : undefined
  const chunks = [
    delta({ role: 'assistant', content: '' }),
    ...pieces(options).map(content),
    ...(toolCallsOf(options) ?? []).map((call, index) => delta({ tool_calls: [{ index, ...call }] })),
    delta({}, finishReason(options)),
    ...(usage ? [chunk([], usage)] : []),
    doneBytes,
  ]
  return script(200, 'text/event-stream', chunks, 'chunked')
}
