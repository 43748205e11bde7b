import { settingsOf } from '../api/client.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import { openControlPlane } from '../processes/control-plane.ts'
import { withLastWords } from '../processes/last-words.ts'
import { logOf } from '../processes/surroundings.ts'
import { until } from '../processes/until.ts'
import type { Settings } from '../settings.ts'
import { type Failed, isFailed } from '../trouble.ts'

export default command({
  name: 'control-plane',
  description: 'Run the control plane: GraphQL, dashboard, and the link for gateways. Stops at SIGTERM or Ctrl-C.',
  example: 'SLUICE_DATABASE_URL_FILE=/run/secrets/database sluice control-plane',
  format: null,
  inTenant: false,
  async run(_given, io) {
    const settings = settingsOf(io)
    if (isFailed(settings)) return settings
    return withLastWords(logOf(settings, io), () => serve(settings, io))
  },
})

async function serve(settings: Settings, io: Io): Promise<ExitCode | Failed> {
  const plane = await openControlPlane(settings, io)
  if (isFailed(plane)) return plane
  if (plane.isNew) io.err(`A new installation. Its admin token is in ${settings.dataDir}/admin-token.\n`)
  io.err(`The control plane answers at ${plane.url}.\n`)
  await until(io.signal)
  await plane.stop()
  return 0
}
