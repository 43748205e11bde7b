import { settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import { clockOf, logOf } from '../processes/surroundings.ts'
import { until } from '../processes/until.ts'
import { failed, isFailed } from '../trouble.ts'

export default command({
  name: 'control-plane',
  description: 'Run the control plane: GraphQL, dashboard, and the link for gateways. Stops at SIGTERM or Ctrl-C.',
  example: 'SLUICE_DATABASE_URL_FILE=/run/secrets/database sluice control-plane',
  format: null,
  async run(_given, io) {
    const settings = settingsOf(io)
    if (isFailed(settings)) return settings
    const { startControlPlane } = await import('../../control-plane/main.ts')
    const { dataDir, databaseUrl, masterKey, host, port, tlsCert, tlsKey } = settings
    const tls = tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey } : undefined
    const plane = await startControlPlane({
      dataDir,
      databaseUrl,
      masterKey,
      host,
      port,
      tls,
      clock: clockOf(settings),
      log: logOf(settings, io),
    })
    if ('refused' in plane) return failed('CANNOT_START', plane.refused)
    if (plane.isNew) io.err(`A new installation. Its admin token is in ${dataDir}/admin-token.\n`)
    io.err(`The control plane answers at ${plane.url}.\n`)
    await until(io.signal)
    await plane.stop()
    return 0
  },
})
