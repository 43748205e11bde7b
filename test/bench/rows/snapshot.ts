import { fileURLToPath } from 'node:url'
import { cleanEnvironment } from '../../prove/parts/environment.ts'
import type { Taken } from '../../prove/parts/snapshot-taker.ts'
import { postgres } from '../../real/postgres.ts'
import { type Bed, loadCore, pin, type Subject, startMain, subjectCore } from '../bed.ts'
import type { Row, Sample, Target } from '../row.ts'
import { median } from '../statistics.ts'

const keys = 100_000
const times = { '/whole': 3, '/next': 20 }

interface Compiled {
  tookMs: number
  cpuUs: number
  pauseMs: number
  bytes: number
  parts: number
}

/** A control plane with one large tenant on one core, its PostgreSQL on the other. */
function controlPlane(bed: Bed): Promise<Subject> {
  return bed.subject('control plane of many keys', async () => {
    const server = await postgres({ fast: true })
    await pin(server.pid(), loadCore)
    const { started, said } = await startMain('control-main.ts', subjectCore, {
      BENCH_DATABASE_URL: server.url,
      BENCH_KEYS: String(keys),
    })
    const stop = async () => {
      await started.stop()
      await server.stop()
    }
    return { started: { ...started, stop }, subject: { url: said.url as string, headers: {}, model: '', said } }
  })
}

async function compile(bed: Bed, path: keyof typeof times): Promise<Sample> {
  const { url } = await controlPlane(bed)
  const compiled: Compiled[] = []
  for (let time = 0; time < times[path]; time++)
    compiled.push((await (await fetch(url + path, { method: 'POST' })).json()) as Compiled)
  const of = (key: keyof Compiled) => compiled.map((one) => one[key])
  const { bytes, parts } = compiled[0]!
  const note = `${(bytes / 1e6).toFixed(1)} MB in ${parts} parts; median of ${times[path]}`
  return { p50Ms: median(of('tookMs')), cpuUs: median(of('cpuUs')), pauseMs: Math.max(...of('pauseMs')), note }
}

/** What a process that takes the snapshot as a gateway does says of it. */
function taken(bed: Bed): Promise<Taken> {
  return bed.once('snapshot taken', async () => {
    const { url, said } = await controlPlane(bed)
    const program = fileURLToPath(new URL('../../prove/parts/snapshot-taker.ts', import.meta.url))
    const child = Bun.spawn(
      ['taskset', '-c', loadCore, process.execPath, program, bed.folder('taker'), url, `${url}/change`],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...cleanEnvironment(), SLUICE_PLANE_TOKEN: said.planeToken as string },
      },
    )
    return JSON.parse(await new Response(child.stdout).text()) as Taken
  })
}

async function activate(bed: Bed): Promise<Sample> {
  const { takenMs, pause, reopenPause, snapshotBytes, residentBeforeMb, residentAfterMb } = await taken(bed)
  const grown = `${(snapshotBytes / 1e6).toFixed(1)} MB on disk, ${Math.round(residentAfterMb - residentBeforeMb)} MiB more in memory`
  return { p50Ms: takenMs, pauseMs: Math.max(pause.workMs, reopenPause.workMs), note: grown }
}

async function swap(bed: Bed): Promise<Sample> {
  const { followed } = await taken(bed)
  return {
    p50Ms: median(followed.map(({ swappedMs }) => swappedMs)),
    cpuUs: 1_000 * median(followed.map(({ cpuMs }) => cpuMs)),
    pauseMs: Math.max(...followed.map(({ pause }) => pause.workMs)),
    note: `from the mutation's answer to the swap; median of ${followed.length}`,
  }
}

const shortPause: Target = { text: 'pause ≤ 50', met: ({ pauseMs }) => pauseMs! <= 50 }
const row = (name: string, title: string, measure: Row['measure']): Row => ({
  ...{ name, title, measure },
  ...{ once: true, target: shortPause },
})

export const snapshotRows = [
  row('snapshot-whole', 'Snapshot of 100,000 keys, compiled whole', (bed) => compile(bed, '/whole')),
  row('snapshot-next', 'The next one, one key changed', (bed) => compile(bed, '/next')),
  row('snapshot-taken', 'A gateway fetches and activates it', activate),
  row('snapshot-swapped', 'A gateway swaps to the next one', swap),
]
