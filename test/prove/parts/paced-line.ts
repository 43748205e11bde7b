import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP line to a port of this machine that can be made slow, or be taken down so that connecting is refused. */
export interface PacedLine {
  port: number
  /** Every chunk of bytes arrives this much later, in order; 0 = at once. */
  delay(ms: number): void
  /** Drops all connections and refuses new ones. */
  down(): Promise<void>
  up(): Promise<void>
}

export async function pacedLine(to: number): Promise<PacedLine> {
  const sockets = new Set<Socket>()
  const pace = { ms: 0 }
  const server = createServer({ noDelay: true }, (from) => {
    const onward = connect({ port: to, host: '127.0.0.1', noDelay: true })
    for (const [socket, other] of [
      [from, onward],
      [onward, from],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      carry(socket, other, pace)
    }
  })
  const port = await listen(server, 0)
  return {
    port,
    delay: (ms) => {
      pace.ms = ms
    },
    down: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      return closed
    },
    up: async () => {
      await listen(server, port)
    },
  }
}

/** Chunk by chunk, each after its delay; the reader waits meanwhile, so that what is on its way is bounded. */
function carry(from: Socket, to: Socket, pace: { ms: number }): void {
  from.on('data', (chunk) => {
    const room = () => (to.writableNeedDrain ? to.once('drain', () => from.resume()) : from.resume())
    from.pause()
    const pass = () => {
      if (!to.destroyed) to.write(chunk)
      room()
    }
    if (pace.ms === 0) pass()
    else setTimeout(pass, pace.ms)
  })
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve((server.address() as { port: number }).port)
    })
  })
}
