/** graphql-transport-ws by hand: what a well-behaved client library would never send. */
export interface Message {
  type: string
  id?: string
  payload?: unknown
}

export interface Talk {
  send(...messages: (Message | string)[]): void
  /** Says hello and waits until it was acknowledged. */
  greet(hello: Message): Promise<void>
  /** Everything received so far once a message fits; an Error when the socket closes before. */
  until(fits: (message: Message) => boolean): Promise<Message[]>
  /** The code it was closed with. */
  closed: Promise<number>
  /** What was said as it was closed. */
  reason: Promise<string>
  close(): void
}

const waitMaxMs = 10_000

export async function talk(url: string): Promise<Talk> {
  const socket = new WebSocket(url, 'graphql-transport-ws')
  const received: Message[] = []
  let look = () => {}
  const { promise: end, resolve: ended } = Promise.withResolvers<{ code: number; reason: string }>()
  socket.onclose = ended
  const closed = end.then(({ code }) => code)
  const reason = end.then((event) => event.reason)
  socket.onmessage = ({ data }) => {
    received.push(JSON.parse(String(data)))
    look()
  }
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve()
    socket.onerror = () => reject(new Error('The socket was refused.'))
  })
  const send: Talk['send'] = (...messages) => {
    for (const message of messages) socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }
  const until: Talk['until'] = (fits) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Only this came: ${JSON.stringify(received)}`)), waitMaxMs)
      look = () => {
        if (!received.some(fits)) return
        clearTimeout(late)
        resolve([...received])
      }
      void closed.then((code) => reject(new Error(`The socket was closed with ${code}.`)))
      look()
    })
  return {
    send,
    async greet(hello) {
      send(hello)
      await until(({ type }) => type === 'connection_ack')
    },
    until,
    closed,
    reason,
    close: () => socket.close(),
  }
}

/** The code that a socket is closed with for these messages; 'acknowledged' waits for the answer to hello. */
export async function closed(url: string, ...messages: (Message | string)[]): Promise<number> {
  const socket = await talk(url)
  for (const message of messages) {
    if (message === 'acknowledged') await socket.until(({ type }) => type === 'connection_ack')
    else socket.send(message)
  }
  return socket.closed
}

/** Whether a socket opens at all. */
export function handshake(
  url: string,
  protocol: string | undefined,
  headers: Record<string, string> = {},
): Promise<'open' | 'refused'> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { ...(protocol && { protocols: protocol }), headers } as never)
    socket.onopen = () => {
      resolve('open')
      socket.close()
    }
    socket.onerror = () => resolve('refused')
  })
}
