import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { serveMercurius } from '../../control-plane/hosts/mercurius.ts'
import { serveControlPlane } from '../../control-plane/hosts/yoga.ts'
import { postgres } from '../real/postgres.ts'
import { start, untilReady } from '../real/started.ts'
import { openHouse } from './house.ts'

/** One host on a control plane of its own. */
export interface Hosted {
  url: string
  socketUrl: string
  token: string
  /** What the host reported as faults; on Node, what it printed besides its address. */
  faults(): string[]
  stop(): Promise<void>
}

/** Each on an installation of its own; `apiQuota` is what one caller may spend a minute. */
export const hosts: Record<string, (apiQuota?: number) => Promise<Hosted>> = {
  'yoga on Bun': (apiQuota) => onBun(serveControlPlane, apiQuota),
  'mercurius on Bun': (apiQuota) => onBun(serveMercurius, apiQuota),
  'mercurius on Node': onNode,
}

async function onBun(serve: typeof serveControlPlane | typeof serveMercurius, apiQuota?: number): Promise<Hosted> {
  const house = await openHouse()
  const faults: string[] = []
  const report = (error: unknown) => faults.push(error instanceof Error ? String(error.stack) : String(error))
  const server = await serve(house.ctx, { host: '127.0.0.1', port: 0, apiQuota, report })
  return hosted(
    server.url,
    house.token,
    () => faults,
    async () => {
      await server.stop()
      await house.stop()
    },
  )
}

const root = join(import.meta.dirname, '../..')

/** Built by Bun into one file, which Node runs without our sources or packages, on a PostgreSQL server. */
async function onNode(apiQuota?: number): Promise<Hosted> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-node-'))
  const server = await postgres({ fast: true })
  const removeAll = async () => {
    await server.stop()
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    return await startNode(dir, { SLUICE_DATABASE_URL: server.url, ...quotaOf(apiQuota) }, removeAll)
  } catch (error) {
    await removeAll()
    throw error
  }
}

const quotaOf = (apiQuota: number | undefined): Record<string, string> =>
  apiQuota === undefined ? {} : { SLUICE_API_QUOTA: String(apiQuota) }

async function startNode(dir: string, env: Record<string, string>, removeAll: () => Promise<void>): Promise<Hosted> {
  await build(dir)
  cpSync(join(root, 'control-plane/db/migrations'), join(dir, 'migrations'), { recursive: true })
  const node = await start({
    name: 'The Mercurius host on Node',
    command: nodeProgram(),
    args: [join(dir, 'node-main.js')],
    cwd: dir,
    env,
  })
  const { url, token } = await untilReady('The Mercurius host on Node', node, () => announced(node.lines()))
  const faults = () => node.lines().filter((line) => !line.startsWith('{"url"'))
  return hosted(url, token, faults, async () => {
    await node.stop()
    await removeAll()
  })
}

/** Node itself: `bun --bun` puts a `node` before it that is Bun. */
function nodeProgram(): string {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.includes('bun-node'))
  const found = folders.map((folder) => join(folder, 'node')).find((path) => existsSync(path))
  if (!found) throw new Error('Node 20 or later is needed: the Debian package nodejs.')
  return found
}

async function build(outdir: string): Promise<void> {
  const entry = join(import.meta.dirname, 'node-main.ts')
  const args = ['build', '--target=node', entry, '--outdir', outdir]
  const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error('The Mercurius host could not be built for Node.')
}

function announced(lines: string[]): { url: string; token: string } | undefined {
  const line = lines.find((candidate) => candidate.startsWith('{"url"'))
  return line && JSON.parse(line)
}

function hosted(url: string, token: string, faults: () => string[], stop: () => Promise<void>): Hosted {
  return { url, socketUrl: `${url.replace('http', 'ws')}/graphql`, token, faults, stop }
}
