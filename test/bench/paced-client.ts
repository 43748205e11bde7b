/** What became of the answers, in milliseconds from the write of the request. */
export interface Seen {
  /** To the first byte of the body: of a stream, its first token. */
  firstMs: number[]
  wholeMs: number[]
  /** Answers whose status was not 200. */
  failed: number
}

interface Talk {
  sentMs: number
  firstMs: number | undefined
  received: Buffer
}

/**
 * HTTP/1.1 over kept connections on bare sockets: the client shares a core with the upstream, and its own time is part of all it
 * measures. A request never waits for an answer; where no connection is free, one is opened.
 */
export class PacedClient {
  readonly seen: Seen = { firstMs: [], wholeMs: [], failed: 0 }
  sent = 0
  readonly #free: Bun.Socket<Talk>[] = []
  readonly #request: Buffer

  constructor(
    readonly url: URL,
    headers: Record<string, string>,
    body: string,
  ) {
    const fields = Object.entries({ host: url.host, ...headers, 'content-length': String(Buffer.byteLength(body)) })
    const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    this.#request = Buffer.from(`POST ${url.pathname} HTTP/1.1\r\n${head}\r\n${body}`)
  }

  get unanswered(): number {
    return this.sent - this.seen.wholeMs.length - this.seen.failed
  }

  async send(): Promise<void> {
    const socket = this.#free.pop() ?? (await this.#connect())
    this.sent++
    socket.data = { sentMs: performance.now(), firstMs: undefined, received: empty }
    socket.write(this.#request)
  }

  #connect(): Promise<Bun.Socket<Talk>> {
    return Bun.connect<Talk>({
      hostname: this.url.hostname,
      port: Number(this.url.port),
      data: { sentMs: 0, firstMs: undefined, received: empty },
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (socket, bytes) => this.#received(socket, bytes),
        close: (socket) => {
          const at = this.#free.indexOf(socket)
          if (at !== -1) this.#free.splice(at, 1)
        },
      },
    })
  }

  #received(socket: Bun.Socket<Talk>, bytes: Buffer): void {
    const { data } = socket
    data.received = data.received.length === 0 ? Buffer.from(bytes) : Buffer.concat([data.received, bytes])
    const bodyAt = data.received.indexOf('\r\n\r\n') + 4
    if (bodyAt === 3 || data.received.length === bodyAt) return
    data.firstMs ??= performance.now()
    if (!isWhole(data.received, bodyAt)) return
    if (data.received.toString('latin1', 9, 12) === '200') {
      this.seen.firstMs.push(data.firstMs - data.sentMs)
      this.seen.wholeMs.push(performance.now() - data.sentMs)
    } else this.seen.failed++
    this.#free.push(socket)
  }
}

const empty = Buffer.alloc(0)

/** By its length, or by the last chunk's mark (RFC 9112, 7.1). */
function isWhole(received: Buffer, bodyAt: number): boolean {
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.toString('latin1', 0, bodyAt))
  return length
    ? received.length >= bodyAt + Number(length[1])
    : received.toString('latin1', received.length - 5) === '0\r\n\r\n'
}
