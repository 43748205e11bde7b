import { join } from 'node:path'
import { cleanEnvironment, root } from './environment.ts'
import type { UnrulyRelay } from './unruly-relay.ts'

/** One gateway process behind a relay of its own. */
export interface Gateway {
  url: string
  ops: string
  relay: UnrulyRelay
  pid: number
  /** From the start of the process to its first answer to a chat, milliseconds. */
  servedAfterMs: number
  lines: string[]
  stop(): Promise<void>
}

const startMsMax = 30_000

/** Starts a gateway by its public command and asks it until it answers its first chat. */
export async function startGateway(options: {
  dataDir: string
  planeToken: string
  relay: UnrulyRelay
  secret: string
}): Promise<Gateway> {
  const { dataDir, planeToken, relay, secret } = options
  const startedMs = performance.now()
  const child = Bun.spawn([process.execPath, join(root, 'cli/sluice.ts'), 'gateway', '--with-parent'], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      ...cleanEnvironment(),
      SLUICE_DATA_DIR: dataDir,
      SLUICE_CONTROL_URL: relay.url,
      SLUICE_PLANE_TOKEN: planeToken,
      SLUICE_GATEWAY_PORT: '0',
      SLUICE_OPS_PORT: '0',
    },
  })
  const lines: string[] = []
  void gather(child.stderr, lines)
  const stop = async () => {
    child.kill('SIGTERM')
    await child.exited
    relay.close()
  }
  const first = await firstLine(child.stdout)
  if (!first) throw new Error(`a gateway did not start:\n${lines.join('\n')}`)
  const { gateway, ops } = JSON.parse(first) as { gateway: string; ops: string }
  const url = new URL(gateway).origin
  while ((await chat(url, secret)) !== 200) {
    if (performance.now() - startedMs > startMsMax) throw new Error(`a gateway does not serve:\n${lines.join('\n')}`)
    await Bun.sleep(5)
  }
  return { url, ops, relay, pid: child.pid, servedAfterMs: performance.now() - startedMs, lines, stop }
}

/** The status of one small chat. */
export async function chat(url: string, secret: string, model = 'small'): Promise<number> {
  const answer = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], max_tokens: 5 }),
  })
  await answer.arrayBuffer()
  return answer.status
}

/** The status of asking for one model's name, which costs neither a record nor an upstream. */
export async function showModel(url: string, secret: string, model: string): Promise<number> {
  const answer = await fetch(`${url}/v1/models/${model}`, { headers: { authorization: `Bearer ${secret}` } })
  await answer.arrayBuffer()
  return answer.status
}

async function gather(stream: ReadableStream<Uint8Array>, lines: string[]): Promise<void> {
  for await (const chunk of stream) {
    lines.push(...Buffer.from(chunk).toString().split('\n').filter(Boolean))
    lines.splice(0, lines.length - 200)
  }
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string | undefined> {
  let text = ''
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString()
    const end = text.indexOf('\n')
    if (end !== -1) return text.slice(0, end)
  }
  return undefined
}
