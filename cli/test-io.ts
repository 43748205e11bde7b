import type { Io } from './io.ts'

export interface TestIo extends Io {
  readonly stdout: string
  readonly stderr: string
}

/** What a command has of the world in tests: it keeps what was written, and answers as the test says. */
export function testIo(given: Partial<Io> & { stdin?: string } = {}): TestIo {
  let stdout = ''
  let stderr = ''
  return {
    env: {},
    out: (text) => {
      stdout += text
    },
    err: (text) => {
      stderr += text
    },
    readStdin: async () => given.stdin ?? '',
    isStdinTty: false,
    isStdoutTty: false,
    isStderrTty: false,
    width: 100,
    signal: new AbortController().signal,
    confirm: async () => false,
    askSecret: async () => undefined,
    now: Date.now,
    ...given,
    get stdout() {
      return stdout
    },
    get stderr() {
      return stderr
    },
  }
}
