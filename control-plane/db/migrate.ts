import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { byHand } from './by-hand.ts'
import { type Query, StartRefused } from './driver.ts'
import { prepareRoles, walls } from './roles.ts'

/** What drizzle-kit cannot generate is the end of its first migration. */
const migrations = readMigrationFiles({ migrationsFolder: join(import.meta.dirname, 'migrations') }).map(
  ({ sql, hash }, index) => (index > 0 ? { sql, hash } : { sql: [...sql, byHand], hash: digest([hash, byHand]) }),
)

/** Changes with any migration and with the walls; names the cached template. */
export const migrationsDigest = digest([walls, ...migrations.map((migration) => migration.hash)]).slice(0, 16)

function digest(texts: string[]): string {
  return createHash('sha256').update(texts.join()).digest('hex')
}

const advisoryLock = 5_834_520_001

/**
 * Brings a database to this version. Several control planes may start at once: one migrates, the others wait. Each migration
 * is its own transaction. A database of a newer version is refused, since old code would misread it.
 */
export async function migrate(query: Query): Promise<void> {
  await query(`select pg_advisory_lock(${advisoryLock})`, [])
  try {
    const { rows } = await query("select to_regclass('schema_migration') is null", [])
    if (rows[0]![0]) await query('create table schema_migration (hash text primary key, at timestamptz not null)', [])
    const applied = new Set((await query('select hash from schema_migration', [])).rows.map(([hash]) => hash as string))
    const known = new Set(migrations.map((migration) => migration.hash))
    if ([...applied].some((hash) => !known.has(hash)))
      throw new StartRefused(
        'The database was written by a newer version of Sluice; start that version or a later one.',
      )
    await prepareRoles(query)
    for (const migration of migrations) {
      if (!applied.has(migration.hash)) await runMigration(query, migration)
    }
  } finally {
    await query(`select pg_advisory_unlock(${advisoryLock})`, [])
  }
}

async function runMigration(query: Query, migration: { sql: string[]; hash: string }) {
  await query('begin', [])
  try {
    for (const statement of migration.sql) await query(statement, [])
    await query(walls, [])
    await query('insert into schema_migration (hash, at) values ($1, now())', [migration.hash])
    await query('commit', [])
  } catch (error) {
    await query('rollback', [])
    throw error
  }
}
