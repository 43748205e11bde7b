#!/usr/bin/env bun
/**
 * The first thing that runs: `bun cli/launch.ts SCRIPT [arguments]`. Imports nothing but what Bun brings, since on a fresh clone
 * nothing else is there. Installs the locked dependencies when they are missing or changed, then runs the script on the pinned
 * Bun with the settings that must stand before a process starts.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
const pinned: string = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies.bun
/** Bun's fetch allows 256 requests at once unless told otherwise, and a stream holds its place. */
const environment = { BUN_CONFIG_MAX_HTTP_REQUESTS: '16384', ...process.env }

await install()
const [script, ...rest] = process.argv.slice(2)
if (!script) throw new Error('usage: bun cli/launch.ts SCRIPT [arguments]')
process.exit(await run(bunBinary(), [join(root, script), ...rest]))

/** Installs from the lock file unless the last install was of the same lock file. */
async function install(): Promise<void> {
  const stamp = join(root, 'node_modules/.sluice-lock')
  const lock = readFileSync(join(root, 'bun.lock'), 'utf8')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  await withLock(join(root, 'node_modules/.sluice-installing'), async () => {
    if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
    process.stderr.write('Installing what Sluice is built from …\n')
    const code = await run(process.execPath, ['install', '--frozen-lockfile', '--silent'])
    if (code !== 0) {
      process.stderr.write('Installing failed. Is the npm registry reachable? See the lines above.\n')
      process.exit(1)
    }
    writeFileSync(stamp, lock)
  })
}

/** One install at a time; a lock whose owner died is taken over after a minute. */
async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  for (;;) {
    try {
      mkdirSync(path)
      break
    } catch {
      const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0)
      if (age > 60_000) rmSync(path, { recursive: true, force: true })
      await Bun.sleep(100)
    }
  }
  try {
    await work()
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

/** The pinned Bun from the dependencies, unless this is it. */
function bunBinary(): string {
  return Bun.version === pinned ? process.execPath : join(root, 'node_modules/.bin/bun')
}

/** Runs a program in the caller's folder, hands on the signals that end us, and answers its exit code. */
async function run(program: string, args: string[]): Promise<number> {
  const child = Bun.spawn([program, ...args], {
    stdio: ['inherit', 'inherit', 'inherit'],
    env: environment,
    cwd: args[0] === 'install' ? root : process.cwd(),
  })
  const pass = (signal: NodeJS.Signals) => child.kill(signal)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => pass(signal))
  return child.exited
}
