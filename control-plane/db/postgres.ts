import postgres from 'postgres'
import { type Driver, type Query, QueryFailed } from './driver.ts'
import { migrate } from './migrate.ts'
import { openingTrouble } from './server-away.ts'

const connectionsMax = 10
const connectTimeoutS = 10
/** Bounds at the server: a statement, the wait for a lock, and a transaction whose client has gone quiet. */
const serverTimeouts = { statement_timeout: 30_000, lock_timeout: 10_000, idle_in_transaction_session_timeout: 60_000 }

const asText = { serialize: (value: unknown) => value, parse: (value: string) => value }
/** Dates, JSON and large numbers stay text: drizzle's columns know what they are. */
const types = {
  bigint: { to: 20, from: [20], serialize: (value: unknown) => String(value), parse: (value: string) => value },
  json: { to: 3802, from: [114, 3802], ...asText },
  date: { to: 1184, from: [1082, 1114, 1184], ...asText },
}

/** A PostgreSQL server, 14 or later. */
export async function openPostgres(url: string): Promise<Driver> {
  const sql = postgres(url, {
    max: connectionsMax,
    connect_timeout: connectTimeoutS,
    idle_timeout: 60,
    // One counter of failures serves the whole pool, and its own back-off grows to 20 s: a server that is back is found at once.
    backoff: (() => 0.05 + Math.random() * 0.2) as never,
    onnotice: () => {},
    types: types as never,
    connection: { application_name: 'sluice', TimeZone: 'UTC', ...serverTimeouts },
  })
  try {
    await migrateAlone(sql)
  } catch (error) {
    await sql.end({ timeout: 1 })
    throw openingTrouble(error)
  }
  return {
    kind: 'postgres',
    session: (work) => withReserved(sql, work),
    async listen(channel, wake) {
      let again = false
      const listening = await sql.listen(channel, wake, () => {
        if (again) wake('')
        again = true
      })
      return () => listening.unlisten()
    },
    close: () => sql.end({ timeout: 5 }),
  }
}

/** Waiting for another control plane's migration may take longer than a lock should otherwise. */
async function migrateAlone(sql: postgres.Sql) {
  await withReserved(sql, async (query) => {
    await query('set lock_timeout = 0', [])
    await query('set statement_timeout = 0', [])
    await migrate(query)
    await query(`set lock_timeout = ${serverTimeouts.lock_timeout}`, [])
    await query(`set statement_timeout = ${serverTimeouts.statement_timeout}`, [])
  })
}

async function withReserved<T>(sql: postgres.Sql, work: (query: Query) => Promise<T>): Promise<T> {
  const connection = await sql.reserve()
  try {
    return await work((text, params) => ask(connection, text, params))
  } finally {
    connection.release()
  }
}

async function ask(connection: postgres.Sql, text: string, params: unknown[]) {
  try {
    const rows = await connection.unsafe(text, params as never[]).values()
    return { columns: rows.columns?.map((column) => column.name) ?? [], rows: rows as unknown as unknown[][] }
  } catch (error) {
    const { message, code, constraint_name } = error as postgres.PostgresError
    throw new QueryFailed(message, code ?? '', constraint_name ?? null, text)
  }
}
