import type { Environment } from './settings.ts'

/** 0 ok, 1 error, 2 differences, 3 refused. Scripts rely on it. */
export type ExitCode = 0 | 1 | 2 | 3

/** What a command has of the world outside: handed in, so that tests run commands as people do. */
export interface Io {
  env: Environment
  /** Data: what a script reads. */
  out(text: string): void
  /** Talk: what a person reads. */
  err(text: string): void
  /** All of standard input, at most `bytesMax`. */
  readStdin(bytesMax: number): Promise<string>
  isStdinTty: boolean
  isStdoutTty: boolean
  isStderrTty: boolean
  /** Columns of the terminal. */
  width: number
  /** Ends when the person interrupts. */
  signal: AbortSignal
  /** Asks a yes or no question on the terminal. */
  confirm(question: string): Promise<boolean>
  /** Asks for a secret on the terminal, unseen; undefined where the person gave up. */
  askSecret(question: string): Promise<string | undefined>
  now(): number
}

/** The process's own. */
export function processIo(): Io {
  const { stdin, stdout, stderr, env } = process
  const interrupted = new AbortController()
  return {
    env,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    readStdin,
    isStdinTty: stdin.isTTY === true,
    isStdoutTty: stdout.isTTY === true,
    isStderrTty: stderr.isTTY === true,
    width: stdout.columns ?? 100,
    get signal() {
      listenForInterrupt(interrupted)
      return interrupted.signal
    },
    confirm,
    askSecret,
    now: Date.now,
  }
}

/** Only a command that asks for the signal ends gently; for the others an interrupt ends the process at once. */
function listenForInterrupt(interrupted: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    if (process.listenerCount(name) === 0) process.once(name, () => interrupted.abort())
}

async function readStdin(bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of process.stdin) {
    size += (chunk as Uint8Array).byteLength
    if (size > bytesMax) throw new RangeError(`standard input is larger than ${bytesMax} bytes`)
    chunks.push(chunk as Uint8Array)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function confirm(message: string): Promise<boolean> {
  const prompts = await import('@clack/prompts')
  return (await prompts.confirm({ message, initialValue: false, output: process.stderr })) === true
}

async function askSecret(message: string): Promise<string | undefined> {
  const prompts = await import('@clack/prompts')
  const given = await prompts.password({ message, output: process.stderr })
  return typeof given === 'string' ? given : undefined
}
