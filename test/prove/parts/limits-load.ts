/** Where it is, and whether it serves. */
interface Asking {
  url: string
  serving: boolean
}

/** What clients were told, by code of refusal or status. */
export type Told = Record<string, number>

/** Clients that ask as fast as they are answered, plain and streamed in turn, each time another gateway. */
export class LimitsLoad {
  told: Told = {}
  #stopping = false
  readonly #clients: Promise<void>[]

  constructor(
    readonly gateways: readonly Asking[],
    keys: Readonly<Record<string, string>>,
    clientsEach: number,
  ) {
    this.#clients = Object.entries(keys).flatMap(([model, key]) =>
      Array.from({ length: clientsEach }, (_, client) => this.#run(model, key, client)),
    )
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.all(this.#clients)
  }

  async #run(model: string, key: string, client: number): Promise<void> {
    for (let at = client; !this.#stopping; at++) {
      const serving = this.gateways.filter((gateway) => gateway.serving)
      const gateway = serving[at % Math.max(1, serving.length)]
      const told = gateway ? await ask(gateway.url, key, model, at % 2 === 1) : 'nobody'
      this.told[told] = (this.told[told] ?? 0) + 1
      if (told !== 'answered') await Bun.sleep(25)
    }
  }
}

async function ask(url: string, key: string, model: string, stream: boolean): Promise<string> {
  try {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 20, stream }),
      signal: AbortSignal.timeout(10_000),
    })
    await answer.arrayBuffer()
    return answer.status === 200 ? 'answered' : (answer.headers.get('x-sluice-refusal') ?? String(answer.status))
  } catch {
    return 'unheard'
  }
}
