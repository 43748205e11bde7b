import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hello, type Setup, startGateway, type TestGateway } from '../flow/gateway.ts'
import { type Answer, answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: { stop(): Promise<unknown> | unknown }[] = []
const stream = { ...hello, stream: true }
const whole = JSON.stringify({
  choices: [{ message: { content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1 },
})

async function start(setup: Partial<Setup> = {}): Promise<void> {
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, retry: { attempts: 1 }, ...setup })
  running.unshift(gateway)
}

/** A provider that answers each first byte of a connection with whatever is done to its socket. */
async function startWith(talk: (socket: Socket) => void, setup: Partial<Setup> = {}): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => talk(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  running.push({ stop: () => server.close() })
  await start({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, ...setup })
}

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  expect(gateway.faults).toEqual([])
  for (const each of running.splice(0)) await each.stop()
  upstream.reset()
})
afterAll(() => upstream.stop())

describe('a stream that ends', () => {
  it('and then keeps its connection open in silence does not hold it for ever', async () => {
    await start({ timeouts: { firstByteMs: 500, idleMs: 500, totalMs: 1_000 } })
    upstream.on('gpt-test', answers.chat('x').thenStall())
    for (let at = 0; at < 5; at++) await (await gateway.chat(stream)).text()
    await Bun.sleep(1_500)
    expect(upstream.connections).toBe(0)
  })

  const empty: [string, Answer][] = [
    ['[DONE]', answers.sse(['[DONE]'])],
    ['chunks without a choice', answers.sse([{ choices: [] }, '[DONE]'])],
    ['usage', answers.sse([{ choices: [], usage: { prompt_tokens: 1, completion_tokens: 0 } }, '[DONE]'])],
  ]
  it.each(empty)('and held nothing but %s is never an empty success', async (_name, script) => {
    await start()
    upstream.on('gpt-test', script)
    const answer = await gateway.chat(stream)
    const text = await answer.text()
    const told =
      answer.headers.get('x-sluice-refusal') ?? (text.includes('"code":"upstream_broke_off"') && 'upstream_broke_off')
    expect([told, text.includes('[DONE]')]).toEqual(['upstream_broke_off', false])
    expect((await gateway.records(1))[0]).toMatchObject({ outcome: 'FAILED', refusal: 'upstream_broke_off' })
  })
})

describe('a plain answer', () => {
  it.each([
    ['null', [null]],
    ['no message', [{}]],
  ])('whose choices hold %s is never an empty success', async (_name, choices) => {
    await start()
    upstream.on('gpt-test', answers.json({ choices }))
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-refusal')).toBe('upstream_broke_off')
  })

  it('that claims a length and goes on for ever in chunks is bounded', async () => {
    const piece = `10000\r\n${' '.repeat(65_536)}\r\n`
    let sent = 0
    const flood = (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\ntransfer-encoding: chunked\r\n\r\n')
      const go = () => {
        while (!socket.destroyed && sent < 4_000 && socket.write(piece)) sent++
        if (sent < 4_000) sent++
      }
      socket.on('drain', go)
      go()
    }
    await startWith(flood, { timeouts: { firstByteMs: 2_000, idleMs: 2_000, totalMs: 2_000 } })
    const answer = await gateway.chat(hello)
    expect([answer.status, answer.headers.get('x-sluice-refusal')]).toEqual([502, 'upstream_broke_off'])
    expect(sent * 65_536).toBeLessThan(100 * 1024 * 1024)
  })

  it('nested absurdly is refused before it can stop the event loop', async () => {
    await start()
    upstream.on('gpt-test', answers.bytes('['.repeat(6_000_000)))
    const answer = await gateway.chat(hello)
    expect(answer.headers.get('x-sluice-refusal')).toBe('upstream_broke_off')
    expect((await answer.json()).error.message).toContain('nested absurdly')
  })
})

describe('an attempt that reached the provider', () => {
  const talks: [string, (socket: Socket) => void][] = [
    ['closes without a word', (socket) => setTimeout(() => socket.destroy(), 20)],
    ['is reset', (socket) => setTimeout(() => socket.resetAndDestroy(), 20)],
    ['is answered with what is not HTTP', (socket) => socket.end('SSH-2.0-OpenSSH\r\n')],
    [
      'is answered 101',
      (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    [
      'is answered 201',
      (socket) => socket.end(`HTTP/1.1 201 Created\r\ncontent-length: ${whole.length}\r\n\r\n${whole}`),
    ],
  ]
  it.each(talks)('and %s keeps its charge: nobody knows that it was free', async (_name, talk) => {
    await startWith(talk)
    await (await gateway.chat(hello)).text()
    const [record] = await gateway.records(1)
    expect(record!.cost).not.toBe('0')
  })

  it.each([
    [
      '103 first',
      `HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: ${whole.length}\r\n\r\n${whole}`,
    ],
    [
      'trailers',
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${whole.length.toString(16)}\r\n${whole}\r\n0\r\nx-t: 1\r\n\r\n`,
    ],
  ])('may be answered with %s', async (_name, bytes) => {
    await startWith((socket) => socket.write(bytes))
    const answer = await gateway.chat(hello)
    expect([answer.status, await answer.text()]).toEqual([200, whole])
  })

  it('is never answered with what the provider sent unasked on that connection before', async () => {
    let asked = 0
    const reply = (text: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`
    await startWith((socket) => {
      asked++
      socket.write(asked === 1 ? reply(whole) + reply(whole.replace('hi', 'POISON')) : reply(whole))
    })
    for (let at = 0; at < 3; at++) expect(await (await gateway.chat(hello)).text()).toBe(whole)
  })
})
