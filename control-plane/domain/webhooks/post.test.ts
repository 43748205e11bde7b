import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PrivateHosts } from '../../../schema/hosts/private-hosts.ts'
import { post } from './post.ts'

let server: Server
let base = ''
let answering = (_: IncomingMessage, response: ServerResponse) => void response.end('ok')
const seen: { url: string; host: string; body: string }[] = []

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      seen.push({ url: request.url!, host: request.headers.host!, body })
      answering(request, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const local = new PrivateHosts(['127.0.0.1'])
const nobody = new PrivateHosts()
const send = (url: string, allowed = local, lookup?: (host: string) => Promise<string[]>, timeoutMs?: number) =>
  post({ url, headers: { 'x-a': 'b' }, body: '{"a":1}' }, { allowed, lookup, timeoutMs })

describe('what is posted', () => {
  it('arrives whole, and only the status comes back', async () => {
    answering = (_, response) => void response.writeHead(202).end('x'.repeat(300_000))
    expect(await send(`${base}/a?b=c`)).toEqual({ status: 202, retryAfterMs: null })
    expect(seen.at(-1)).toEqual({ url: '/a?b=c', host: new URL(base).host, body: '{"a":1}' })
  })
  it('goes to the address that was checked, under the name that was asked', async () => {
    answering = (_, response) => void response.end()
    const named = `http://hooks.corp:${new URL(base).port}/x`
    const allowed = new PrivateHosts(['127.0.0.0/8', 'hooks.corp'])
    expect(await send(named, new PrivateHosts(['127.0.0.0/8']), async () => ['127.0.0.1'])).toEqual({
      fault: 'PLAIN_HTTP',
    })
    // A host that is allowed by name is the operator's word: it is reached as the system finds it.
    expect(await send(named, allowed, async () => ['127.0.0.1'])).toEqual({ fault: 'NO_ANSWER' })
  })
  it('does not follow a redirect', async () => {
    answering = (_, response) => void response.writeHead(302, { location: `${base}/elsewhere` }).end()
    expect(await send(`${base}/from`)).toMatchObject({ status: 302 })
    expect(seen.at(-1)!.url).toBe('/from')
  })
  it('waits no longer than it may', async () => {
    answering = () => {}
    expect(await send(`${base}/silent`, local, undefined, 50)).toEqual({ fault: 'NO_ANSWER' })
  })
  it('is cut off where whoever sends it stops', async () => {
    answering = () => {}
    const stop = new AbortController()
    const sending = post({ url: base, headers: {}, body: '{}' }, { allowed: local, signal: stop.signal })
    stop.abort()
    expect(await sending).toEqual({ fault: 'NO_ANSWER' })
  })
  it('hears when the receiver asks to be left alone for a while', async () => {
    answering = (_, response) => void response.writeHead(429, { 'retry-after': '120' }).end()
    expect(await send(base)).toEqual({ status: 429, retryAfterMs: 120_000 })
  })
})

describe('what is not posted', () => {
  it('goes by http nowhere that the operator does not allow', async () => {
    const before = seen.length
    expect(await send(base, nobody)).toEqual({ fault: 'PLAIN_HTTP' })
    expect(await send('http://example.com/', nobody, async () => ['93.184.215.14'])).toEqual({ fault: 'PLAIN_HTTP' })
    expect(seen.length).toBe(before)
  })
  it.each([
    'https://127.0.0.1/x',
    'https://2130706433/x',
    'https://0x7f.1/x',
    'https://[::1]/x',
    'https://[::ffff:10.0.0.1]/x',
    'https://169.254.169.254/latest/meta-data',
  ])('goes not to %s', async (url) => {
    expect(await send(url, nobody)).toEqual({ fault: 'PRIVATE_ADDRESS' })
  })
  it('goes to no name that any private address stands behind, nor to one that is not found', async () => {
    const at = (...addresses: string[]) => send('https://hooks.example/x', nobody, async () => addresses)
    expect(await at('93.184.215.14', '10.0.0.7')).toEqual({ fault: 'PRIVATE_ADDRESS' })
    expect(await at('fd00::1')).toEqual({ fault: 'PRIVATE_ADDRESS' })
    expect(await at()).toEqual({ fault: 'NAME_NOT_FOUND' })
  })
})
