import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import postgresClient from 'postgres'
import { type Database, openDatabase } from '../../control-plane/db/database.ts'
import { installPostgres14, type Postgres, postgres } from '../real/postgres.ts'

/** A database to hold a promise on, opened anew and empty. */
export interface Opened {
  db: Database
  stop(): Promise<void>
}

export const onPglite = async (): Promise<Opened> => {
  const db = await openDatabase({ dataDir: 'memory://' })
  return { db, stop: () => db.close() }
}

/** A login role that owns its database and is no superuser, as an installation should have it. */
export async function plainUser(server: Postgres, mayCreateRoles: boolean): Promise<string> {
  const name = `plain_${randomBytes(4).toString('hex')}`
  const admin = postgresClient(server.url, { max: 1, onnotice: () => {} })
  await admin.unsafe(`create role ${name} login password '${name}' ${mayCreateRoles ? 'createrole' : 'nocreaterole'}`)
  await admin.unsafe(`create database ${name} owner ${name}`)
  await admin.end()
  const url = new URL(server.url)
  url.username = name
  url.password = name
  url.pathname = `/${name}`
  return url.href
}

/** A real server's database of its own, opened by a plain user. */
export async function onPostgres(server: Postgres): Promise<Opened & { url: string }> {
  const url = await plainUser(server, true)
  const db = await openDatabase({ dataDir: 'memory://', url })
  return { db, url, stop: () => db.close() }
}

/** True where starting a server of Debian's version takes no installation. */
export const hasPostgres = () => existsSync('/usr/lib/postgresql')

/** True where the oldest supported server can run here. Where it must (`CI=true`), that it cannot is an Error with the way out. */
export async function hasPostgres14(): Promise<boolean> {
  try {
    await installPostgres14()
    return true
  } catch (error) {
    if (process.env.CI === 'true') throw error
    console.error(String(error))
    return false
  }
}

export { type Postgres, postgres }
