import { AsyncLocalStorage } from 'node:async_hooks'
import { sql } from 'drizzle-orm'
import { drizzle, type PgRemoteDatabase } from 'drizzle-orm/pg-proxy'
import { type Driver, type Query, QueryFailed, StartRefused } from './driver.ts'
import { openPglite } from './pglite.ts'
import { openPostgres } from './postgres.ts'
import type { SpeakingRole } from './roles.ts'
import * as tables from './tables.ts'
import { DatabaseUnavailable, type Trouble, troubleOf } from './trouble.ts'

/** A drizzle handle inside one open transaction. It is dead once `work` has returned. */
export type Tx = PgRemoteDatabase<typeof tables>

/** What listeners are woken for. A wake-up says "look again", never what changed. */
export const channels = ['config', 'records', 'log', 'planes', 'checks', 'funds', 'recalls', 'shares'] as const
export type Channel = (typeof channels)[number]

export interface TransactionOptions<T> {
  /** SNAPSHOT: every statement sees one moment (REPEATABLE READ). */
  isolation?: 'SNAPSHOT'
  /** Commits only where this says yes to what `work` returned; absent = always. Lets a refusal or a dry run roll back as a value. */
  keep?: (result: T) => boolean
}

export interface Database {
  kind: 'pglite' | 'postgres'
  /**
   * Opens a transaction as this tenant. Deadlocks, serialisation failures and connections lost before the commit run `work`
   * again, a bounded number of times; storage that stays out of order is a DatabaseUnavailable.
   */
  withTenant<T>(tenant: string, work: (tx: Tx) => Promise<T>, options?: TransactionOptions<T>): Promise<T>
  /** Opens a transaction across tenants: authentication by key hash, instances, the sequencer's list of work. */
  withInstallation<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions<T>): Promise<T>
  /** Opens a transaction as the user that owns the tables, and so sees no row of them: for making and dropping partitions. */
  withOwner<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions<T>): Promise<T>
  /** Wakes listeners after this transaction commits. They must still read the tables. */
  notify(tx: Tx, channel: Channel, tenant: string): Promise<void>
  /** Calls `wake` for each notification; also after a lost connection came back, with every tenant unknown (''). */
  listen(channel: Channel, wake: (tenant: string) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** `postgres://…`; absent = PGlite in `<dataDir>/pglite`. */
  url?: string
  /** 'memory://' = PGlite that keeps nothing: for tests. */
  dataDir: string
}

/** Opens and migrates. Throws, with one sentence, StartRefused where the storage cannot be had, StorageAway where not yet. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (!options.url && typeof Worker === 'undefined')
    throw new StartRefused('The embedded database runs on Bun only; set SLUICE_DATABASE_URL.')
  return databaseOf(await (options.url ? openPostgres(options.url) : openPglite(options.dataDir)))
}

const attemptsMax = 6
const triesMsMax = 3_000
/** Doubles with each try. A server that restarts is away for a second or so; what is read-only or busy is better told at once. */
const firstWaitMs: Partial<Record<Trouble, number>> = { CONTENDED: 4, LOST: 25 }
const channelName = (channel: Channel) => `sluice_${channel}`
const insideTransaction = new AsyncLocalStorage<true>()

export function databaseOf(driver: Driver): Database {
  const run = <T>(as: Speaker, work: (tx: Tx) => Promise<T>, options: TransactionOptions<T> = {}) => {
    // PGlite has one connection: a second transaction would wait for the first for ever.
    if (insideTransaction.getStore()) throw new Error('a transaction was opened inside a transaction')
    return retried(() =>
      driver.session((query) => insideTransaction.run(true, () => transact(query, as, work, options))),
    )
  }
  return {
    kind: driver.kind,
    withTenant: (tenant, work, options) => run({ role: 'sluice_tenant', tenant }, work, options),
    withInstallation: (work, options) => run({ role: 'sluice_installation', tenant: '' }, work, options),
    withOwner: (work, options) => run({ role: 'none', tenant: '' }, work, options),
    async notify(tx, channel, tenant) {
      await tx.execute(sql`select pg_notify(${channelName(channel)}, ${tenant})`)
    },
    listen: (channel, wake) => driver.listen(channelName(channel), wake),
    close: () => driver.close(),
  }
}

/** As whom a transaction speaks: what it may see is the server's to enforce. */
interface Speaker {
  role: SpeakingRole | 'none'
  tenant: string
}

async function transact<T>(
  query: Query,
  { role, tenant }: Speaker,
  work: (tx: Tx) => Promise<T>,
  { isolation, keep }: TransactionOptions<T>,
): Promise<T> {
  let kept = false
  try {
    const begin = isolation === 'SNAPSHOT' ? 'begin isolation level repeatable read' : 'begin'
    // At once: a round trip less for every transaction.
    await query(
      `${begin}; select set_config('app.tenant', ${literal(tenant)}, true), set_config('role', '${role}', true)`,
      [],
    )
    const result = await work(handleOn(query))
    kept = keep ? keep(result) : true
    if (kept) await query('commit', [])
    return result
  } catch (error) {
    const failed = serverError(error)
    // Nobody knows whether this commit was done: to run the work again might do it twice.
    if (kept && troubleOf(failed) === 'LOST') throw new DatabaseUnavailable('LOST', (failed as QueryFailed).code)
    kept = false
    throw failed
  } finally {
    if (!kept) await query('rollback', []).catch(() => {})
  }
}

const literal = (text: string) => `'${text.replaceAll("'", "''")}'`

function handleOn(query: Query): Tx {
  return drizzle(
    async (text, params, method) => {
      const { columns, rows } = await query(text, params)
      if (method !== 'execute') return { rows }
      return { rows: rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]]))) }
    },
    { schema: tables },
  )
}

/** Drizzle's wrapper holds the parameters, which may be content; what it wraps does not. */
function serverError(error: unknown): unknown {
  const cause = (error as { cause?: unknown } | null)?.cause
  return cause instanceof QueryFailed ? cause : error
}

/**
 * Runs work again that failed for a passing reason before anything of it was kept: contention, or a connection that was lost
 * before the commit. Tries are bounded; what is left of it then is a DatabaseUnavailable.
 */
async function retried<T>(attempt: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + triesMsMax
  for (let number = 1; ; number++) {
    try {
      return await attempt()
    } catch (error) {
      const trouble = troubleOf(error)
      if (!trouble) throw error
      const baseMs = firstWaitMs[trouble]
      if (number === attemptsMax || !baseMs || performance.now() > untilMs)
        throw new DatabaseUnavailable(trouble, (error as QueryFailed).code)
      await new Promise((resolve) => setTimeout(resolve, baseMs * 2 ** number * (0.25 + Math.random())))
    }
  }
}
