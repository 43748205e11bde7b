import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisClient } from 'bun'
import { debianProgram, findProgram } from './install.ts'
import { freePort, type Started, start, untilReady } from './started.ts'

export interface RedisOptions {
  /** The port it had before, for one that is started again. */
  port?: number
  /** Further lines of its configuration, as arguments: `['--requirepass', 'secret']`. */
  args?: string[]
  /** Where its data is kept; absent = a folder of its own that goes with it. */
  dir?: string
  /** Answers a client that asks how it is; absent = plain, without a password. */
  url?: (port: number) => string
  /** It speaks TLS alone; `args` name its certificate. */
  tls?: { ca: string }
}

export interface Redis extends Started {
  port: number
  url: string
}

/** Debian's redis-server, in memory unless `args` say otherwise. */
export async function redis(options: RedisOptions = {}): Promise<Redis> {
  const command = await installRedis()
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'sluice-redis-')))
  const port = options.port ?? (await freePort())
  const ports = options.tls ? ['--port', '0', '--tls-port', String(port)] : ['--port', String(port)]
  const plain = [...ports, '--bind', '127.0.0.1', '--dir', dir, '--save', '']
  const started = await start({ name: 'redis-server', command, args: [...plain, ...(options.args ?? [])] })
  const url = options.url?.(port) ?? `redis://127.0.0.1:${port}`
  await untilReady('redis-server', started, () => answersPing(url, options.tls))
  const tidy = () => (options.dir ? undefined : rm(dir, { recursive: true, force: true }))
  return { ...started, port, url, stop: () => started.stop().then(tidy), kill9: () => started.kill9().then(tidy) }
}

/** Its package starts a server on port 6379 only where systemd runs. */
export function installRedis(): Promise<string> {
  return debianProgram('redis-server', ['redis-server'], () => findProgram('redis-server', 'valkey-server'))
}

async function answersPing(url: string, tls?: { ca: string }): Promise<true | undefined> {
  const client = new RedisClient(url, { autoReconnect: false, connectionTimeout: 1_000, ...(tls && { tls }) })
  try {
    await client.connect()
    return (await client.send('PING', [])) === 'PONG' || undefined
  } catch {
    return undefined
  } finally {
    client.close()
  }
}
