import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Running } from '../../../cli/processes/banner.ts'

const root = join(import.meta.dirname, '../../..')
const startWithinMs = 60_000

/** A whole Sluice started as a user does, on free ports and a data directory of its own. */
export interface Sluice {
  running: Running
  env: Record<string, string>
  startedInMs: number
  command(...args: string[]): Promise<{ code: number; out: string; err: string }>
  ask<T>(query: string, variables?: object): Promise<T>
  kill(): Promise<void>
  stop(): Promise<void>
}

/** `bun start -o json` with these settings; resolves when it says that it runs. */
export async function startSluice(dataDir: string, settings: Record<string, string> = {}): Promise<Sluice> {
  const [port, gatewayPort, opsPort] = await freePorts(3)
  const env = {
    ...cleanEnvironment(),
    SLUICE_DATA_DIR: dataDir,
    SLUICE_PORT: String(port),
    SLUICE_GATEWAY_PORT: String(gatewayPort),
    SLUICE_OPS_PORT: String(opsPort),
    ...settings,
  }
  const startedMs = performance.now()
  const child = Bun.spawn([process.execPath, 'start', '-o', 'json'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await Promise.race([firstLine(child.stdout), Bun.sleep(startWithinMs)])
  if (!line) {
    child.kill()
    throw new Error('Sluice did not start; what it said is above')
  }
  const running: Running = JSON.parse(line)
  return {
    running,
    env,
    startedInMs: performance.now() - startedMs,
    command: (...args) => runCommand(env, args),
    ask: (query, variables) => ask(running, query, variables),
    async kill() {
      child.kill('SIGKILL')
      await child.exited
    },
    async stop() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

/** Provider keys of whoever runs the proof have no place in it. */
function cleanEnvironment(): Record<string, string> {
  const foreign = /^(SLUICE_|OPENAI_|ANTHROPIC_|GEMINI_|AZURE_OPENAI_|AWS_)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name))) as Record<
    string,
    string
  >
}

async function runCommand(env: Record<string, string>, args: string[]) {
  const child = Bun.spawn([process.execPath, 'sluice', ...args], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) process.stderr.write(err)
  return { code, out, err }
}

async function ask<T>(running: Running, query: string, variables: object = {}): Promise<T> {
  const answer = await fetch(running.graphql, {
    method: 'POST',
    headers: { authorization: `Bearer ${running.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await answer.json()) as { data: T; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
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

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer()
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
