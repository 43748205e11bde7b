import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

const linesMax = 200
const stopTimeoutMs = 10_000

export interface StartOptions {
  /** How the program is called in errors. */
  name: string
  command: string
  args: string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Run as this user; only root can. */
  user?: string | undefined
  /** What `stop` sends first; after ten seconds it sends SIGKILL. */
  stopSignal?: NodeJS.Signals
}

/** A program of ours that runs as its own process. */
export interface Started {
  pid: number
  /** Resolves when the process has ended, however it ended. */
  exited: Promise<void>
  running(): boolean
  /** The last lines it printed, stdout and stderr mixed. */
  lines(): string[]
  /** Ends it in the polite way and waits until it is gone; calling it twice is harmless. */
  stop(): Promise<void>
  /** Ends it without any chance to tidy up. */
  kill9(): Promise<void>
}

/**
 * Starts a program that dies with us: setpriv asks the kernel to kill it when the thread that started it ends, so that
 * an aborted run leaves no server behind to disturb the next one.
 */
export async function start(options: StartOptions): Promise<Started> {
  const as = options.user ? [`--reuid=${options.user}`, `--regid=${options.user}`, '--init-groups'] : []
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...as, '--', options.command, ...options.args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      if (lines.length > linesMax) lines.shift()
    })
  }
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  await Promise.race([
    once(child, 'spawn'),
    once(child, 'error').then(() => {
      throw new Error(`${options.name} could not be started: setpriv is missing (Debian package util-linux).`)
    }),
  ])
  const running = () => child.exitCode === null && child.signalCode === null
  const end = async (signal: NodeJS.Signals) => {
    if (running()) child.kill(signal)
    const late = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs)
    await exited
    clearTimeout(late)
  }
  return {
    pid: child.pid!,
    exited,
    running,
    lines: () => [...lines],
    stop: () => end(options.stopSignal ?? 'SIGTERM'),
    kill9: () => end('SIGKILL'),
  }
}

/** Waits until `answers` gives a value; an Error with the program's last words when it ends or time runs out. */
export async function untilReady<T>(
  name: string,
  started: Started,
  answers: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  while (started.running() && performance.now() < deadline) {
    const value = await answers()
    if (value !== undefined) return value
    await sleep(20)
  }
  const why = started.running() ? `did not answer within ${timeoutMs} ms` : 'ended before it answered'
  await started.kill9()
  throw new Error(`${name} ${why}:\n${started.lines().slice(-15).join('\n')}`)
}

/** True as soon as something answers HTTP at `url`, whatever the status. */
export async function answersHttp(url: string): Promise<true | undefined> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(2_000) })
    return true
  } catch {
    return undefined
  }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (address === null || typeof address === 'string') throw new Error('No free port was given.')
  return address.port
}

/** Starts at a free port, three tries: between asking for a free port and listening another process may take it. */
export async function onFreePort<T>(startAt: (port: number) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await startAt(await freePort())
    } catch (cause) {
      const taken = cause instanceof Error && /in use|EADDRINUSE/i.test(cause.message)
      if (!taken || tries === 3) throw cause
    }
  }
}

/** The process and all its descendants, for summing up CPU time and memory. */
export function processTree(pid: number): number[] {
  const pids = [pid]
  for (const one of pids) {
    try {
      const children = readFileSync(`/proc/${one}/task/${one}/children`, 'utf8').trim()
      if (children) pids.push(...children.split(' ').map(Number))
    } catch {
      // It ended while we looked.
    }
  }
  return pids
}
