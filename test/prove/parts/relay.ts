import { connect, createServer, type Socket } from 'node:net'

/** A TCP relay to a port of this machine, whose connections can be cut without a word. */
export interface Relay {
  port: Promise<number>
  connections(): number
  cut(): void
  close(): void
}

export function cuttableRelay(to: number): Relay {
  const sockets = new Set<Socket>()
  let count = 0
  const server = createServer((from) => {
    count++
    const onward = connect(to, '127.0.0.1')
    for (const socket of [from, onward]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        from.destroy()
        onward.destroy()
      })
    }
    from.pipe(onward).pipe(from)
  })
  const port = new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    connections: () => count,
    cut,
    close() {
      cut()
      server.close()
    },
  }
}
