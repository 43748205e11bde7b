import { connect, createServer, type Socket } from 'node:net'

/** A TCP line to a port of this machine that carries only so many bytes a second, each way, whatever the number of connections. */
export interface NarrowLine {
  url: string
  close(): void
}

const slice = 2 * 1024

/** Bytes go through in small pieces, one after the other, so that what is written last comes last, as on a real line. */
export async function narrowLine(to: number, bytesPerSecond: number): Promise<NarrowLine> {
  const sockets = new Set<Socket>()
  const [up, down] = [pace(bytesPerSecond), pace(bytesPerSecond)]
  const server = createServer({ noDelay: true, highWaterMark: slice }, (from) => {
    const onward = connect({ port: to, host: '127.0.0.1', noDelay: true, highWaterMark: slice } as never)
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
    }
    carry(from, onward, up)
    carry(onward, from, down)
  })
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  return {
    url: `http://127.0.0.1:${port}`,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** Milliseconds until this many bytes are through, after all that came before. */
function pace(bytesPerSecond: number): (bytes: number) => number {
  let freeAtMs = 0
  return (bytes) => {
    const nowMs = performance.now()
    freeAtMs = Math.max(freeAtMs, nowMs) + (bytes / bytesPerSecond) * 1_000
    return freeAtMs - nowMs
  }
}

/** The reader waits while a chunk is on its way: what is under way fills the sender's buffers and not this process. */
function carry(from: Socket, to: Socket, untilThrough: (bytes: number) => number): void {
  from.on('data', async (chunk: Buffer) => {
    from.pause()
    for (let at = 0; at < chunk.byteLength && !to.destroyed; at += slice) {
      const piece = chunk.subarray(at, at + slice)
      await new Promise((resolve) => setTimeout(resolve, untilThrough(piece.byteLength)))
      if (!to.destroyed) to.write(piece)
    }
    from.resume()
  })
  from.on('end', () => to.end())
}
