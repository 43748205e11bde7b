import { type Query, QueryFailed, type QueryResult } from './driver.ts'
import type { FromWorker, ToWorker } from './pglite-worker.ts'

type Message = ToWorker extends infer M ? (M extends { id: number } ? Omit<M, 'id'> : never) : never

/** A PGlite in its own thread: requests are answered in order, `failed` becomes QueryFailed. */
export class PgliteThread {
  readonly #worker = new Worker(new URL('./pglite-worker.ts', import.meta.url).href)
  readonly #waiting = new Map<
    number,
    { resolve: (value: never) => void; reject: (error: Error) => void; text: string }
  >()
  readonly listeners = new Map<string, Set<(payload: string) => void>>()
  #next = 0

  constructor() {
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.#receive(data)
    this.#worker.onerror = (event) => this.#fail(new Error(`the database's thread failed: ${event.message}`))
  }

  call<T>(message: Message): Promise<T> {
    const id = this.#next++
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, text: message.type === 'query' ? message.text : message.type })
      this.#worker.postMessage({ ...message, id })
    })
  }

  readonly query: Query = (text, params) => this.call<QueryResult>({ type: 'query', text, params })

  terminate() {
    this.#worker.terminate()
    this.#fail(new Error('the database was closed'))
  }

  #receive(data: FromWorker) {
    if (data.type === 'notified') {
      for (const wake of this.listeners.get(data.channel) ?? []) wake(data.payload)
      return
    }
    const waiting = this.#waiting.get(data.id)
    this.#waiting.delete(data.id)
    if (data.type === 'done') waiting?.resolve(data.result as never)
    else waiting?.reject(new QueryFailed(data.message, data.code, data.constraint, waiting.text))
  }

  #fail(error: Error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
