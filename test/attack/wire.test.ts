import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hello, startGateway, type TestGateway } from '../flow/gateway.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { chatRequest, converse } from './raw-client.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await scriptedUpstream()
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, provider: { forwardHeaders: ['x-team-*'] } })
})
beforeEach(() => {
  upstream.otherwise(answers.chat('ok'))
})
afterEach(() => {
  expect(gateway.faults.splice(0)).toEqual([])
  upstream.reset()
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

const body = JSON.stringify(hello)
const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const withLength = (lines: string) => chatRequest(gateway.key, hello).replace(/content-length: \d+\r\n/, lines)

describe('a request whose end can be read in two ways', () => {
  const inner = () => chatRequest(gateway.key, { ...hello, smuggled: true })
  const shapes: [string, () => string][] = [
    ['two lengths', () => withLength(`content-length: 5\r\ncontent-length: ${body.length}\r\n`)],
    ['two lengths, the larger first', () => withLength(`content-length: ${body.length}\r\ncontent-length: 5\r\n`)],
    ['a list of lengths', () => withLength(`content-length: ${body.length}, ${body.length}\r\n`)],
    ['a signed length', () => withLength(`content-length: +${body.length}\r\n`)],
    ['a space before the colon', () => withLength(`content-length : ${body.length}\r\n`)],
    [
      'a length and chunks',
      () =>
        withLength(`transfer-encoding: chunked\r\ncontent-length: 9\r\n`).replace(body, '') +
        `${chunk(body)}0\r\n\r\n${inner()}`,
    ],
    [
      'an unknown transfer coding',
      () => `${withLength('transfer-encoding: xchunked\r\n').replace(body, '')}${chunk(body)}0\r\n\r\n`,
    ],
    [
      'chunked twice',
      () =>
        `${withLength('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n').replace(body, '')}${chunk(body)}0\r\n\r\n`,
    ],
    [
      'chunks in HTTP/1.0',
      () =>
        `${withLength('transfer-encoding: chunked\r\n').replace(body, '').replace('HTTP/1.1', 'HTTP/1.0')}${chunk(body)}0\r\n\r\n`,
    ],
    [
      'a chunk larger than any number',
      () =>
        `${withLength('transfer-encoding: chunked\r\n').replace(body, '')}fffffffffffffffff\r\n${body}\r\n0\r\n\r\n`,
    ],
    ['a folded header', () => withLength(`x-team-a: 1\r\n content-length: 3\r\ncontent-length: ${body.length}\r\n`)],
    ['a bare LF in a header', () => withLength(`x-team-a: 1\ncontent-length: 3\r\ncontent-length: ${body.length}\r\n`)],
    ['a bare CR in a header', () => withLength(`x-team-a: 1\rx-team-b: 3\r\ncontent-length: ${body.length}\r\n`)],
  ]
  it.each(shapes)('(%s) is refused, and nothing of it reaches a provider', async (_name, bytes) => {
    const got = await converse(gateway, bytes(), 1_000)
    expect(statuses(got)).toEqual(['400'])
    expect(upstream.requests).toEqual([])
  })

  it('(two in one packet) never sends the second to a provider in the first one’s name', async () => {
    await converse(gateway, chatRequest(gateway.key, hello) + inner(), 200)
    for (const { text } of upstream.requests)
      expect([body, inner().split('\r\n\r\n')[1]].map((each) => each!.replace('house', 'gpt-test'))).toContain(text)
  })
})

describe('headers of a client', () => {
  it('reach a provider only where it declares them, whatever they claim to be', async () => {
    const claimed = [
      'x-forwarded-for: 10.0.0.1',
      'x-forwarded-host: evil',
      'forwarded: for=1',
      'x-team-a: yes',
      'cookie: a=b',
      'x-api-key: slk_x',
      'expect: 100-continue',
      'upgrade: h2c',
    ]
    const got = await converse(gateway, chatRequest(gateway.key, hello, claimed.map((line) => `${line}\r\n`).join('')))
    expect(statuses(got).at(-1)).toBe('200')
    const { host, 'user-agent': _agent, 'content-length': _length, ...headers } = upstream.requests.at(-1)!.headers
    expect(host).toBe(new URL(upstream.url).host)
    expect(headers).toEqual({
      accept: '*/*',
      'accept-encoding': 'identity',
      authorization: 'Bearer sk-provider-secret',
      connection: 'keep-alive',
      'content-type': 'application/json',
      'x-team-a': 'yes',
    })
  })

  it.each(['[', 'a b%%%', 'localhost:4000/#@x', 'x/../v1/models'])(
    'with the host %j find no other way in',
    async (host) => {
      const got = await converse(gateway, `GET /nope HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
      expect([statuses(got), got.includes('unknown_endpoint')]).toEqual([['404'], true])
    },
  )
})

describe('HTTP/1.0', () => {
  it('gets a stream without chunks, ended by the end of the connection', async () => {
    const got = await converse(gateway, chatRequest(gateway.key, { ...hello, stream: true }, '', '1.0'), 1_000)
    expect(got).not.toContain('transfer-encoding')
    expect(got.endsWith('data: [DONE]\n\n')).toBe(true)
  })
})
