/** One call as it reached the provider. */
export interface Arrived {
  model: string
  atMs: number
  /** What it reported, in and out. */
  tokens: number
}

/** A provider that notes when calls reach it and how many are under way: what limits are judged by. */
export class LimitsUpstream {
  arrived: Arrived[] = []
  /** Most at once since the last look, by model. */
  readonly most = new Map<string, number>()
  readonly #underWay = new Map<string, number>()
  readonly #server: Bun.Server<undefined>
  #count = 0

  constructor() {
    this.#server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      idleTimeout: 60,
      fetch: (request) => this.#answer(request),
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/v1`
  }

  /** Forgets what was, but for what is under way. */
  forget(): void {
    this.arrived = []
    this.most.clear()
  }

  stop(): Promise<void> {
    return this.#server.stop(true)
  }

  async #answer(request: Request): Promise<Response> {
    const { model, stream } = (await request.json()) as { model: string; stream?: boolean }
    const at = this.#count++
    const output = 1 + (at % 20)
    const input = 10 + (at % 15)
    this.arrived.push({ model, atMs: performance.now(), tokens: input + output })
    const left = this.#enter(model, request.signal)
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
    const waitMs = model === 'concurrency' ? 60 + (at % 5) * 60 : 0
    if (stream) return this.#stream(model, usage, waitMs, left)
    await Bun.sleep(waitMs)
    left()
    const choices = [{ index: 0, message: { role: 'assistant', content: 'Well.' }, finish_reason: 'stop' }]
    return Response.json({ ...common(model, 'chat.completion'), choices, usage })
  }

  /** Counts it in; it is out when it is answered, or whoever asked is gone. */
  #enter(model: string, signal: AbortSignal): () => void {
    const count = (change: number) => {
      const now = (this.#underWay.get(model) ?? 0) + change
      this.#underWay.set(model, now)
      this.most.set(model, Math.max(now, this.most.get(model) ?? 0))
    }
    let isIn = true
    const left = () => {
      if (isIn) count(-1)
      isIn = false
    }
    count(1)
    signal.addEventListener('abort', left, { once: true })
    return left
  }

  #stream(model: string, usage: object, waitMs: number, left: () => void): Response {
    const said = (choices: object[], more: object = {}) =>
      encoder.encode(`data: ${JSON.stringify({ ...common(model, 'chat.completion.chunk'), choices, ...more })}\n\n`)
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async start(controller) {
        try {
          controller.enqueue(said([{ index: 0, delta: { content: 'Well.' }, finish_reason: null }]))
          await Bun.sleep(waitMs)
          controller.enqueue(said([{ index: 0, delta: {}, finish_reason: 'stop' }]))
          controller.enqueue(said([], { usage }))
          left()
          controller.enqueue(encoder.encode('data: [DONE]\n\n'))
          controller.close()
        } catch {
          left()
        }
      },
      cancel: left,
    })
    return new Response(stream, { headers: { 'content-type': 'text/event-stream' } })
  }
}

const encoder = new TextEncoder()
const common = (model: string, object: string) => ({ id: 'chatcmpl-limits', object, created: 1_767_225_600, model })

/** The most units in any half-open interval of this length, over arrivals in the order of time. */
export function mostWithin(arrived: readonly Arrived[], lengthMs: number, units: (one: Arrived) => number): number {
  let [from, sum, most] = [0, 0, 0]
  for (const one of arrived) {
    sum += units(one)
    while (one.atMs - arrived[from]!.atMs >= lengthMs) sum -= units(arrived[from++]!)
    most = Math.max(most, sum)
  }
  return most
}
