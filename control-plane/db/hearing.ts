import postgres from 'postgres'

type Wake = (payload: string) => void

const firstWaitMs = 50
const waitMsMax = 2_000

/**
 * Notifications on a connection of their own. A connection that is lost is opened again for as long as it takes, and then every
 * listener is woken with '': anything may have happened meanwhile. (The driver's own `listen` tries once and then is deaf.)
 */
export class Hearing {
  readonly #sql: postgres.Sql
  readonly #listeners = new Map<string, Set<Wake>>()
  #opening: Promise<void> | undefined
  #closed = false

  constructor(url: string, options: postgres.Options<Record<string, never>>) {
    const hooks = {
      onnotify: (channel: string, payload: string) => this.#wake(channel, payload),
      onclose: () => void this.#reopen(),
    }
    this.#sql = postgres(url, { ...options, ...hooks, max: 1, idle_timeout: 0, max_lifetime: 0, fetch_types: false })
  }

  async listen(channel: string, wake: Wake): Promise<() => Promise<void>> {
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners.add(wake))
    await (this.#opening ?? this.#sql.unsafe(`listen ${channel}`))
    return async () => {
      listeners.delete(wake)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#sql.end({ timeout: 1 })
  }

  #wake(channel: string, payload: string) {
    for (const wake of this.#listeners.get(channel) ?? []) wake(payload)
  }

  #reopen(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    return this.#opening
  }

  async #open() {
    for (let waitMs = firstWaitMs; !this.#closed; waitMs = Math.min(waitMsMax, waitMs * 2)) {
      try {
        for (const channel of this.#listeners.keys()) await this.#sql.unsafe(`listen ${channel}`)
        for (const channel of this.#listeners.keys()) this.#wake(channel, '')
        return
      } catch {
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
  }
}
