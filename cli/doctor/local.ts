import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { type Environment, type Settings, unknownSettings } from '../settings.ts'
import { type Finding, fail, ok, warn } from './finding.ts'

/** What can be seen without asking anyone: the program, the settings, the data directory. */
export function localFindings(settings: Settings, env: Environment): Finding[] {
  const { dataDir } = settings
  return [
    bunVersion(),
    settingsFinding(env),
    dataDirectory(dataDir),
    ...secretFile(join(dataDir, 'admin-token'), 'admin token', settings.adminToken !== null),
    masterKey(settings),
    ...lockHolder(join(dataDir, 'control-plane.lock'), 'control plane'),
    ...lockHolder(join(dataDir, 'gateway', 'plane.lock'), 'gateway'),
  ]
}

function bunVersion(): Finding {
  const pinned = packageJson.devDependencies.bun
  if (Bun.version === pinned) return ok('bun', `${Bun.version}, the pinned one`)
  return warn('bun', `${Bun.version}; ${pinned} is the one that is tested`, '`bun start` uses the pinned one by itself')
}

function settingsFinding(env: Environment): Finding {
  const unknown = unknownSettings(env)
  if (unknown.length === 0) return ok('settings', 'all are readable')
  return warn(
    'settings',
    `${unknown.join(', ')} mean${unknown.length === 1 ? 's' : ''} nothing here`,
    'a slip of the finger?',
  )
}

function dataDirectory(dataDir: string): Finding {
  if (!existsSync(dataDir))
    return warn(
      'data directory',
      `${resolve(dataDir)} is not there yet`,
      '`bun start` makes it; or set SLUICE_DATA_DIR',
    )
  try {
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK)
    return ok('data directory', resolve(dataDir))
  } catch {
    return fail('data directory', `${resolve(dataDir)} may not be written to`, 'chown it to the user that runs Sluice')
  }
}

function secretFile(path: string, name: string, isGivenElsewhere: boolean): Finding[] {
  const info = statSync(path, { throwIfNoEntry: false })
  if (!info && isGivenElsewhere) return []
  if (!info) return [warn(name, `${path} is not there`, '`bun start` makes it; or set SLUICE_ADMIN_TOKEN')]
  if ((info.mode & 0o077) !== 0) return [fail(name, `${path} can be read by others`, `chmod 600 ${path}`)]
  return [ok(name, `${path}, readable by its owner alone`)]
}

function masterKey({ masterKey: given, dataDir }: Settings): Finding {
  if (given !== null) return ok('master key', 'from SLUICE_MASTER_KEY')
  const [found] = secretFile(join(dataDir, 'master.key'), 'master key', false)
  if (found!.state !== 'ok')
    return {
      ...found!,
      wayOut: found!.state === 'fail' ? found!.wayOut : '`bun start` makes it; or set SLUICE_MASTER_KEY',
    }
  return warn(
    'master key',
    `${found!.detail}, beside the data it seals`,
    'for production keep it elsewhere: SLUICE_MASTER_KEY_FILE',
  )
}

/** A lock is normal while its process lives; one that is left behind is taken over by the next start. */
function lockHolder(path: string, what: string): Finding[] {
  const pid = readPid(path)
  if (pid === undefined) return []
  const alive = isAlive(pid)
  const check = `${what} lock`
  return [
    alive
      ? ok(check, `held by process ${pid}`)
      : ok(check, `left by process ${pid}, which is gone; the next start takes it`),
  ]
}

function readPid(path: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(path, 'utf8')) as { pid?: unknown }
    return Number.isInteger(pid) ? (pid as number) : undefined
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
