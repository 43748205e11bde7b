import { type Client, createClient } from 'graphql-ws'
import { take } from './answers.ts'
import { type OpenStream, StreamRefused } from './live.ts'
import { EventQueue } from './queue.ts'

export interface SocketOptions {
  /** `ws://127.0.0.1:4000/graphql` */
  url: string
  /** Asked again for every connection, so that a renewed token is used; null = the cookie of the handshake. */
  token: (() => string | Promise<string>) | null
  /** The tenant to act in, for operators of the installation; null = the token's own. */
  tenant?: string | null
}

/** A graphql-ws client that leaves retrying to `live`. */
export function socketClient({ url, token, tenant = null }: SocketOptions): Client {
  return createClient({
    url,
    retryAttempts: 0,
    lazy: true,
    connectionParams: async () => ({
      ...(token !== null && { authorization: `Bearer ${await token()}` }),
      ...(tenant !== null && { 'x-sluice-tenant': tenant }),
    }),
  })
}

/** Close codes after which the same token and document would be refused again. */
const refusedCodes = new Set([4400, 4401, 4403, 4406])

/** A subscription over graphql-transport-ws. */
export function socketStream<Event>(
  client: Client,
  query: string,
  variables: Record<string, unknown> = {},
): OpenStream<Event> {
  return async function* (after, signal, opened) {
    const queue = new EventQueue<Event>()
    const release = client.subscribe<Record<string, Event>>(
      { query, variables: { ...variables, after } },
      {
        next: (answer) => take(queue, answer as never),
        error: (error) => queue.end(asError(error)),
        complete: () => queue.end(),
      },
    )
    const forget = client.on('connected', opened)
    const stop = () => queue.end()
    signal.addEventListener('abort', stop)
    try {
      yield* queue
    } finally {
      signal.removeEventListener('abort', stop)
      forget()
      release()
    }
  }
}

/** graphql-ws reports a closed socket as its close event, and refusals of the document as a list of GraphQL errors. */
function asError(error: unknown): Error {
  if (Array.isArray(error)) {
    const [first] = error as { message: string; extensions?: { code?: string; retryable?: boolean } }[]
    if (first?.extensions?.retryable) return new Error(first.message)
    return new StreamRefused(first?.extensions?.code ?? 'BAD_DOCUMENT', first?.message ?? 'Refused.')
  }
  const { code, reason } = error as { code?: unknown; reason?: string }
  if (typeof code === 'number' && refusedCodes.has(code))
    return new StreamRefused(
      code === 4403 || code === 4401 ? 'UNAUTHENTICATED' : 'BAD_DOCUMENT',
      reason || `Closed with ${code}.`,
    )
  return error instanceof Error ? error : new Error('The connection dropped.')
}
