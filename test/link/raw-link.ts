import { type KeyObject, randomBytes, sign } from 'node:crypto'
import { helloStatement, linkVersion } from '../../schema/link.ts'
import { type ControlPlane, until } from './house.ts'

/** Everything the control plane said on one link, and ways to answer. */
export async function rawLink(control: ControlPlane) {
  const heard: { type: string; [field: string]: unknown }[] = []
  const socket = new WebSocket(`${control.url.replace('http', 'ws')}/plane/v1/link`)
  let isClosed = false
  socket.onmessage = ({ data }) => void heard.push(JSON.parse(String(data)))
  socket.onclose = () => {
    isClosed = true
  }
  socket.onerror = () => {}
  const wait = async (type: string) => {
    await until(type, () => heard.some((message) => message.type === type))
    return heard.find((message) => message.type === type)!
  }
  const send = (message: object | string) =>
    socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  return { heard, wait, send, close: () => socket.close(), isClosed: () => isClosed }
}

export type RawLink = Awaited<ReturnType<typeof rawLink>>

/** Answers the challenge, with what a test changes of it. */
export async function hello(link: RawLink, instance: string, key: KeyObject, change: object = {}) {
  const { nonce: serverNonce } = await link.wait('challenge')
  const nonce = randomBytes(24).toString('base64url')
  const signature = sign(null, helloStatement(String(serverNonce), nonce, instance), key).toString('base64')
  const about = { host: 'h', version: '1', bootId: 'b', rootVersion: 1, held: [] }
  const message = { type: 'hello', linkVersion, instance, nonce, signature, ...about, ...change }
  link.send(message)
  return message
}

/** A link that is open. */
export async function open(control: ControlPlane, instance: string, key: KeyObject, change: object = {}) {
  const link = await rawLink(control)
  await hello(link, instance, key, change)
  const welcome = await link.wait('welcome')
  return { link, epoch: Number(welcome.epoch) }
}
