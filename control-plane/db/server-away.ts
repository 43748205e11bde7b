import { QueryFailed, StartRefused, StorageAway } from './driver.ts'

/** Of node's sockets and resolver, and of the driver where a connection does not come about or breaks. */
const unreached = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'CONNECT_TIMEOUT', 'CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED'],
])

/**
 * SQLSTATEs (PostgreSQL, appendix A) of a server that is starting, stopping, failing over or full: connection exceptions,
 * shutdown and start, too many connections.
 */
const passing = /^(08...|57P0[1235]|53300)$/

/** What opening a server failed with: away for now, refused for a reason that waiting does not change, or a bug as it is. */
export function openingTrouble(error: unknown): unknown {
  if (error instanceof StartRefused) return error
  const { code = '' } = error as { code?: string }
  if (code === '25006')
    return new StorageAway(
      'The PostgreSQL server of SLUICE_DATABASE_URL takes no writes (it is read-only or a standby), and has to be prepared first.',
    )
  if (unreached.has(code) || passing.test(code))
    return new StorageAway(`The PostgreSQL server of SLUICE_DATABASE_URL does not answer (${code}).`)
  if (code.startsWith('28'))
    return new StartRefused('The PostgreSQL server does not accept the user or password of SLUICE_DATABASE_URL.')
  if (code === '3D000')
    return new StartRefused('The database that SLUICE_DATABASE_URL names does not exist; create it.')
  if (error instanceof QueryFailed) return error
  return new StartRefused(`The PostgreSQL server of SLUICE_DATABASE_URL cannot be used (${code || 'unknown error'}).`)
}
