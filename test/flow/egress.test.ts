import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, startGateway } from './gateway.ts'

let folder: string
let upstream: ScriptedUpstream
let proxy: Server
let secure: Bun.Server<undefined>
const proxied: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-egress-'))
  upstream = await scriptedUpstream()
  upstream.otherwise(answers.chat('ok'))
  proxy = createServer((request, response) => {
    proxied.push(request.url!)
    void forward(request).then(async (answer) => {
      response.writeHead(answer.status, { 'content-type': 'application/json' })
      response.end(await answer.text())
    })
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  makeCertificate()
  const tls = {
    cert: readFileSync(join(folder, 'cert.pem'), 'utf8'),
    key: readFileSync(join(folder, 'key.pem'), 'utf8'),
  }
  const completion = {
    choices: [{ index: 0, message: { role: 'assistant', content: 'sealed' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 1 },
  }
  secure = Bun.serve({ hostname: '127.0.0.1', port: 0, tls, fetch: () => Response.json(completion) })
})
afterAll(async () => {
  proxy.close()
  await secure.stop(true)
  await upstream.stop()
  rmSync(folder, { recursive: true })
})

async function forward(request: AsyncIterable<Uint8Array> & { url?: string }): Promise<Response> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk)
  return fetch(request.url!, {
    method: 'POST',
    body: Buffer.concat(chunks),
    headers: { 'content-type': 'application/json' },
  })
}

/** A certificate for 127.0.0.1 that no system trusts. */
function makeCertificate(): void {
  const made = Bun.spawnSync(
    [
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=127.0.0.1',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
    ],
    { cwd: folder },
  )
  if (made.exitCode !== 0) throw new Error(made.stderr.toString())
}

describe('the way out', () => {
  it('goes through the proxy that the provider declares', async () => {
    const file = join(folder, 'proxy')
    writeFileSync(file, `http://127.0.0.1:${(proxy.address() as { port: number }).port}\n`)
    const gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, provider: { proxy: `file:${file}` } })
    expect((await gateway.chat(hello)).status).toBe(200)
    expect(proxied).toEqual([`${upstream.url}/v1/chat/completions`])
    await gateway.stop()
  })

  it('trusts the private CA that the provider declares, and nobody else’s unknown certificate', async () => {
    const baseUrl = `https://127.0.0.1:${secure.port}/v1`
    const trusting = await startGateway({ baseUrl, provider: { caBundle: `file:${join(folder, 'cert.pem')}` } })
    expect((await (await trusting.chat(hello)).json()).choices[0].message.content).toBe('sealed')
    await trusting.stop()
    const strict = await startGateway({ baseUrl, retry: { attempts: 1 } })
    const answer = await strict.chat(hello)
    expect([answer.status, answer.headers.get('x-sluice-refusal')]).toEqual([503, 'upstream_overloaded'])
    await strict.stop()
  })

  it('is not another one when what is declared cannot be read', async () => {
    const gateway = await startGateway({
      baseUrl: `${upstream.url}/v1`,
      retry: { attempts: 1 },
      provider: { proxy: 'env:SLUICE_TEST_NO_SUCH_PROXY' },
    })
    const before = upstream.requests.length
    const answer = await gateway.chat(hello)
    expect([answer.status, (await answer.json()).error.message]).toEqual([503, expect.stringContaining('proxy')])
    expect(upstream.requests.length).toBe(before)
    await gateway.stop()
  })

  it('does not lead to private addresses, unless the provider is declared self-hosted', async () => {
    const baseUrl = `${upstream.url}/v1`
    const before = upstream.requests.length
    const strict = await startGateway({ baseUrl, privateHosts: [], retry: { attempts: 1 } })
    const answer = await strict.chat(hello)
    const { message } = (await answer.json()).error
    expect([answer.status, message]).toEqual([503, expect.stringContaining('private address')])
    expect(message).not.toContain('127.0.0.1')
    expect(upstream.requests.length).toBe(before)
    await strict.stop()
    const own = await startGateway({ baseUrl, privateHosts: [], provider: { selfHosted: true } })
    expect((await own.chat(hello)).status).toBe(200)
    await own.stop()
  })
})
