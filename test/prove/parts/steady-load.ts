import type { CrashHouse } from './crash-house.ts'
import { questionOf } from './instant-upstream.ts'

/** What became of one request, as its client saw it. */
export interface Asked {
  at: number
  phase: string
  dawdling: boolean
  streamed: boolean
  /** Of `x-sluice-request-id`; null where no head arrived. */
  id: string | null
  /** 'answered' = the whole body, for a stream with its [DONE]. 'unheard' = the connection ended before. */
  outcome: 'answered' | 'refused' | 'unheard'
  /** Its gateway was killed while it was on its way. */
  excused: boolean
  what: string
  totalMs: number
}

/** Where it is, whether it serves, and how often it was killed. */
export type Asking = Pick<CrashHouse['gateways'][number], 'url' | 'serving' | 'kills'>

/** Some clients that ask at a steady pace, each the gateway that is its own while that one serves, else another. */
export class SteadyLoad {
  readonly asked: Asked[] = []
  phase = 'warm-up'
  #count = 0
  #stopping = false
  readonly #clients: Promise<void>[]

  constructor(
    readonly gateways: Asking[],
    readonly key: string,
    clients: number,
    perSecond: number,
  ) {
    const everyMs = (1_000 * clients) / perSecond
    this.#clients = Array.from({ length: clients }, (_, client) => this.#run(client, everyMs, clients))
  }

  async #run(client: number, everyMs: number, clients: number): Promise<void> {
    let dueMs = performance.now() + (everyMs * client) / clients
    while (!this.#stopping) {
      await Bun.sleep(Math.max(0, dueMs - performance.now()))
      dueMs = Math.max(dueMs + everyMs, performance.now() - everyMs)
      const own = this.gateways[client % this.gateways.length]!
      const gateway = own.serving ? own : this.gateways.find(({ serving }) => serving)
      if (gateway && !this.#stopping) await this.ask(gateway)
    }
  }

  /** Asks one question and notes what became of it. */
  async ask(gateway: Asking): Promise<Asked> {
    const at = this.#count++
    const kills = gateway.kills
    const noted: Asked = {
      ...{ at, phase: this.phase, dawdling: at % 8 === 7, streamed: at % 2 === 1, id: null },
      ...{ outcome: 'unheard', excused: false, what: '', totalMs: 0 },
    }
    this.asked.push(noted)
    const startedMs = performance.now()
    try {
      const answer = await this.#fetch(gateway, noted)
      noted.id = answer.headers.get('x-sluice-request-id')
      const text = await answer.text()
      const whole = noted.streamed ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}')
      noted.outcome = answer.status === 200 && whole ? 'answered' : 'refused'
      if (noted.outcome === 'refused') noted.what = `${answer.status} ${text.slice(-200)}`
    } catch (error) {
      noted.what = (error as { code?: string }).code ?? String(error)
    }
    noted.totalMs = performance.now() - startedMs
    noted.excused = gateway.kills > kills
    return noted
  }

  #fetch(gateway: Asking, { at, dawdling, streamed }: Asked): Promise<Response> {
    return fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: dawdling ? 'dawdling' : 'instant',
        messages: [{ role: 'user', content: questionOf(at) }],
        stream: streamed,
      }),
      signal: AbortSignal.timeout(20_000),
    })
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#clients)
  }

  /** Milliseconds that instant calls took in a phase, and the share of them that took longer than `slowMs`. */
  latency(within: string, slowMs: number): { p50: number; p90: number; slow: number } {
    const times = this.asked
      .filter(({ phase, dawdling, outcome }) => phase === within && !dawdling && outcome === 'answered')
      .map(({ totalMs }) => totalMs)
      .sort((a, b) => a - b)
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
    const slow = times.filter((each) => each > slowMs).length / times.length
    return { p50: at(0.5), p90: at(0.9), slow }
  }
}
