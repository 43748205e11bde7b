/**
 * A process that takes one tenant's snapshot over the link, as a gateway does, and prints what that cost it:
 * `bun snapshot-taker.ts DATA_DIR CONTROL_URL [CHANGE_URL]` with the token in SLUICE_PLANE_TOKEN. A POST to CHANGE_URL changes one
 * key; some such changes are followed too.
 */
import { openInstance } from '../../../adapters/ports/instance-identity.ts'
import { openPlaneLink } from '../../../adapters/ports/link-client.ts'
import { SnapshotStore } from '../../../adapters/ports/snapshot-store.ts'
import { type LongestPause, watchLoop } from './loop-watch.ts'

/** What taking a snapshot cost a gateway. */
export interface Taken {
  snapshotBytes: number
  /** From the open link to the swap: fetching, verifying, writing, building. */
  takenMs: number
  /** From an empty process that starts on what is on disk to the swap. */
  reopenedMs: number
  /** How long the event loop stood still at the longest. */
  pause: LongestPause
  reopenPause: LongestPause
  residentBeforeMb: number
  residentAfterMb: number
  /** For each change of one key: from the answer to it to the swap, the work of this process for it, and its longest pause. */
  followed: { swappedMs: number; cpuMs: number; pause: LongestPause }[]
}

const changesFollowed = 10

async function take(dataDir: string, controlUrl: string, changeUrl?: string): Promise<Taken> {
  const about = { controlUrl, host: 'proof', version: '0.1.0' }
  const identity = await openInstance({ ...about, dataDir, token: process.env.SLUICE_PLANE_TOKEN ?? null })
  if ('refused' in identity) throw new Error(identity.refused)
  const clock = { now: Date.now, monotonic: () => performance.now() }
  const log = (_: string, sentence: string) => console.error(sentence)
  const open = () => SnapshotStore.open({ dataDir, identity, clock, version: about.version, log })
  const snapshots = await open()
  Bun.gc(true)
  const residentBeforeMb = residentMb()
  const watch = watchLoop()
  let beganMs = 0
  const swapped = new Promise<number>((resolve) => snapshots.onSwap(() => resolve(performance.now())))
  const link = openPlaneLink({ ...about, identity, snapshots, records: noRecords, clock, log })
  await link.opened()
  beganMs = performance.now()
  const takenMs = (await swapped) - beganMs
  const pause = await watch.end()
  const residentAfterMb = residentMb()
  const followed: Taken['followed'] = []
  while (changeUrl && followed.length < changesFollowed) followed.push(await followChange(snapshots, changeUrl))
  await link.close()
  await snapshots.close()
  const watchAgain = watchLoop()
  const againMs = performance.now()
  const again = await open()
  const reopenedMs = performance.now() - againMs
  const reopenPause = await watchAgain.end()
  const snapshotBytes = [...again.current().tenants.values()].length > 0 ? bytesIn(dataDir) : 0
  identity.close()
  const memory = { residentBeforeMb, residentAfterMb }
  return { snapshotBytes, takenMs, reopenedMs, pause, reopenPause, ...memory, followed }
}

async function followChange(snapshots: SnapshotStore, changeUrl: string): Promise<Taken['followed'][number]> {
  const watch = watchLoop()
  const cpu = process.cpuUsage()
  const swapped = new Promise<number>((resolve) => {
    const stop = snapshots.onSwap(() => {
      stop()
      resolve(performance.now())
    })
  })
  await (await fetch(changeUrl, { method: 'POST' })).text()
  const answeredMs = performance.now()
  const swappedMs = Math.max((await swapped) - answeredMs, 0)
  const { user, system } = process.cpuUsage(cpu)
  return { swappedMs, cpuMs: (user + system) / 1_000, pause: await watch.end() }
}

const noRecords = {
  pending: () => [],
  next: () => [],
  acked() {},
  refused() {},
  onDurable: () => () => {},
  deliveredThroughMs: () => null,
}

const residentMb = () => process.memoryUsage.rss() / 1024 ** 2

function bytesIn(dataDir: string): number {
  const parts = new Bun.Glob('snapshots/parts/*').scanSync(dataDir)
  return [...parts].reduce((sum, path) => sum + Bun.file(`${dataDir}/${path}`).size, 0)
}

if (import.meta.main) {
  const [dataDir, controlUrl, changeUrl] = process.argv.slice(2) as [string, string, string?]
  console.log(JSON.stringify(await take(dataDir, controlUrl, changeUrl)))
  process.exit(0)
}
