import type { Answer, Asker } from './matrix.ts'

interface Sent {
  data?: unknown
  errors?: { message: string; extensions: { code: string } }[]
}

/** Asks a running control plane: POST, and server-sent events for subscriptions. */
export function overHttp(url: string): Asker {
  const post = (token: string, accept: string, query: string, variables: object, signal?: AbortSignal) =>
    fetch(`${url}/graphql`, {
      ...{ method: 'POST', signal, body: JSON.stringify({ query, variables }) },
      headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${token}` },
    })
  return {
    async ask(token, document, variables) {
      const response = await post(token, 'application/graphql-response+json', document, variables)
      return answerOf(await response.json())
    },
    async follow(token, document, variables, hear, until) {
      const ended = new AbortController()
      void until.then(() => ended.abort())
      try {
        const response = await post(token, 'text/event-stream', document, variables, ended.signal)
        if (!response.headers.get('content-type')?.includes('event-stream'))
          return hear(answerOf(await response.json()))
        for await (const data of eventsOf(response.body!)) hear(answerOf(JSON.parse(data)))
      } catch (error) {
        if (!ended.signal.aborted) throw error
      }
    },
  }
}

/** The data of each `next` event. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const data = /^data: (.+)$/m.exec(block)?.[1]
      if (data) yield data
    }
  }
}

function answerOf(sent: unknown): Answer {
  const { data, errors } = sent as Sent
  const told = errors?.map(({ message, extensions }) => ({ message, code: extensions.code }))
  return { ...(data !== undefined && { data }), ...(told && { errors: told }) }
}
