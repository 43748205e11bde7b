import { plainAnswer, plainMessage, streamedAnswer } from './payload.ts'

/**
 * The instant upstream: answers every request at once from prepared bytes. On a bare socket, since it shares a core with the
 * load and must not be what is measured. A stream goes out one write per turn of the event loop, so that it arrives in pieces.
 */
interface Talk {
  /** Bytes of the request that are not yet whole, as latin1. */
  pending: string
}

const head = (type: string, rest: string) => `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${rest}\r\n\r\n`
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`

const whole = (text: string) =>
  Buffer.from(head('application/json', `content-length: ${Buffer.byteLength(text)}`) + text)
const plain = whole(plainAnswer)
const message = whole(plainMessage)
const streamHead = head('text/event-stream', 'transfer-encoding: chunked')
const streams = { plain: writesOf(false), withUsage: writesOf(true) }

function writesOf(showsUsage: boolean): Buffer[] {
  const pieces = streamedAnswer(showsUsage).map(chunk)
  pieces[0] = streamHead + pieces[0]
  pieces[pieces.length - 1] += '0\r\n\r\n'
  return pieces.map((piece) => Buffer.from(piece))
}

const server = Bun.listen<Talk>({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    open: (socket) => {
      socket.data = { pending: '' }
      socket.setNoDelay(true)
    },
    data: (socket, bytes) => {
      const { data } = socket
      data.pending += bytes.toString('latin1')
      for (let end = requestEnd(data.pending); end !== -1; end = requestEnd(data.pending)) {
        answer(socket, data.pending.slice(0, end))
        data.pending = data.pending.slice(end)
      }
    },
  },
})
console.log(JSON.stringify({ url: `http://127.0.0.1:${server.port}` }))

/** Just behind the first whole request, or -1. Requests of the bench always say their length. */
function requestEnd(pending: string): number {
  const headEnd = pending.indexOf('\r\n\r\n')
  if (headEnd === -1) return -1
  const length = /\r\ncontent-length: *(\d+)/i.exec(pending.slice(0, headEnd))
  const end = headEnd + 4 + Number(length?.[1] ?? 0)
  return pending.length >= end ? end : -1
}

function answer(socket: Bun.Socket<Talk>, request: string): void {
  // Spaces after a colon differ between those who write the body anew and those who pass it on.
  if (!/"stream": ?true/.test(request)) {
    socket.write(request.startsWith('POST /v1/messages ') ? message : plain)
    return
  }
  const writes = /"include_usage": ?true/.test(request) ? streams.withUsage : streams.plain
  let at = 0
  const next = () => {
    socket.write(writes[at++]!)
    if (at < writes.length) setImmediate(next)
  }
  next()
}
