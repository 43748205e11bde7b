import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../real/install.ts'
import type { Postgres } from '../real/postgres.ts'
import { processTree, type Started, start, untilReady } from '../real/started.ts'
import type { Length } from './options.ts'

/** Load and upstream run on one core, what is measured on another. */
export const loadCore = '0'
export const subjectCore = '1'

/** Something that answers chat completions: where, with which headers, and by which name of a model. */
export interface Subject {
  url: string
  headers: Record<string, string>
  model: string
  pid: number
  /** What the process said of itself when it was ready. */
  said: Record<string, unknown>
}

type Starter = (bed: Bed) => Promise<{ started: Started; subject: Omit<Subject, 'pid'> }>

/** Where the rows are measured: starts each subject when a row first asks for it, and ends them all. */
export class Bed {
  readonly #subjects = new Map<string, Promise<Subject>>()
  readonly #running: Started[] = []
  readonly #memo = new Map<string, Promise<unknown>>()
  #server: Promise<Postgres> | undefined
  readonly #dir = mkdtempSync(join(tmpdir(), 'sluice-bench-'))

  constructor(readonly length: Length) {
    if (availableParallelism() < 2)
      throw new Error('The bench needs two cores: one for the load, one for what is measured.')
  }

  /** The subject of this name, started once. It ends with the bed. */
  subject(name: string, starter: Starter): Promise<Subject> {
    const present = this.#subjects.get(name)
    if (present) return present
    const subject = starter(this).then(({ started, subject }) => {
      this.#running.push(started)
      return { ...subject, pid: started.pid }
    })
    this.#subjects.set(name, subject)
    return subject
  }

  /** Something that is found out once and used by several rows. */
  once<T>(name: string, find: () => Promise<T>): Promise<T> {
    const present = this.#memo.get(name) ?? find()
    this.#memo.set(name, present)
    return present as Promise<T>
  }

  /** The one PostgreSQL server of the rows that need it. It ends with the bed, after what runs on it. */
  server(open: () => Promise<Postgres>): Promise<Postgres> {
    this.#server ??= open()
    return this.#server
  }

  /** A new folder that goes with the bed. */
  folder(name: string): string {
    return mkdtempSync(join(this.#dir, `${name}-`))
  }

  /** The instant upstream. */
  stub(): Promise<Subject> {
    return this.subject('stub', async () => {
      const { started, said } = await startMain('stub-main.ts', loadCore)
      return { started, subject: { url: said.url as string, headers: {}, model: 'bench', said } }
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((started) => started.stop()))
    await (await this.#server)?.stop()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** Starts a program of this folder on one core; `said` is the line of JSON that it prints when it is ready. */
export async function startMain(file: string, core: string, env: Record<string, string> = {}) {
  const program = fileURLToPath(new URL(file, import.meta.url))
  const started = await start({
    name: file,
    command: 'taskset',
    args: ['-c', core, process.execPath, program],
    // Bun's fetch makes at most 256 requests at once unless told otherwise before it starts.
    env: { BUN_CONFIG_MAX_HTTP_REQUESTS: '8192', NODE_ENV: 'production', ...env },
  })
  const said = await untilReady(file, started, () => {
    const line = started.lines().find((text) => text.startsWith('{'))
    return line === undefined ? undefined : (JSON.parse(line) as Record<string, unknown>)
  })
  return { started, said }
}

/** Moves a program that is already running, all its threads and children, to one core. */
export async function pin(pid: number, core: string): Promise<void> {
  for (const one of processTree(pid)) await run('taskset', ['-a', '-c', '-p', core, String(one)])
}
