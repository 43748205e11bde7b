import postgres from 'postgres'
import { Admission } from './admission.ts'
import { type Driver, type Query, QueryFailed, StartRefused } from './driver.ts'
import { migrate } from './migrate.ts'
import { RepeatedStatements } from './statements.ts'
import { troubleOf } from './trouble.ts'

const connectionsMax = 10
/** Transactions that may wait for one of the connections, and how long. */
const waitingMax = 5_000
const waitTimeoutMs = 10_000
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
    if (error instanceof StartRefused) throw error
    const lost = troubleOf(error) === 'LOST' || !(error instanceof QueryFailed)
    if (!lost) throw error
    const code = (error as { code?: string }).code || 'unknown error'
    throw new StartRefused(`The PostgreSQL server of SLUICE_DATABASE_URL does not answer (${code}).`)
  }
  const admission = new Admission({ places: connectionsMax, waitingMax, waitTimeoutMs })
  const repeated = new RepeatedStatements()
  return {
    kind: 'postgres',
    session: (work) => admission.run(() => withReserved(sql, work, repeated)),
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

async function withReserved<T>(
  sql: postgres.Sql,
  work: (query: Query) => Promise<T>,
  repeated = new RepeatedStatements(),
): Promise<T> {
  const connection = await reserve(sql)
  try {
    return await work((text, params) => ask(connection, text, params, repeated))
  } finally {
    connection.release()
  }
}

/** The driver asks again and again for a server that does not answer: somebody who waits for it wants to hear so. */
async function reserve(sql: postgres.Sql): Promise<postgres.ReservedSql> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject({ code: 'CONNECT_TIMEOUT' }), waitTimeoutMs)
  const reserving = sql.reserve()
  try {
    return await Promise.race([reserving, late.promise])
  } catch (error) {
    reserving.then((connection) => connection.release()).catch(() => {})
    throw failure(error, 'connect')
  } finally {
    clearTimeout(timer)
  }
}

async function ask(connection: postgres.Sql, text: string, params: unknown[], repeated: RepeatedStatements) {
  try {
    const prepare = params.length > 0 && repeated.has(text)
    const rows = await connection.unsafe(text, params as never[], { prepare }).values()
    return { columns: rows.columns?.map((column) => column.name) ?? [], rows: rows as unknown as unknown[][] }
  } catch (error) {
    throw failure(error, text)
  }
}

function failure(error: unknown, statement: string): QueryFailed {
  const { message, code, constraint_name } = error as Partial<postgres.PostgresError>
  return new QueryFailed(message ?? String(code), code ?? '', constraint_name ?? null, statement)
}
