import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type InstanceIdentity, openInstance } from '../../adapters/ports/instance-identity.ts'
import { openPlaneLink, type PlaneLink, type RecordSource } from '../../adapters/ports/link-client.ts'
import type { CheckProvider } from '../../adapters/ports/provider-check/checker.ts'
import { SnapshotStore } from '../../adapters/ports/snapshot-store.ts'
import type { LinkDomain } from '../../control-plane/link/domain.ts'
import { type PlaneRoutes, type PlaneSocketData, routesOver } from '../../control-plane/link/routes.ts'
import type { RootedInstallation } from '../../control-plane/link/trust.ts'
import { JournalDouble } from './journal-double.ts'

const undo: (() => unknown)[] = []

/** Ends everything that a test began, last first. */
export async function endAll(): Promise<void> {
  for (const end of undo.splice(0).reverse()) await end()
}

export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-link-'))
  undo.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface ControlPlane {
  url: string
  port: number
  said: string[]
  stop(): Promise<void>
}

/** The control plane's side of the link on a port of its own. */
export function startControlPlane(domain: LinkDomain, installation: RootedInstallation, port = 0): ControlPlane {
  const said: string[] = []
  const routes: PlaneRoutes = routesOver(domain, installation, (level, sentence) => said.push(`${level}: ${sentence}`))
  const server = Bun.serve<PlaneSocketData>({
    port,
    hostname: '127.0.0.1',
    fetch: (request, server) => routes.fetch(request, server as never),
    websocket: routes.websocket,
  })
  const stop = async () => {
    await routes.close()
    await server.stop(true)
  }
  undo.push(stop)
  return { url: `http://127.0.0.1:${server.port}`, port: server.port!, said, stop }
}

type PlaneJournal = RecordSource & { openEpoch(epoch: number): void }

export interface Plane<Journal extends PlaneJournal = JournalDouble> {
  identity: InstanceIdentity
  store: SnapshotStore
  link: PlaneLink
  journal: Journal
  said: string[]
  stop(): Promise<void>
}

/** A plane on a data directory: enrolled where it is not yet, its link opening. */
export async function startPlane(options: StartOptions): Promise<Plane> {
  return startPlaneWith(options, async () => new JournalDouble(options.tenant))
}

interface StartOptions {
  url: string
  dataDir: string
  tenant: string
  token?: string
  nowMs?: () => number
  /** Absent = it cannot check providers, as older gateways cannot. */
  checkProvider?: CheckProvider
}

/** The same with a journal of one's own. */
export async function startPlaneWith<Journal extends PlaneJournal>(
  options: StartOptions,
  openJournal: (identity: InstanceIdentity) => Promise<Journal>,
): Promise<Plane<Journal>> {
  const said: string[] = []
  const log = (level: string, sentence: string) => void said.push(`${level}: ${sentence}`)
  const clock = { now: options.nowMs ?? Date.now, monotonic: () => performance.now() }
  const about = { controlUrl: options.url, host: 'test', version: '0.1.0' }
  const { dataDir, token = 'sle_right' } = options
  const identity = await openInstance({ ...about, dataDir, token, enrolWaitMs: 2_000 })
  if ('refused' in identity) throw new Error(identity.refused)
  const store = await SnapshotStore.open({ dataDir, identity, clock, version: about.version, log })
  const journal = await openJournal(identity)
  const onEpoch = (epoch: number) => journal.openEpoch(epoch)
  const { checkProvider } = options
  const link = openPlaneLink({
    ...about,
    identity,
    snapshots: store,
    records: journal,
    clock,
    onEpoch,
    checkProvider,
    log,
  })
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    await link.close()
    await store.close()
    identity.close()
  }
  undo.push(stop)
  return { identity, store, link, journal, said, stop }
}

/** Waits until something holds; fails with what it was after a while. */
export async function until(what: string, holds: () => unknown, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`)
    await Bun.sleep(5)
  }
}
