import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, answers, bytesOf, type Script } from './answers.ts'
import { RecordedRequest } from './recorded-request.ts'
import { type ReadRequest, RequestReader } from './request-reader.ts'

const requestsMax = 10_000
const bodyBytesMax = 256 * 1024 * 1024

/** Starts an upstream on a random port of 127.0.0.1, in this process, on bare sockets. */
export async function scriptedUpstream(): Promise<ScriptedUpstream> {
  const server = createServer({ noDelay: true })
  const upstream = new ScriptedUpstream(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return upstream
}

/** An upstream that answers as it is told and records what it is asked. */
export class ScriptedUpstream {
  /** What was received, oldest first; the last 10,000. */
  readonly requests: RecordedRequest[] = []
  private readonly scripts = new Map<string, Answer[]>()
  private readonly queue: Answer[] = []
  private readonly sockets = new Set<Socket>()
  private readonly arrivals = new Set<() => void>()
  private fallback: Answer | undefined
  private receivedCount = 0
  private connectionCount = 0

  constructor(private readonly server: Server) {
    server.on('connection', (socket) => this.connected(socket))
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }
  /** `http://127.0.0.1:port`, without `/v1`. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }
  /** How many connections are open now. */
  get connections(): number {
    return this.sockets.size
  }

  /** Requests for this model get these answers in turn; the last one again and again. Replaces an earlier script. */
  on(model: string, ...given: [Answer, ...Answer[]]): this {
    this.scripts.set(model, given)
    return this
  }
  /** The next requests get these answers, whatever they ask for. */
  next(...given: Answer[]): this {
    this.queue.push(...given)
    return this
  }
  /** The answer where nothing else is scripted; a 404 unless told otherwise. */
  otherwise(answer: Answer): this {
    this.fallback = answer
    return this
  }

  /** Waits until `count` requests have arrived in all (since the last reset), and gives that request. */
  async received(count: number, timeoutMs = 10_000): Promise<RecordedRequest> {
    const got = () => `${this.receivedCount} of ${count} requests`
    await arrival(this.arrivals, () => this.receivedCount >= count, timeoutMs, got)
    return this.requests[this.requests.length - 1 - (this.receivedCount - count)]!
  }

  /** Forgets scripts and recorded requests. */
  reset(): void {
    this.scripts.clear()
    this.queue.length = 0
    this.requests.length = 0
    this.receivedCount = 0
    this.fallback = undefined
  }

  /** Closes the port and every connection. */
  async stop(): Promise<void> {
    if (!this.server.listening) return
    const closed = once(this.server, 'close')
    this.server.close()
    for (const request of this.requests) request.end('upstream stopped')
    for (const socket of this.sockets) socket.destroy()
    await closed
  }

  private connected(socket: Socket): void {
    const connection = ++this.connectionCount
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    converse(socket, ({ method, path, rawHeaders, body }) => {
      const request = new RecordedRequest(method, path, rawHeaders, body, connection)
      this.record(request)
      return { request, script: this.choose(request).compose(request) }
    })
  }

  private record(request: RecordedRequest): void {
    this.requests.push(request)
    if (this.requests.length > requestsMax) this.requests.shift()
    this.receivedCount++
    for (const arrived of [...this.arrivals]) arrived()
  }

  private choose(request: RecordedRequest): Answer {
    const scripted = this.scripts.get(request.model ?? '')
    const inTurn = () => (scripted && scripted.length > 1 ? scripted.shift() : scripted?.[0])
    return this.queue.shift() ?? inTurn() ?? this.fallback ?? this.unscripted(request)
  }

  private unscripted(request: RecordedRequest): Answer {
    const data = [...this.scripts.keys()].map((id) => ({ id, object: 'model', created: 0, owned_by: 'scripted' }))
    if (request.method === 'GET' && request.path.endsWith('/models')) return answers.json({ object: 'list', data })
    return answers.error(404, `Nothing is scripted for ${request.method} ${request.path} and model ${request.model}.`)
  }
}

async function arrival(arrivals: Set<() => void>, enough: () => boolean, timeoutMs: number, got: () => string) {
  if (enough()) return
  await new Promise<void>((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(late)
      arrivals.delete(check)
      settle()
    }
    const late = setTimeout(() => finish(() => reject(new Error(`Only ${got()} in ${timeoutMs} ms.`))), timeoutMs)
    const check = () => {
      if (enough()) finish(resolve)
    }
    arrivals.add(check)
  })
}

class ClientLeft extends Error {}

type Accept = (read: ReadRequest) => { request: RecordedRequest; script: Script }

/** Reads requests off one connection and answers them one after the other. */
function converse(socket: Socket, accept: Accept): void {
  const reader = new RequestReader(bodyBytesMax, () => socket.write('HTTP/1.1 100 Continue\r\n\r\n'))
  const gone = new AbortController()
  let before = Promise.resolve()
  socket.on('error', () => socket.destroy())
  socket.once('close', () => gone.abort())
  socket.on('data', (data: Buffer) => {
    try {
      for (const read of reader.push(data)) {
        before = before.then(async () => {
          const { request, script } = accept(read)
          request.end(await give(socket, gone.signal, request, script))
        })
      }
    } catch (cause) {
      socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n${cause}`)
    }
  })
}

/** Writes one answer as scripted and says how it ended. */
async function give(socket: Socket, gone: AbortSignal, request: RecordedRequest, script: Script) {
  try {
    await pause(script.headDelayMs, gone)
    await write(socket, gone, head(script))
    request.headSentAt = performance.now()
    await pause(script.firstChunkDelayMs, gone)
    for (const [index, chunk] of script.chunks.entries()) {
      if (index > 0) await pause(script.chunkDelayMs, gone)
      await write(socket, gone, framed(script, chunk))
      request.firstChunkSentAt ??= performance.now()
      request.chunksSent++
      request.bytesSent += chunk.length
    }
    return await finish(socket, gone, script)
  } catch (cause) {
    if (gone.aborted || cause instanceof ClientLeft) return 'client left'
    throw cause
  }
}

async function finish(socket: Socket, gone: AbortSignal, script: Script) {
  if (script.ending === 'stall') {
    await once(gone, 'abort')
    return 'client left'
  }
  if (script.ending === 'reset') socket.resetAndDestroy()
  if (script.ending === 'break') socket.destroy()
  if (script.ending !== 'well') return 'broke off'
  if (script.framing === 'chunked') await write(socket, gone, '0\r\n\r\n')
  if (script.framing === 'until close') socket.end()
  return 'answered'
}

function head({ status, headers, framing, chunks, claimedBytes }: Script): string {
  const length = claimedBytes ?? bytesOf(chunks)
  const frame = {
    length: `content-length: ${length}`,
    chunked: 'transfer-encoding: chunked',
    'until close': 'connection: close',
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} Scripted\r\n${lines.join('')}${frame[framing]}\r\n\r\n`
}

function framed({ framing }: Script, chunk: Uint8Array): Uint8Array {
  if (framing !== 'chunked') return chunk
  return Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')])
}

async function pause(ms: number, gone: AbortSignal): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: gone })
}

/** Resolves when the kernel took the bytes, so that a close that follows loses none of them. */
function write(socket: Socket, gone: AbortSignal, bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    gone.throwIfAborted()
    const left = () => reject(new ClientLeft())
    gone.addEventListener('abort', left, { once: true })
    socket.write(bytes, (failed) => {
      gone.removeEventListener('abort', left)
      if (failed) left()
      else resolve()
    })
  })
}
