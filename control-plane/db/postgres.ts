import { Admission } from './admission.ts'
import { Connection } from './connection.ts'
import type { Driver } from './driver.ts'
import { Hearing } from './hearing.ts'
import { migrate } from './migrate.ts'
import { openingTrouble } from './server-away.ts'
import { RepeatedStatements } from './statements.ts'

const connectionsMax = 10
/** Transactions that may wait for one of the connections, and how long. */
const waitingMax = 5_000
const waitTimeoutMs = 10_000
const connectTimeoutS = 5
/** Bounds at the server: a statement, the wait for a lock, and a transaction whose client has gone quiet. */
const serverTimeouts = { statement_timeout: 30_000, lock_timeout: 10_000, idle_in_transaction_session_timeout: 60_000 }

const asText = { serialize: (value: unknown) => value, parse: (value: string) => value }
/** Dates, JSON and large numbers stay text: drizzle's columns know what they are. */
const types = {
  bigint: { to: 20, from: [20], serialize: (value: unknown) => String(value), parse: (value: string) => value },
  json: { to: 3802, from: [114, 3802], ...asText },
  date: { to: 1184, from: [1082, 1114, 1184], ...asText },
}

const options = {
  connect_timeout: connectTimeoutS,
  idle_timeout: 60,
  // The driver's own back-off grows to 20 s: a server that is back is found at once.
  backoff: (() => 0.05 + Math.random() * 0.2) as never,
  onnotice: () => {},
  types: types as never,
  connection: { application_name: 'sluice', TimeZone: 'UTC', plan_cache_mode: 'force_custom_plan', ...serverTimeouts },
}

/** A PostgreSQL server, 14 or later. Several hosts in the address: the first that answers, or takes writes (`target_session_attrs`). */
export async function openPostgres(url: string): Promise<Driver> {
  const repeated = new RepeatedStatements()
  const connect = () => new Connection(url, options, repeated)
  await prepare(connect())
  const admission = new Admission({ places: connectionsMax, waitingMax, waitTimeoutMs })
  const hearing = new Hearing(url, options)
  const free: Connection[] = []
  return {
    kind: 'postgres',
    session: (work) =>
      admission.run(async () => {
        const connection = free.pop() ?? connect()
        try {
          return await connection.session(work)
        } finally {
          if (connection.broken) void connection.end(0)
          else free.push(connection)
        }
      }),
    listen: (channel, wake) => hearing.listen(channel, wake),
    async close() {
      await hearing.close()
      await Promise.all(free.map((connection) => connection.end(5)))
    },
  }
}

async function prepare(connection: Connection): Promise<void> {
  try {
    await connection.session(async (query) => {
      // Waiting for another control plane's migration may take longer than anything else should.
      await query('set lock_timeout = 0; set statement_timeout = 0', [])
      await migrate(query)
    }, Number.POSITIVE_INFINITY)
  } catch (error) {
    throw openingTrouble(error)
  } finally {
    await connection.end(1)
  }
}
