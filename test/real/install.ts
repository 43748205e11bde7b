import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { withLock } from './cache.ts'

const installTimeoutMs = 15 * 60_000
const outputLinesMax = 8

/** Says on stderr what takes long: once at the start, then every ten seconds, then how long it took. */
export async function progress<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now()
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
  console.error(`real: ${what} …`)
  const ticking = setInterval(() => console.error(`real: ${what}, ${seconds()} s so far …`), 10_000)
  try {
    const result = await work()
    console.error(`real: ${what}: done in ${seconds()} s`)
    return result
  } finally {
    clearInterval(ticking)
  }
}

/** Runs a command to its end; an exit code other than 0 is an Error that carries the last lines it printed. */
export function run(command: string, args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}) {
  return new Promise<string>((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: installTimeoutMs,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output = (output + data.toString()).slice(-16_384)
      })
    }
    child.once('error', (cause) => reject(new Error(`${command} could not be started (${cause.message})`)))
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(output)
      const tail = output.trim().split('\n').slice(-outputLinesMax).join('\n')
      reject(new Error(`${command} ended with ${signal ?? code}:\n${tail}`))
    })
  })
}

/** One clear sentence: what is missing and how to get it. Never a skip, with or without `CI=true`. */
export function missing(what: string, howToGet: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new Error(`${what} is missing and could not be installed; get it with: ${howToGet}\n${reason}`, { cause })
}

/** The first of `programs` that exists: a bare name is looked up in PATH, a path is taken as it is. */
export function findProgram(...programs: string[]): string | undefined {
  for (const program of programs) {
    const found = program.startsWith('/') ? (existsSync(program) ? program : undefined) : Bun.which(program)
    if (found) return found
  }
  return undefined
}

/**
 * Finds a program, or installs the Debian packages that carry it and finds it then.
 * RUNLEVEL=1 keeps packages from starting their own server where no systemd runs.
 */
export async function debianProgram(what: string, packages: string[], find: () => string | undefined): Promise<string> {
  const found = find()
  if (found) return found
  try {
    await withLock('apt', async () => {
      if (find()) return
      await progress(`installing ${packages.join(' ')}`, () => aptInstall(packages))
    })
    const installed = find()
    if (installed) return installed
    throw new Error('apt-get succeeded, but the program is not where it belongs')
  } catch (cause) {
    throw missing(what, `apt-get update && apt-get install ${packages.join(' ')}`, cause)
  }
}

async function aptInstall(packages: string[]): Promise<void> {
  const env = { DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const patience = ['-o', 'DPkg::Lock::Timeout=600']
  await run('apt-get', [...patience, 'update'], { env })
  await run('apt-get', [...patience, 'install', '-y', '--no-install-recommends', ...packages], { env })
}

/** Installs npm packages into `dir` with the Bun we run on; no install script of theirs is run. */
export async function npmInstall(dir: string, dependencies: Record<string, string>): Promise<void> {
  await writeFile(join(dir, 'package.json'), JSON.stringify({ private: true, dependencies }))
  await run(process.execPath, ['install', '--ignore-scripts', '--production'], { cwd: dir })
}
