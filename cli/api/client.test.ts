import { afterEach, describe, expect, it } from 'vitest'
import { isFailed } from '../trouble.ts'
import { clientOf } from './client.ts'
import { refOf } from './refs.ts'
import { idempotencyKey, write } from './write.ts'

type Answer = (body: { variables: { input: { idempotencyKey?: string } } }, request: Request) => Response | 'cut'
let stop: () => void = () => {}
afterEach(() => stop())

/** A control plane that answers as the test says; `cut` = the connection drops after the request was read. */
function controlPlane(answer: Answer) {
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: async (socket, bytes) => {
        const text = bytes.toString()
        const body = text.slice(text.indexOf('\r\n\r\n') + 4)
        const given = answer(JSON.parse(body), new Request('http://x', { headers: {} }))
        if (given === 'cut') return void socket.terminate()
        const answered = await given.text()
        const head = [...given.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('')
        const length = Buffer.byteLength(answered)
        socket.write(
          `HTTP/1.1 ${given.status} X\r\n${head}content-length: ${length}\r\nconnection: close\r\n\r\n${answered}`,
        )
        socket.end()
      },
    },
  })
  stop = () => server.stop(true)
  return clientOf({ controlUrl: `http://127.0.0.1:${server.port}`, token: 'sla_x', tenant: null })
}

const written = (payload: object) => Response.json({ data: { write: { errors: [], ...payload } } })

describe('the client', () => {
  it('sends a write that mints again after a lost answer, with the same idempotency key', async () => {
    const keys: unknown[] = []
    const client = controlPlane(({ variables }) => {
      keys.push(variables.input.idempotencyKey)
      return keys.length < 3 ? 'cut' : written({ secret: 's' })
    })
    const input = { idempotencyKey: idempotencyKey() }
    expect(await write(client, 'mutation …', input, { retry: 'ALWAYS' })).toMatchObject({ secret: 's' })
    expect(keys).toEqual([input.idempotencyKey, input.idempotencyKey, input.idempotencyKey])
  })

  it('never sends an apply again that may have arrived', async () => {
    let sent = 0
    const client = controlPlane(() => {
      sent++
      return 'cut'
    })
    const answer = await write(client, 'mutation …', {}, { retry: 'UNSENT' })
    expect(isFailed(answer) && answer.failed[0]!.code).toBe('UNREACHABLE')
    expect(sent).toBe(1)
  })

  it('tries again where the control plane says that it may pass', async () => {
    let sent = 0
    const client = controlPlane(() => {
      if (++sent > 1) return Response.json({ data: { ok: true } })
      const errors = [{ message: 'not now', extensions: { code: 'UNAVAILABLE', retryable: true } }]
      return Response.json({ errors }, { status: 503 })
    })
    expect(await client.ask('{ ok }')).toEqual({ ok: true })
  })

  it('gives code, path, request id and a way out of every error', async () => {
    const errors = [
      { message: 'Too much.', path: ['tenant', 'models'], extensions: { code: 'TOO_COMPLEX', requestId: 'cor_1' } },
    ]
    const client = controlPlane(() => Response.json({ errors }))
    expect(await client.ask('{ ok }')).toEqual({
      failed: [
        {
          code: 'TOO_COMPLEX',
          message: 'Too much.',
          where: 'tenant.models',
          advice: 'ask for less at once',
          requestId: 'cor_1',
        },
      ],
      exit: 1,
    })
  })

  it('tells a refusal (3) from an error (1)', async () => {
    const refuse = (code: string) =>
      controlPlane(() => Response.json({ errors: [{ message: 'No.', extensions: { code } }] })).ask('{ ok }')
    expect(await refuse('UNAUTHENTICATED')).toMatchObject({ exit: 3 })
    stop()
    expect(await refuse('BAD_DOCUMENT')).toMatchObject({ exit: 1 })
    stop()
    const client = controlPlane(() => written({ errors: [{ code: 'NOT_FOUND', message: 'No.', path: ['ref'] }] }))
    expect(await write(client, '…', {}, { retry: 'ALWAYS' })).toMatchObject({ exit: 3, failed: [{ where: 'ref' }] })
  })

  it('is not taken in by something that is no control plane', async () => {
    const client = controlPlane(() => new Response('<html>hello</html>'))
    expect(await client.ask('{ ok }')).toMatchObject({ failed: [{ code: 'NOT_SLUICE' }], exit: 1 })
  })

  it('reads names, handles and ids alike', () => {
    expect(refOf('project', 'checkout')).toBe('project/checkout')
    expect(refOf('project', 'project/checkout')).toBe('project/checkout')
    expect(refOf('model', 'openai/gpt-4o')).toBe('model/openai/gpt-4o')
    const id = `prj_${'0'.repeat(32)}`
    expect(refOf('project', id)).toBe(id)
  })
})
