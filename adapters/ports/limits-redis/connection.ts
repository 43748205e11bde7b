import { createHash } from 'node:crypto'
import { RedisClient } from 'bun'
import { limitScript } from './script.ts'

export interface StoreOptions {
  /** `redis://` or `rediss://`, with user and password where the server wants them. */
  url: string
  /** PEM; absent = the certificate authorities of the system. */
  ca?: string
  log: (level: 'info' | 'error', sentence: string) => void
  /** A connection stands: what this gateway knows must be said before anything is asked. */
  onOpen: () => void
}

/** One call, and so one request, waits at most this long. */
export const callMsMax = 250
/** A server that says nothing for so long is connected to anew. */
const silentMsMax = 3_000
const connectMsMax = 2_000
const retryMs = { least: 50, most: 1_000 }

const sha = createHash('sha1').update(limitScript).digest('hex')

/** A connection to Redis or Valkey that comes back by itself, for as long as it takes. */
export class StoreConnection {
  readonly #options: StoreOptions
  #client: RedisClient | undefined
  /** The server's run id; null while nothing is connected. */
  #run: string | null = null
  #pending = 0
  /** When the server last answered, or was first waited for. */
  #heardMs = 0
  #closed = false
  #trouble: string | null = 'Not connected yet.'
  #retryMs = retryMs.least
  #retry: NodeJS.Timeout | undefined

  constructor(options: StoreOptions) {
    this.#options = options
    void this.#connect()
  }

  /** Why nothing can be asked now; null where it can. */
  get trouble(): string | null {
    if (this.#run === null) return this.#trouble
    return this.#isSlow ? 'The store of rate limits does not answer in time.' : null
  }

  get run(): string {
    return this.#run ?? ''
  }

  /** Runs the script. Rejects where it cannot be run; how long that takes is the caller's to bound. */
  async call(keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    const client = this.#client
    if (!client || this.#run === null) throw new Error(this.#trouble ?? 'closed')
    if (this.#pending++ === 0) this.#heardMs = performance.now()
    const given = [String(keys.length), ...keys, ...values.map(String)]
    try {
      return await client.send('EVALSHA', [sha, ...given]).catch((error) => {
        // A server that was restarted or flushed of its scripts.
        if (!String(error).includes('NOSCRIPT')) throw error
        return client.send('EVAL', [limitScript, ...given])
      })
    } finally {
      this.#pending--
      if (client === this.#client) this.#heardMs = performance.now()
    }
  }

  /** Looks after a server that has fallen silent. */
  watch(): void {
    if (this.#pending > 0 && performance.now() - this.#heardMs > silentMsMax) this.#client?.close()
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    this.#client?.close()
  }

  get #isSlow(): boolean {
    return this.#pending > 0 && performance.now() - this.#heardMs > callMsMax
  }

  async #connect(): Promise<void> {
    const { url, ca, onOpen, log } = this.#options
    const client = new RedisClient(url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: connectMsMax,
      ...(ca && { tls: { ca } }),
    })
    this.#client = client
    try {
      await client.connect()
      const info = String(await client.send('INFO', ['server']))
      const run = /^run_id:(\w+)/m.exec(info)?.[1]
      if (!run) throw new Error('It does not say which server it is.')
      await client.send('SCRIPT', ['LOAD', limitScript])
      if (this.#closed) return client.close()
      this.#heardMs = performance.now()
      this.#run = run
      client.onclose = () => this.#lost(client, 'The store of rate limits has closed the connection.')
      if (!client.connected) throw new Error('It is gone again.')
      this.#retryMs = retryMs.least
      onOpen()
      log('info', 'The store of rate limits is connected.')
    } catch (error) {
      this.#lost(client, `The store of rate limits cannot be reached: ${reasonOf(error)}`)
      client.close()
    }
  }

  #lost(client: RedisClient, sentence: string): void {
    if (client !== this.#client || this.#closed) return
    this.#client = undefined
    this.#run = null
    if (this.#trouble !== sentence) this.#options.log('error', `${sentence} Requests with rate limits are refused.`)
    this.#trouble = sentence
    this.#retry = setTimeout(() => void this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, retryMs.most)
  }
}

/** The client's own words; they hold neither address nor password. */
const reasonOf = (error: unknown) => (error as { code?: string }).code ?? 'it answers something else'
