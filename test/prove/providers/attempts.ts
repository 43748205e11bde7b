import { families, visitsOf } from './cells.ts'
import type { Client } from './clients/client.ts'
import type { Room } from './house.ts'
import type { Scene } from './scenes.ts'

/** What a vendor may answer, and whether asking again can help. */
const kinds = {
  'status-429': true,
  'status-500': true,
  'status-503': true,
  'status-529': true,
  silent: true,
  'status-400': false,
  'status-401': false,
  'status-402': false,
  'long-wait': false,
} as const satisfies Partial<Record<Scene, boolean>>
export type Kind = keyof typeof kinds

export interface Attempts {
  table: string
  short: string[]
  figures: { attempts: number; longestSleepS: string }
}

interface Met {
  client: Client
  kind: Kind
  attempts: number
  /** Between two attempts. */
  longestSleepMs: number
  error: string
}

/** Refusals that are told by a status from 500 or 429, though `x-should-retry` says no: some SDKs go by the status alone. */
const byStatus = new Set<Kind>(['status-401', 'status-402', 'long-wait'])
/** How long the gateway waits for a first byte here. */
const silenceMs = 5_000
const sleepMsMax = 60_000
/** The sixth retry of those with rules of their own waits 32 to 64 s by lot, whatever they are told. */
const headstrongSleepMsMax = 66_000
/** Two retries are what the vendors' SDKs make; those with rules of their own make up to six. */
const obedientAttemptsMax = 3
const headstrongAttemptsMax = 7

/** Every client meets every refusal, at a vendor of another protocol, with the retries that it makes by itself. */
export async function meetRefusals(clients: Client[], rooms: Room[]): Promise<Attempts> {
  const met = await Promise.all(
    clients.flatMap((client) => (Object.keys(kinds) as Kind[]).map((kind) => meet(client, kind, rooms))),
  )
  const short = met.flatMap(({ client, kind, attempts, longestSleepMs, error }) => {
    const most = client.headstrong ? headstrongAttemptsMax : obedientAttemptsMax
    const faults = []
    if (error === '') faults.push('it was taken for an answer')
    if (attempts < 1) faults.push(`it did not reach the vendor: ${error}`)
    if (!kinds[kind] && attempts > 1 && !(client.headstrong && byStatus.has(kind)))
      faults.push(`${attempts} attempts, though none helps`)
    if (attempts > most) faults.push(`${attempts} attempts`)
    const sleepMax = client.headstrong ? headstrongSleepMsMax : sleepMsMax
    if (longestSleepMs > sleepMax) faults.push(`it slept for ${longestSleepMs} ms`)
    return faults.map((fault) => `${client.name} meets ${kind}: ${fault}`)
  })
  const longest = Math.max(...met.map(({ longestSleepMs }) => longestSleepMs))
  const figures = {
    attempts: met.reduce((sum, { attempts }) => sum + attempts, 0),
    longestSleepS: (longest / 1_000).toFixed(1),
  }
  return { table: tableOf(clients, met), short, figures }
}

async function meet(client: Client, kind: Kind, rooms: Room[]): Promise<Met> {
  const { stage } = rooms.find(
    (room) => room.stage.vendor.name === (client.dialect === 'anthropic' ? 'openai' : 'anthropic'),
  )!
  const id = `${client.name} ${kind}`.replaceAll(' ', '_')
  let error = ''
  try {
    await client.ask({
      model: `${families[client.dialect]}-${stage.vendor.name}-${id}`,
      scene: kind,
      id,
      streamed: false,
    })
  } catch (thrown) {
    error = String(thrown)
  }
  const times = visitsOf({ stage, id }).map(({ atMs }) => atMs)
  const waited = kind === 'silent' ? silenceMs : 0
  const sleeps = times.slice(1).map((at, index) => at - times[index]! - waited)
  return { client, kind, attempts: times.length, longestSleepMs: Math.max(0, ...sleeps), error }
}

function tableOf(clients: Client[], met: Met[]): string {
  const names = Object.keys(kinds) as Kind[]
  const head = ['attempts'.padEnd(20), ...names.map((name) => name.replace('status-', '').padEnd(10))].join('')
  const rows = clients.map((client) =>
    [
      client.name.padEnd(20),
      ...names.map((kind) =>
        String(met.find((each) => each.client === client && each.kind === kind)!.attempts).padEnd(10),
      ),
    ].join(''),
  )
  return [head, ...rows].join('\n')
}
