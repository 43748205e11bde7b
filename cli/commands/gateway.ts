import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import { withLastWords } from '../processes/last-words.ts'
import { clockOf, logOf } from '../processes/surroundings.ts'
import { until, untilOrStdinCloses } from '../processes/until.ts'
import type { Settings } from '../settings.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

export default command({
  name: 'gateway',
  description:
    'Run a standalone gateway. The first time it enrols with SLUICE_PLANE_TOKEN; after that it needs no token.',
  example: 'SLUICE_CONTROL_URL=http://127.0.0.1:4000 SLUICE_PLANE_TOKEN_FILE=token sluice gateway',
  options: {
    'with-parent': {
      type: 'boolean',
      description: 'stop when standard input closes, as it does when a supervisor dies',
    },
  },
  format: null,
  inTenant: false,
  async run({ options }, io) {
    const settings = settingsOf(io)
    if (isFailed(settings)) return settings
    const stopWithParent = options['with-parent']
    return withLastWords(logOf(settings, io), () => serve(settings, stopWithParent, io))
  },
})

async function serve(settings: Settings, stopWithParent: boolean, io: Io): Promise<ExitCode | Failed> {
  const givenUp = new AbortController()
  const end = AbortSignal.any([io.signal, givenUp.signal])
  const ended = stopWithParent ? untilOrStdinCloses(end) : until(end)
  // A gateway that still waits to enrol ends with its parent too.
  const ending = new AbortController()
  void ended.then(() => ending.abort())
  const { startStandalone } = await import('../../adapters/standalone/main.ts')
  const {
    host,
    dataDir,
    port,
    planeToken,
    gatewayPort,
    opsPort,
    bodyLimit,
    privateHosts,
    tlsCert,
    tlsKey,
    redisUrl,
    redisCa,
  } = settings
  const gateway = await startStandalone({
    dataDir: join(dataDir, 'gateway'),
    controlUrl: settings.controlUrl ?? `http://127.0.0.1:${port}`,
    planeToken,
    host,
    port: gatewayPort,
    opsPort,
    tls: tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey } : undefined,
    bodyBytesMax: bodyLimit,
    limitStore: redisUrl === null ? null : { url: redisUrl, ca: redisCa },
    privateHosts,
    version: packageJson.version,
    clock: { ...clockOf(settings), monotonic: () => performance.now() },
    log: logOf(settings, io),
    signal: ending.signal,
  })
  if ('refused' in gateway) {
    givenUp.abort()
    return failed('CANNOT_START', gateway.refused)
  }
  io.out(`${JSON.stringify({ gateway: gateway.url, ops: gateway.opsUrl, instance: gateway.instance })}\n`)
  await ended
  await gateway.stop()
  return 0
}
