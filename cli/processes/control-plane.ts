import type { ControlPlane } from '../../control-plane/main.ts'
import type { Io } from '../io.ts'
import type { Settings } from '../settings.ts'
import { type Failed, failed } from '../trouble.ts'
import { clockOf, logOf } from './surroundings.ts'

/** Starts the control plane in this process as the settings say. Its code is loaded only here: most commands never need it. */
export async function openControlPlane(settings: Settings, io: Io): Promise<ControlPlane | Failed> {
  const { startControlPlane } = await import('../../control-plane/main.ts')
  const { dataDir, databaseUrl, masterKey, host, port, tlsCert, tlsKey, apiQuota } = settings
  const tls = tlsCert && tlsKey ? { cert: tlsCert, key: tlsKey } : undefined
  const clock = clockOf(settings)
  const plane = await startControlPlane({
    dataDir,
    databaseUrl,
    masterKey,
    recordsKeptMs: settings.recordsKeep,
    host,
    port,
    tls,
    apiQuota,
    privateHosts: settings.privateHosts,
    clock,
    log: logOf(settings, io),
    signal: io.signal,
  })
  return 'refused' in plane ? failed('CANNOT_START', plane.refused) : plane
}
