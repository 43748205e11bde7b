import { createHmac, timingSafeEqual } from 'node:crypto'

/** One POST that came to the receiver. */
export interface Received {
  id: string
  type: string
  /** How many of its signatures were good. */
  signatures: number
  status: number
  body: { type: string; cursor: string | null; test?: true; data: { alert?: { id: string; trigger: string } } }
}

/** A webhook's receiver as a stranger writes it from the Standard Webhooks specification; it can be told to fail. */
export class AlertReceiver {
  readonly received: Received[] = []
  /** Secrets that it knows; a POST without a good signature of any is refused. */
  secrets: string[] = []
  /** So many POSTs are answered 503 yet. */
  failing = 0
  readonly #server: Bun.Server<undefined>

  constructor() {
    this.#server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: (request) => this.#take(request) })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/alerts`
  }

  /** What it took, each once. */
  get taken(): Received[] {
    return this.received.filter(({ status }) => status === 204)
  }

  async #take(request: Request): Promise<Response> {
    const text = await request.text()
    const id = request.headers.get('webhook-id') ?? ''
    const signatures = this.#signatures(request.headers, id, text)
    const body = JSON.parse(text) as Received['body']
    const status = signatures === 0 ? 401 : this.failing > 0 ? 503 : 204
    if (status === 503) this.failing--
    this.received.push({ id, type: body.type, signatures, status, body })
    return new Response(null, { status })
  }

  #signatures(headers: Headers, id: string, text: string): number {
    const content = `${id}.${headers.get('webhook-timestamp')}.${text}`
    const given = (headers.get('webhook-signature') ?? '').split(' ').map((one) => Buffer.from(one))
    return this.secrets.filter((secret) => {
      const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
      const good = Buffer.from(`v1,${createHmac('sha256', key).update(content).digest('base64')}`)
      return given.some((one) => one.length === good.length && timingSafeEqual(one, good))
    }).length
  }

  stop(): Promise<void> {
    return this.#server.stop(true)
  }
}
