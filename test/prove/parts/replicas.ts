import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Started, start, untilReady } from '../../real/started.ts'
import { cleanEnvironment, root } from './environment.ts'
import { freePorts } from './sluice.ts'

/** One control-plane process. */
export interface Replica {
  url: string
  process: Started
}

/** Control planes on one database, started by their public command; the first makes the installation. */
export async function startReplicas(databaseUrl: string, folder: string, count: number) {
  const masterKey = randomBytes(32).toString('hex')
  const ports = await freePorts(count)
  const replicas: Replica[] = []
  for (const [index, port] of ports.entries()) {
    const dataDir = join(folder, `control-plane-${index}`)
    const process = await start({
      name: 'control plane',
      command: globalThis.process.execPath,
      args: [join(root, 'cli/sluice.ts'), 'control-plane'],
      cwd: root,
      env: {
        ...cleanEnvironment(),
        SLUICE_DATABASE_URL: databaseUrl,
        SLUICE_MASTER_KEY: masterKey,
        SLUICE_DATA_DIR: dataDir,
        SLUICE_PORT: String(port),
      },
    })
    const path = join(dataDir, 'control-url')
    const url = await untilReady('control plane', process, () =>
      existsSync(path) ? readFileSync(path, 'utf8').trim() || undefined : undefined,
    )
    replicas.push({ url, process })
  }
  return { replicas, masterKey }
}

/** One GraphQL request as a client sends it; every refusal is an Error here. */
export async function ask<T>(url: string, token: string, query: string, variables: object = {}): Promise<T> {
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await answer.json()) as { data: T; errors?: unknown }
  const refused = data && Object.values(data).flatMap((payload) => (payload as { errors?: unknown[] })?.errors ?? [])
  if (errors || (refused && refused.length > 0)) throw new Error(JSON.stringify(errors ?? refused))
  return data
}
