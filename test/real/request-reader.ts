/** One HTTP/1.1 request taken off a socket. */
export interface ReadRequest {
  method: string
  path: string
  rawHeaders: [name: string, value: string][]
  body: Buffer
}

const headBytesMax = 64 * 1024
const headEnd = Buffer.from('\r\n\r\n')
const lineEnd = Buffer.from('\r\n')

/**
 * Takes HTTP/1.1 requests off a byte stream, however it is cut. Written out because the upstream needs the bare socket
 * to misbehave on, and because no header or byte of a request may be changed before a test sees it.
 */
export class RequestReader {
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private head: Omit<ReadRequest, 'body'> | undefined
  private body: Buffer[] = []
  private bodyBytes = 0

  constructor(
    private readonly bodyBytesMax: number,
    private readonly onContinue: () => void,
  ) {}

  /** Gives the requests that are complete now; throws on what is no HTTP/1.1 or too large. */
  push(data: Buffer): ReadRequest[] {
    this.waiting.push(data)
    this.waitingBytes += data.length
    const requests: ReadRequest[] = []
    for (let next = this.next(); next; next = this.next()) requests.push(next)
    return requests
  }

  private next(): ReadRequest | undefined {
    if (!this.head && !this.readHead()) return undefined
    const head = this.head!
    const whole = header(head, 'transfer-encoding') ? this.readChunks() : this.readLength(head)
    if (!whole) return undefined
    const request = { ...head, body: Buffer.concat(this.body) }
    this.head = undefined
    this.body = []
    this.bodyBytes = 0
    return request
  }

  private readHead(): boolean {
    const bytes = this.joined()
    const end = bytes.indexOf(headEnd)
    if (end < 0 && bytes.length > headBytesMax) throw new Error('request head too large')
    if (end < 0) return false
    this.keep(bytes.subarray(end + headEnd.length))
    const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
    const [method = '', path = '', version] = first.split(' ')
    if (version !== 'HTTP/1.1') throw new Error(`not HTTP/1.1: ${JSON.stringify(first.slice(0, 80))}`)
    const rawHeaders = lines.map((line): [string, string] => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).trim()]
    })
    this.head = { method, path, rawHeaders }
    if (header(this.head, 'expect')?.toLowerCase() === '100-continue') this.onContinue()
    return true
  }

  private readLength(head: Omit<ReadRequest, 'body'>): boolean {
    const length = Number(header(head, 'content-length') ?? 0)
    if (!(length <= this.bodyBytesMax)) throw new Error('request body too large')
    if (this.waitingBytes < length) return false
    const bytes = this.joined()
    this.body = [bytes.subarray(0, length)]
    this.keep(bytes.subarray(length))
    return true
  }

  private readChunks(): boolean {
    for (;;) {
      const bytes = this.joined()
      const sizeEnd = bytes.indexOf(lineEnd)
      if (sizeEnd < 0) return false
      const size = Number.parseInt(bytes.subarray(0, sizeEnd).toString('latin1'), 16)
      const dataStart = sizeEnd + lineEnd.length
      if (!(this.bodyBytes + size <= this.bodyBytesMax)) throw new Error('request body too large')
      if (bytes.length < dataStart + size + lineEnd.length) return false
      this.keep(bytes.subarray(dataStart + size + lineEnd.length))
      if (size === 0) return true
      this.body.push(bytes.subarray(dataStart, dataStart + size))
      this.bodyBytes += size
    }
  }

  private joined(): Buffer {
    if (this.waiting.length !== 1) this.waiting = [Buffer.concat(this.waiting)]
    return this.waiting[0]!
  }

  private keep(rest: Buffer): void {
    this.waiting = [rest]
    this.waitingBytes = rest.length
  }
}

function header(head: Omit<ReadRequest, 'body'>, name: string): string | undefined {
  return head.rawHeaders.find(([own]) => own.toLowerCase() === name)?.[1]
}
