import { take } from './answers.ts'
import { type OpenStream, StreamRefused } from './live.ts'
import { EventQueue } from './queue.ts'

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
