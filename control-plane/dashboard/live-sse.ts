import { type OpenStream, StreamRefused } from './live.ts'
import { EventQueue } from './queue.ts'

interface Answer<Event> {
  data?: Record<string, Event> | null
  errors?: { message: string; extensions?: { code?: string; retryable?: boolean } }[]
}

/**
 * A subscription over server-sent events, by GET with the session's cookie. An EventSource cannot tell a dropped network from a
 * refusal, so after a failed start `isSignedIn` is asked.
 */
export function sseStream<Event>(query: string, isSignedIn: () => Promise<boolean>): OpenStream<Event> {
  return async function* (after, signal, opened) {
    const address = new URLSearchParams({ query, variables: JSON.stringify({ after }) })
    const source = new EventSource(`/graphql?${address}`)
    const queue = new EventQueue<Event>()
    const stop = () => queue.end()
    signal.addEventListener('abort', stop)
    source.addEventListener('open', opened)
    source.addEventListener('next', (message) => take(queue, JSON.parse((message as MessageEvent<string>).data)))
    source.addEventListener('complete', stop)
    source.addEventListener('error', async () => {
      const refused = source.readyState === EventSource.CLOSED && !(await isSignedIn())
      queue.end(refused ? new StreamRefused('UNAUTHENTICATED', 'The session has ended.') : undefined)
      source.close()
    })
    try {
      yield* queue
    } finally {
      signal.removeEventListener('abort', stop)
      source.close()
    }
  }
}

/** One answer of a subscription: its only field's event, or why there will be none. */
export function take<Event>(queue: EventQueue<Event>, { data, errors }: Answer<Event>): void {
  const [error] = errors ?? []
  const code = error?.extensions?.code ?? 'INTERNAL'
  if (error) queue.end(error.extensions?.retryable ? new Error(error.message) : new StreamRefused(code, error.message))
  else for (const event of Object.values(data ?? {})) queue.push(event)
}
