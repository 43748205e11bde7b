import { clientOf, findAccess, settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import { banner, type Running } from '../processes/banner.ts'
import { openControlPlane } from '../processes/control-plane.ts'
import { prepare, type Seeds } from '../processes/first-start.ts'
import { type GatewayAddresses, GatewayProcess } from '../processes/gateway-process.ts'
import { withLastWords } from '../processes/last-words.ts'
import { logOf } from '../processes/surroundings.ts'
import { until } from '../processes/until.ts'
import type { Settings } from '../settings.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

export default command({
  name: 'up',
  description:
    'Run everything here: control plane with an embedded database, and a gateway as a second process. Stops at Ctrl-C.',
  example: 'sluice up                     OPENAI_API_KEY=… sluice up',
  inTenant: false,
  async run({ format }, io) {
    const settings = settingsOf(io)
    if (isFailed(settings)) return settings
    return withLastWords(logOf(settings, io), () => serve(settings, io, format === 'json'))
  },
})

async function serve(settings: Settings, io: Io, asJson: boolean): Promise<ExitCode | Failed> {
  const plane = await openControlPlane(settings, io)
  if (isFailed(plane)) return plane
  try {
    return await runGateway(settings, plane.url, io, asJson)
  } finally {
    await plane.stop()
  }
}

/** Prepares the installation, runs the gateway beside it, and tells what there is, until the person has had enough. */
async function runGateway(settings: Settings, controlUrl: string, io: Io, asJson: boolean): Promise<ExitCode | Failed> {
  // Its own work is of the tenant that this installation was made with.
  const access = findAccess({ ...settings, controlUrl, tenant: null })
  if (isFailed(access)) return access
  const seeds = await prepare(clientOf(access), settings.dataDir, io.env)
  if (isFailed(seeds)) return seeds
  const gateway = new GatewayProcess(io, controlUrl, seeds.planeToken)
  try {
    const addresses = await gateway.start()
    if ('refused' in addresses) return failed('CANNOT_START', addresses.refused)
    const running = await describe(controlUrl, access.token, seeds, addresses)
    io.out(asJson ? `${JSON.stringify(running)}\n` : banner(running, settings.dataDir, io))
    await until(io.signal)
    io.err('\nFinishing what is under way …\n')
    return 0
  } finally {
    await gateway.stop()
  }
}

async function describe(
  controlUrl: string,
  adminToken: string,
  seeds: Seeds,
  addresses: GatewayAddresses,
): Promise<Running> {
  const answer = await fetch(`${controlUrl}/session/ticket`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}` },
  })
  const { path } = (await answer.json()) as { path: string }
  return {
    dashboard: `${controlUrl}${path}`,
    graphql: `${controlUrl}/graphql`,
    gateway: `${addresses.gateway}/v1`,
    ops: addresses.ops,
    adminToken,
    applicationKey: seeds.applicationKey,
    model: seeds.model,
    notes: seeds.notes,
  }
}
