import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Postgres, postgres } from '../../real/postgres.ts'
import { processTree, type Started, start, untilReady } from '../../real/started.ts'
import { type PacedLine, pacedLine } from './paced-line.ts'
import { freePorts } from './sluice.ts'

const root = join(import.meta.dirname, '../../..')
/** Provider keys and settings of whoever runs the proof have no place in it. */
const foreign = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(SLUICE_|OPENAI_)/.test(name))
    .map((name) => [name, undefined]),
)

/** One command of Sluice that runs as a process of its own and can be killed and started again on the same data. */
export class Member {
  /** How often it was killed: a request that was on its way meanwhile may stay without an answer. */
  kills = 0
  serving = false
  /** What it said at levels that somebody should read. */
  readonly complaints: string[] = []
  #process: Started | undefined

  constructor(
    readonly name: string,
    readonly args: string[],
    readonly env: Record<string, string>,
    /** True once it serves. */
    readonly answers: () => Promise<boolean>,
  ) {}

  get pid(): number {
    return this.#process!.pid
  }

  /** Milliseconds that its main thread was ready to run since its start, but had no processor: others kept them. */
  waitedMs(): number {
    return Number(readFileSync(`/proc/${this.pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  }

  /** Starts it and waits until it serves. */
  async start(more: Record<string, string> = {}): Promise<void> {
    await this.startUnserved(more)
    await this.served()
  }

  /** Starts it, whether or not it can serve yet. */
  async startUnserved(more: Record<string, string> = {}): Promise<void> {
    const args = ['cli/sluice.ts', ...this.args]
    const env = { ...foreign, ...this.env, ...more }
    this.#process = await start({ name: this.name, command: process.execPath, args, cwd: root, env })
  }

  async served(): Promise<void> {
    await untilServing(this.name, this.#process!, this.answers)
    this.serving = true
  }

  /** Waits until it has said this. */
  async said(text: string): Promise<void> {
    const heard = async () => this.#process!.lines().some((line) => line.includes(text))
    await untilServing(this.name, this.#process!, heard)
  }

  async kill9(): Promise<void> {
    this.serving = false
    this.kills++
    await this.#process!.kill9()
    this.#listen()
  }

  async stop(): Promise<void> {
    this.serving = false
    await this.#process?.stop()
    this.#listen()
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal)
  }

  #listen(): void {
    const said = this.#process?.lines() ?? []
    this.complaints.push(...said.filter((line) => /\b(error|fault|panic)\b/i.test(line)))
  }
}

/** Also waits for its children, which hold its shared memory a moment longer: another server would not start beside them. */
async function killDatabase(database: Postgres): Promise<void> {
  const pids = processTree(database.pid())
  await database.kill9()
  const deadlineMs = performance.now() + 10_000
  while (pids.some((pid) => existsSync(`/proc/${pid}`)) && performance.now() < deadlineMs) await Bun.sleep(10)
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 30_000
  while (!(await holds().catch(() => false))) {
    if (performance.now() > deadlineMs) throw new Error('The control plane does not find its database again.')
    await Bun.sleep(20)
  }
}

function untilServing(name: string, process: Started, answers: () => Promise<boolean>): Promise<true> {
  return untilReady(name, process, async () => ((await answers().catch(() => false)) ? true : undefined), 30_000)
}

/** What can be killed; `back` starts it again and resolves when applications or administrators are served by it. */
export interface Victim {
  name: string
  kind: 'control' | 'gateway' | 'database'
  kill9(): Promise<void>
  back(): Promise<unknown>
  /** Of its start, what went by without a processor. */
  waitedMs(): number
}

/** PostgreSQL, a control plane on it, and gateways; the lines between them can be slowed, everything can be killed. */
export interface CrashHouse {
  database: Postgres
  control: Member
  controlUrl: string
  /** Where the control plane keeps its admin token. */
  controlDir: string
  ask<T>(query: string, variables?: object): Promise<T>
  gateways: (Member & { url: string; ops: string; dataDir: string })[]
  /** To the database and to the control plane. */
  lines: PacedLine[]
  /** PostgreSQL, whose return is the control plane's first answer from it. */
  databaseVictim: Victim
  killDatabase(): Promise<void>
  freeze(): void
  thaw(): void
  stop(): Promise<void>
}

export async function crashHouse(folder: string, count: number): Promise<CrashHouse> {
  const database = await postgres()
  const [controlPort, ...ports] = await freePorts(1 + count * 2)
  const toDatabase = await pacedLine(database.port)
  const toControl = await pacedLine(controlPort!)
  const controlUrl = `http://127.0.0.1:${controlPort}`
  const databaseUrl = database.url.replace(`:${database.port}/`, `:${toDatabase.port}/`)
  const controlDir = dataDir(folder, 'control')
  const askControl: CrashHouse['ask'] = (query, variables) => askGraphql(controlUrl, controlDir, query, variables)
  const control = new Member(
    'The control plane',
    ['control-plane'],
    { SLUICE_DATA_DIR: controlDir, SLUICE_PORT: String(controlPort), SLUICE_DATABASE_URL: databaseUrl },
    async () => (await askControl<{ tenant: object }>('{ tenant { configRevision } }')).tenant !== null,
  )
  const gateways = Array.from({ length: count }, (_, at) =>
    gatewayMember(folder, at + 1, ports[at * 2]!, ports[at * 2 + 1]!, `http://127.0.0.1:${toControl.port}`),
  )
  let frozen: number[] = []
  const thaw = () => {
    for (const pid of frozen.reverse()) process.kill(pid, 'SIGCONT')
    frozen = []
  }
  return {
    database,
    control,
    ...{ controlUrl, controlDir, ask: askControl },
    gateways,
    lines: [toDatabase, toControl],
    killDatabase: () => killDatabase(database),
    databaseVictim: {
      ...{ name: 'PostgreSQL', kind: 'database', kill9: () => killDatabase(database), waitedMs: () => 0 },
      back: async () => {
        await database.start()
        await until(control.answers)
      },
    },
    freeze: () => {
      frozen = [control.pid, ...processTree(database.pid())]
      for (const pid of frozen) process.kill(pid, 'SIGSTOP')
    },
    thaw,
    async stop() {
      thaw()
      for (const line of [toDatabase, toControl]) line.delay(0)
      for (const member of [...gateways, control]) await member.stop()
      for (const line of [toDatabase, toControl]) await line.down()
      await database.stop()
    },
  }
}

async function askGraphql<T>(controlUrl: string, controlDir: string, query: string, variables = {}): Promise<T> {
  const token = readFileSync(join(controlDir, 'admin-token'), 'utf8').trim()
  const answer = await fetch(`${controlUrl}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
    ...quick(),
  })
  const { data, errors } = (await answer.json()) as { data: T; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

const quick = () => ({ signal: AbortSignal.timeout(5_000) })

function gatewayMember(folder: string, number: number, port: number, opsPort: number, controlUrl: string) {
  const url = `http://127.0.0.1:${port}`
  const ops = `http://127.0.0.1:${opsPort}`
  const folderOf = dataDir(folder, `gateway-${number}`)
  const env = {
    SLUICE_DATA_DIR: folderOf,
    SLUICE_CONTROL_URL: controlUrl,
    SLUICE_GATEWAY_PORT: String(port),
    SLUICE_OPS_PORT: String(opsPort),
  }
  const ready = async () => (await fetch(`${ops}/readyz`, quick())).ok
  return Object.assign(new Member(`Gateway ${number}`, ['gateway'], env, ready), { url, ops, dataDir: folderOf })
}

function dataDir(folder: string, name: string): string {
  const path = join(folder, name)
  mkdirSync(path, { recursive: true, mode: 0o700 })
  return path
}
