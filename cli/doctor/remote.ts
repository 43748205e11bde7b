import { type Client, clientOf, findAccess } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import type { Settings } from '../settings.ts'
import { isFailed } from '../trouble.ts'
import { budgetFindings } from './budgets.ts'
import { type Finding, fail, failureOf, ok, warn } from './finding.ts'

const timeoutMs = 3_000
const clockOffsetMsMax = 5_000
const backlogMax = 1_000
const startIt = '`bun start` starts it here; SLUICE_CONTROL_URL names one elsewhere'

/** What the processes say of themselves. What cannot be asked because something before it failed is left out. */
export async function remoteFindings(settings: Settings, nowMs: number): Promise<Finding[]> {
  const access = findAccess(settings)
  const url = isFailed(access) ? (settings.controlUrl ?? `http://127.0.0.1:${settings.port}`) : access.controlUrl
  const [control, gateway] = await Promise.all([controlPlane(url, nowMs), gatewayFindings(settings)])
  if (isFailed(access) || control.some(({ state }) => state === 'fail')) return [...control, ...gateway]
  return [...control, ...(await tenantFindings(clientOf(access))), ...gateway]
}

/** An answer, or that there is none. */
async function get(url: string): Promise<{ status: number; text: string; date: string | null } | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'manual' })
    return { status: answer.status, text: (await answer.text()).trim(), date: answer.headers.get('date') }
  } catch {
    return undefined
  }
}

async function controlPlane(url: string, nowMs: number): Promise<Finding[]> {
  const answer = await get(`${url}/readyz`)
  if (!answer) return [fail('control plane', `nothing answers at ${url}`, startIt)]
  if (answer.status !== 200 && answer.status !== 503)
    return [
      fail(
        'control plane',
        `${url} is something else: it answered ${answer.status}`,
        `stop that program, or choose another port with SLUICE_PORT`,
      ),
    ]
  if (answer.status === 503) return [fail('control plane', `${url} is not ready: ${answer.text}`, 'its log says more')]
  return [ok('control plane', `${url} is ready`), ...clock(answer.date, nowMs)]
}

/** The date of an answer is cut to whole seconds. */
function clock(date: string | null, nowMs: number): Finding[] {
  const at = Date.parse(date ?? '')
  if (Number.isNaN(at)) return []
  const offMs = Math.abs(at + 500 - nowMs)
  if (offMs <= clockOffsetMsMax) return [ok('clock', 'agrees with the control plane')]
  return [warn('clock', `${Math.round(offMs / 1000)} s apart from the control plane`, 'set both clocks, with NTP')]
}

interface Viewer {
  viewer: { actor: { name: string }; permissions: string[]; tenant: { name: string } }
}

interface Plane {
  name: string
  state: string
  activeRevision: number | null
  desiredRevision: number
  limitSharing: string
  instances: { nodes: { host: string | null; clockOffsetMs: number | null }[] }
}

const viewerDocument = 'query Doctor { viewer { actor { name } permissions tenant { name } } }'
const planeFields = `state activeRevision desiredRevision limitSharing instances(first: 10) { nodes { host clockOffsetMs } }`

async function tenantFindings(client: Client): Promise<Finding[]> {
  const answer = await client.ask<Viewer>(viewerDocument)
  if (isFailed(answer)) return [failureOf('token', answer)]
  const { actor, permissions, tenant } = answer.viewer
  const planes = await listAll<Plane>(client, 'dataPlane', planeFields, { size: 20 })
  return [
    ok('token', `${actor.name} in tenant ${tenant.name}, ${permissions.length} permissions`),
    ...(isFailed(planes) ? [failureOf('data planes', planes)] : planesFindings(planes)),
    ...(await budgetFindings(client)),
  ]
}

function planesFindings(planes: readonly Plane[]): Finding[] {
  if (planes.length === 0) return [warn('data planes', 'none is declared', '`bun start` enrols one')]
  return planes
    .flatMap((plane) => {
      const clocks = plane.instances.nodes
        .filter(({ clockOffsetMs }) => Math.abs(clockOffsetMs ?? 0) > clockOffsetMsMax)
        .map(({ host, clockOffsetMs }) =>
          warn(
            'clock',
            `${host ?? plane.name} is ${clockOffsetMs} ms apart from the control plane`,
            'set it, with NTP',
          ),
        )
      return [...revisionFinding(plane), ...clocks]
    })
    .concat(sharingFinding(planes))
}

const sharings: Record<string, string> = {
  SINGLE_PLANE: 'counted by one gateway, in its memory',
  SHARED_STORE: 'counted for all gateways in one store',
  SHARES: 'each gateway has its share, in its memory',
}

/** How rate limits are counted. Gateways that count in a store do not know what others count in their memory. */
function sharingFinding(planes: readonly Plane[]): Finding[] {
  const connected = planes.filter(({ activeRevision }) => activeRevision !== null)
  const found = [...new Set(connected.map(({ limitSharing }) => limitSharing))]
  if (found.length === 0) return []
  const told = found.map((sharing) => sharings[sharing] ?? sharing).join('; ')
  if (found.length === 1 || !found.includes('SHARED_STORE')) return [ok('rate limits', told)]
  return [warn('rate limits', told, 'set SLUICE_REDIS_URL for all gateways, or for none')]
}

/** Whether a fleet runs what is declared. */
function revisionFinding({ name, state, activeRevision: active, desiredRevision: desired }: Plane): Finding[] {
  const check = `data plane ${name}`
  if (state === 'RETIRED') return []
  if (active === null) {
    const detail = `no process of it is connected (${state.toLowerCase()})`
    return [warn(check, detail, 'start its gateway; its log says why it is not connected')]
  }
  if (active < desired) {
    const detail = `runs revision ${active}, ${desired} is declared`
    return [warn(check, detail, 'wait a moment; if it stays so, its log says why')]
  }
  return [ok(check, `runs revision ${active}, the newest`)]
}

/** The local gateway's own word: its health port is on this machine or nowhere. */
async function gatewayFindings({ host, opsPort, gatewayPort }: Settings): Promise<Finding[]> {
  const at = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const ready = await get(`http://${at}:${opsPort}/readyz`)
  if (!ready) {
    const other = await get(`http://${at}:${gatewayPort}/healthz`)
    if (!other)
      return [
        warn('gateway', `none answers on ports ${gatewayPort} and ${opsPort} here`, '`bun start`, or `sluice gateway`'),
      ]
    return [
      warn(
        'gateway',
        `port ${gatewayPort} answers, its health port ${opsPort} does not`,
        'another program may hold one of them: SLUICE_GATEWAY_PORT and SLUICE_OPS_PORT choose others',
      ),
    ]
  }
  if (ready.status !== 200) return [fail('gateway', `not ready: ${ready.text.slice(0, 300)}`, 'its log says more')]
  const metrics = await get(`http://${at}:${opsPort}/metrics`)
  const text = metrics?.text ?? ''
  return [ok('gateway', `ready on port ${gatewayPort}`), ...backlog(text), ...limitStore(text)]
}

function backlog(metrics: string): Finding[] {
  const [, waiting] = /^sluice_record_backlog(?:\{[^}]*\})? (\d+)/m.exec(metrics) ?? []
  if (waiting === undefined) return []
  if (Number(waiting) <= backlogMax) return [ok('journal', `${waiting} records wait for delivery`)]
  return [warn('journal', `${waiting} records wait for delivery`, 'is the control plane reachable from the gateway?')]
}

function limitStore(metrics: string): Finding[] {
  if (!/^sluice_limits_up\{sharing="SHARED_STORE"\} 0/m.test(metrics)) return []
  const wayOut = 'is Redis at SLUICE_REDIS_URL reachable from the gateway? Its log says more'
  return [fail('limit store', 'the gateway cannot count: requests with rate limits are refused', wayOut)]
}
