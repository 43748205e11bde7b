import { connect, type Socket } from 'node:net'
import type { TestGateway } from '../flow/gateway.ts'

/** A chat request as bytes, so that a test decides when, how far and how it goes over the wire. */
export function chatRequest(key: string, body: unknown, extraHeaders = '', version = '1.1'): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const length = Buffer.byteLength(text)
  return `POST /v1/chat/completions HTTP/${version}\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n${extraHeaders}content-length: ${length}\r\n\r\n${text}`
}

/** Opens a connection; nothing is read from it until `resume`. */
export async function open(gateway: TestGateway): Promise<Socket> {
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  socket.pause()
  socket.on('error', () => {})
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}

/** Sends bytes and gives what came back until the connection ends or this time is over. */
export async function converse(gateway: TestGateway, bytes: string | Buffer, waitMs = 300): Promise<string> {
  const socket = await open(gateway)
  let got = ''
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('data', (data) => {
    got += data.toString('latin1')
  })
  socket.resume()
  socket.write(bytes)
  await Promise.race([closed, Bun.sleep(waitMs)])
  socket.destroy()
  return got
}

/** The records there are after a while: what is missing then was never written. */
export async function recordsWithin(gateway: TestGateway, count: number, ms = 2_000) {
  const late = Bun.sleep(ms).then(() => [])
  return await Promise.race([gateway.records(count).catch(() => []), late])
}
