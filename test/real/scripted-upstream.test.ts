import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, answers, comment, event, raw } from './answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts'

let upstream: ScriptedUpstream
beforeEach(async () => {
  upstream = await scriptedUpstream()
})
afterEach(() => upstream.stop())

function ask(model: string, more: object = {}, init: RequestInit = {}): Promise<Response> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }], ...more })
  return fetch(`${upstream.url}/v1/chat/completions`, { method: 'POST', body, ...init })
}

async function textOf(answer: Answer, more: object = { stream: true }): Promise<string> {
  upstream.next(answer)
  return (await ask('any', more)).text()
}

/** The bytes as they come off the wire, from a client that knows no HTTP. */
function bareAnswer(request: string): Promise<{ text: string; failed: boolean }> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    const socket = connect(upstream.port, '127.0.0.1', () => socket.write(request))
    let failed = false
    socket.on('data', (data: Buffer) => parts.push(data))
    socket.on('error', () => {
      failed = true
    })
    socket.on('close', () => resolve({ text: Buffer.concat(parts).toString(), failed }))
  })
}

describe('a scripted answer', () => {
  it('is one JSON or a stream, as the request asks', async () => {
    upstream.on('gpt', answers.chat('One two three.'))
    const whole = await (await ask('gpt')).json()
    expect(whole.choices[0].message.content).toBe('One two three.')
    expect(whole.usage).toEqual({ prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 })
    const stream = await (await ask('gpt', { stream: true })).text()
    expect(stream).toContain('"delta":{"content":"two "}')
    expect(stream.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  it('carries usage in a stream only when it was asked for', async () => {
    expect(await textOf(answers.chat())).not.toContain('usage')
    const options = { stream: true, stream_options: { include_usage: true } }
    expect(await textOf(answers.chat(), options)).toContain('"choices":[],"usage":{"prompt_tokens":10')
    expect(await textOf(answers.chat({ text: 'x', usage: null }), options)).not.toContain('usage')
  })

  it('comes in turn for its model, and the last one stays', async () => {
    upstream.on('gpt', answers.error(429, 'Slow down.').header('retry-after', '3'), answers.chat('ok'))
    const first = await ask('gpt')
    expect([first.status, first.headers.get('retry-after')]).toEqual([429, '3'])
    expect((await first.json()).error.message).toBe('Slow down.')
    expect((await ask('gpt')).status).toBe(200)
    expect((await ask('gpt')).status).toBe(200)
    expect((await ask('other')).status).toBe(404)
  })

  it('can name the model in the path', async () => {
    upstream.on('gemini-x', answers.json({ candidates: [] }))
    const answer = await fetch(`${upstream.url}/v1beta/models/gemini-x:generateContent`, { method: 'POST', body: '{}' })
    expect(await answer.json()).toEqual({ candidates: [] })
  })

  it('sends tool calls whole and streamed', async () => {
    const call = answers.chat({ toolCalls: [{ name: 'weather', arguments: { city: 'Paris' } }] })
    expect(JSON.parse(await textOf(call, {})).choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ function: { name: 'weather', arguments: '{"city":"Paris"}' } }] },
    })
    expect(await textOf(call)).toContain('"finish_reason":"tool_calls"')
  })
})

describe('an odd stream', () => {
  it('may have other line ends, comments, several data lines, invalid data and events by name', async () => {
    const odd = answers.sse([comment('ping'), { a: 1 }, 'two\nlines', event('error', { b: 2 }), raw('data: {"bad\n\n')])
    const plain = ': ping\n\ndata: {"a":1}\n\ndata: two\ndata: lines\n\nevent: error\ndata: {"b":2}\n\ndata: {"bad\n\n'
    expect(await textOf(odd)).toBe(plain)
    expect(await textOf(odd.lineEnds('\r'))).toBe(plain.replaceAll('\n', '\r'))
    expect(await textOf(odd.lineEnds('\r\n'))).toBe(plain.replaceAll('\n', '\r\n'))
  })

  it('may say [DONE] never or twice', async () => {
    expect(await textOf(answers.chat().done(0))).not.toContain('[DONE]')
    expect(await textOf(answers.chat().done(2))).toMatch(/\[DONE\]\n\ndata: \[DONE\]\n\n$/)
  })

  it('splits a character between two chunks', async () => {
    upstream.next(answers.sse(['žluťoučký 🐎']).pieces(1).chunkDelayMs(2))
    const chunks: Uint8Array[] = []
    for await (const chunk of (await ask('any', { stream: true })).body!) chunks.push(chunk)
    expect(chunks.length).toBeGreaterThan(15)
    expect(Buffer.concat(chunks).toString()).toBe('data: žluťoučký 🐎\n\n')
  })

  it('is compressed chunk by chunk, readable before its end', async () => {
    upstream.next(answers.chat(['first', 'second']).gzip().chunkDelayMs(30))
    const answer = await ask('any', { stream: true })
    const chunks: string[] = []
    for await (const chunk of answer.body!) chunks.push(Buffer.from(chunk).toString())
    expect(answer.headers.get('content-encoding')).toBe('gzip')
    expect(chunks.length).toBeGreaterThan(2)
    expect(chunks.join('')).toMatch(/first.*second.*\[DONE\]\n\n$/s)
  })
})

describe('a bad end', () => {
  const request = 'POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 28\r\n\r\n{"model":"m","stream": true}'

  it('breaks off in the middle of a stream', async () => {
    upstream.on('m', answers.chat(['a', 'b', 'c']).chunksOnly(2).thenBreak())
    const { text } = await bareAnswer(request)
    expect(text).toContain('"content":"a"')
    expect(text).not.toContain('"content":"b"')
    expect(text).not.toContain('\r\n0\r\n')
    expect(upstream.requests[0]!.outcome).toBe('broke off')
  })

  it('resets the connection', async () => {
    upstream.on('m', answers.chat().thenReset())
    expect((await bareAnswer(request)).failed).toBe(true)
  })

  it('fails a client that was promised more bytes', async () => {
    upstream.next(answers.chat().thenBreak(), answers.chat().bytesOnly(20).thenBreak())
    await expect(ask('any').then((answer) => answer.text())).rejects.toThrow()
    await expect(ask('any').then((answer) => answer.text())).rejects.toThrow()
  })

  it('may be truncated JSON of true length, an empty body or an error with status 200', async () => {
    expect((await textOf(answers.chat().bytesOnly(20), {})).length).toBe(20)
    expect(await textOf(answers.empty(), {})).toBe('')
    expect(await textOf(answers.error(200, 'no'), {})).toContain('"error"')
    expect(await textOf(answers.chat().untilClose())).toContain('[DONE]')
  })

  it('stalls until the client leaves, and records when it left', async () => {
    upstream.on('gpt', answers.chat(['a', 'b']).chunksOnly(2).thenStall())
    const client = new AbortController()
    const answer = await ask('gpt', { stream: true }, { signal: client.signal })
    const reader = answer.body!.getReader()
    await reader.read()
    await sleep(30)
    const leftAt = performance.now()
    client.abort()
    await reader.read().catch(() => {})
    const seen = await upstream.received(1)
    expect(await seen.ended).toBe('client left')
    expect(seen.clientLeft).toBe(true)
    expect(seen.endedAt! - leftAt).toBeLessThan(1_000)
    expect(seen.chunksSent).toBe(2)
  })

  it('notices a client that leaves during a delay before the head', async () => {
    upstream.on('gpt', answers.chat().headDelayMs(20_000))
    await expect(ask('gpt', {}, { signal: AbortSignal.timeout(50) })).rejects.toThrow()
    expect(await upstream.requests[0]!.ended).toBe('client left')
  })
})

describe('what is recorded', () => {
  it('is every byte and header as sent', async () => {
    upstream.on('gpt', answers.chat())
    await ask('gpt', { content: 'žluť' }, { headers: { 'X-Odd': 'Yes', authorization: 'Bearer k' } })
    const seen = await upstream.received(1)
    expect(seen.headers).toMatchObject({ 'x-odd': 'Yes', authorization: 'Bearer k' })
    expect(seen.text).toContain('žluť')
    expect(seen.member('messages')).toEqual([{ role: 'user', content: 'Hi' }])
    expect([seen.method, seen.path, seen.outcome]).toEqual(['POST', '/v1/chat/completions', 'answered'])
  })

  it('is the body of a chunked request without its framing, however the bytes are cut', async () => {
    upstream.on('m', answers.empty().untilClose())
    const body = '5\r\n{"mod\r\n8\r\nel":"m"}\r\n0\r\n\r\n'
    const socket = connect(upstream.port, '127.0.0.1')
    for (const byte of `POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n${body}`) {
      socket.write(byte)
      await sleep(0)
    }
    const seen = await upstream.received(1)
    expect(seen.text).toBe('{"model":"m"}')
    socket.destroy()
  })

  it('tells the time of head, first byte and end', async () => {
    upstream.on('gpt', answers.chat().headDelayMs(30).firstChunkDelayMs(30).chunkDelayMs(5))
    await (await ask('gpt', { stream: true })).text()
    const seen = upstream.requests[0]!
    expect(seen.headSentAt! - seen.receivedAt).toBeGreaterThanOrEqual(28)
    expect(seen.firstChunkSentAt! - seen.headSentAt!).toBeGreaterThanOrEqual(28)
    expect(seen.endedAt! - seen.firstChunkSentAt!).toBeGreaterThanOrEqual(20)
  })

  it('shows whether a connection was used again', async () => {
    upstream.otherwise(answers.chat())
    await (await ask('a')).text()
    await (await ask('b')).text()
    expect(upstream.requests.map((request) => request.connection)).toEqual([1, 1])
  })
})

describe('a large body', () => {
  it('passes whole in both directions', async () => {
    const text = 'x'.repeat(8_000_000)
    upstream.on('gpt', answers.chat(text), answers.chat(Array(5_000).fill('y'.repeat(1_000))))
    const answer = await (await ask('gpt', { text })).json()
    expect(answer.choices[0].message.content.length).toBe(8_000_000)
    expect(upstream.requests[0]!.body.length).toBeGreaterThan(8_000_000)
    expect((await (await ask('gpt', { stream: true })).text()).length).toBeGreaterThan(5_000_000)
  })
})
