import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hello, type Setup, startGateway, type TestGateway } from '../flow/gateway.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { chatRequest, open, recordsWithin } from './raw-client.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []
const stream = { ...hello, stream: true }
const breaker = { failures: 3, windowMs: 10_000, coolDownMs: 10_000 }
const longAnswer = () => answers.chat({ text: Array(2_000).fill('w'.repeat(10_000)) })

async function start(setup: Partial<Setup> = {}): Promise<void> {
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, ...setup })
  running.push(gateway)
}

/** Asks, and leaves after a while. */
async function leaveAfter(ms: number, body: object): Promise<void> {
  const socket = await open(gateway)
  socket.resume()
  socket.write(chatRequest(gateway.key, body))
  await Bun.sleep(ms)
  socket.destroy()
}

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  for (const each of running.splice(0)) {
    expect(each.faults).toEqual([])
    await each.stop()
  }
  upstream.reset()
})
afterAll(() => upstream.stop())

describe('clients that leave', () => {
  it('before the first byte of a stream do not make its provider rest for the others', async () => {
    await start({ breaker })
    upstream.on('gpt-test', answers.chat('x').headDelayMs(2_000))
    await Promise.all(Array.from({ length: 4 }, () => leaveAfter(120, stream)))
    await gateway.records(4)
    upstream.on('gpt-test', answers.chat('ok'))
    expect((await gateway.chat(hello)).status).toBe(200)
  })

  it('within a stream do not make its provider rest for the others', async () => {
    await start({ breaker })
    upstream.on('gpt-test', answers.chat({ text: Array(200).fill('word ') }).chunkDelayMs(10))
    await Promise.all(Array.from({ length: 4 }, () => leaveAfter(120, stream)))
    await gateway.records(4)
    upstream.on('gpt-test', answers.chat('ok'))
    expect((await gateway.chat(hello)).status).toBe(200)
  })

  it('before the first byte of a stream are charged for what was sent: the input bound', async () => {
    await start()
    upstream.on('gpt-test', answers.chat('x').headDelayMs(2_000))
    await leaveAfter(120, stream)
    const [record] = await gateway.records(1)
    expect(record).toMatchObject({ outcome: 'CANCELLED', status: 499, cost: '0.00000375' })
    expect(record!.attempts[0]!.cause).toBeNull()
  })

  it('with much of the answer still unread leave a record, and nothing running', async () => {
    await start()
    upstream.on('gpt-test', longAnswer())
    const socket = await open(gateway)
    socket.write(chatRequest(gateway.key, stream))
    await upstream.received(1)
    await Bun.sleep(300)
    socket.destroy()
    const records = await recordsWithin(gateway, 1)
    expect(records.map(({ outcome }) => outcome)).toEqual(['CANCELLED'])
    expect(await upstream.requests[0]!.ended).toBe('client left')
  })

  it('at any moment of any answer leave exactly one record each', async () => {
    const scripts = [
      answers.chat('ok'),
      answers.chat('ok').headDelayMs(20),
      answers.chat('ok').firstChunkDelayMs(20),
      answers.chat({ text: Array(20).fill('word ') }).chunkDelayMs(3),
      answers.error(500, 'x').headDelayMs(5),
      answers.sse([{ choices: [{ delta: { content: 'a' } }] }]).thenStall(),
      answers.chat({ text: Array(30).fill('w'.repeat(50_000)) }).chunkDelayMs(1),
    ]
    const retry = { attempts: 2, backoffMs: 20 }
    await start({ retry, timeouts: { firstByteMs: 500, idleMs: 500, totalMs: 1_000 } })
    for (const [index, script] of scripts.entries()) upstream.on(`m${index}`, script)
    const count = 140
    for (let at = 0; at < count; at += 20) {
      upstream.otherwise(scripts[at / 20]!)
      await Promise.all(Array.from({ length: 20 }, (_, n) => leaveAfter(n * 3 + 1, n % 2 === 0 ? stream : hello)))
    }
    const records = await recordsWithin(gateway, count, 2_500)
    expect(new Set(records.map(({ id }) => id)).size).toBe(count)
    expect(records).toHaveLength(count)
  })

  it('while the whole request is not yet there leave no exchange open', async () => {
    await start()
    const socket = await open(gateway)
    socket.write(chatRequest(gateway.key, hello).slice(0, -5))
    await Bun.sleep(50)
    socket.destroy()
    expect(await recordsWithin(gateway, 1)).toMatchObject([{ outcome: 'REFUSED', cost: '0' }])
    expect(upstream.requests).toHaveLength(0)
  })
})

describe('a client that reads slowly', () => {
  const timeouts = { firstByteMs: 2_000, idleMs: 300, totalMs: 1_500 }

  it('is not taken for a provider that fell silent', async () => {
    await start({ timeouts: { ...timeouts, totalMs: 10_000 } })
    upstream.on('gpt-test', longAnswer())
    const socket = await open(gateway)
    socket.write(chatRequest(gateway.key, stream))
    await upstream.received(1)
    await Bun.sleep(800)
    let got = ''
    socket.on('data', (data) => {
      got = (got + data.toString('latin1')).slice(-200)
    })
    socket.resume()
    const [record] = await gateway.records(1)
    socket.destroy()
    expect(record).toMatchObject({ outcome: 'COMPLETED', refusal: null })
    expect(got).toContain('[DONE]')
  })

  it('holds its exchange no longer than the route allows in total', async () => {
    await start({ timeouts })
    upstream.on('gpt-test', longAnswer())
    const socket = await open(gateway)
    socket.write(chatRequest(gateway.key, stream))
    await upstream.received(1)
    const records = await recordsWithin(gateway, 1, timeouts.totalMs + 700)
    socket.destroy()
    expect(records).toHaveLength(1)
  })
})
