import { randomBytes } from 'node:crypto'
import { getTableColumns, getTableName, is, sql } from 'drizzle-orm'
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core'
import postgresClient from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../control-plane/db/database.ts'
import { StartRefused } from '../../control-plane/db/driver.ts'
import * as schema from '../../control-plane/db/tables.ts'
import { hasPostgres14, type Opened, onPglite, onPostgres, type Postgres, plainUser, postgres } from './databases.ts'

const { logState, resource, tenant: tenantTable } = schema
const tables = Object.values(schema).filter((one) => is(one, PgTable)) as PgTable[]
const tenantTables = tables.filter((table) => getTableName(table) !== 'installation')

const onServer = await hasPostgres14()
let server: Postgres | undefined
beforeAll(async () => {
  server = onServer ? await postgres({ fast: true, version: 14 }) : undefined
})
afterAll(async () => server?.stop())

const databases: [string, () => Promise<Opened>][] = [['PGlite', onPglite]]
if (onServer) databases.push(['PostgreSQL 14', () => onPostgres(server!)])

if (onServer)
  describe('a PostgreSQL user', () => {
    it('who may not create roles that are missing is refused with one sentence', async () => {
      const url = await plainUser(server!, false)
      const refusal = await openDatabase({ dataDir: 'memory://', url }).catch((error: unknown) => error)
      expect(refusal).toBeInstanceOf(StartRefused)
      expect((refusal as Error).message).toMatch(/^The PostgreSQL user .* CREATEROLE, or create both .*\.$/)
    })

    it('sees nothing outside of the one door, though the tables are its own', async () => {
      const { db, url, stop } = await onPostgres(server!)
      await db.withTenant('ten_a', (tx) => tx.insert(logState).values({ tenant: 'ten_a' }))
      const client = postgresClient(url, { max: 1 })
      expect([...(await client`select * from log_state`)]).toEqual([])
      await expect(client`insert into log_state (tenant) values ('ten_b')`).rejects.toMatchObject({ code: '42501' })
      await client.end()
      await stop()
    })
  })

describe.each(databases)('the second wall on %s', (_, open) => {
  const [own, other] = ['own', 'other'].map((one) => `ten_${one}_${randomBytes(4).toString('hex')}`) as [string, string]
  let opened: Opened
  beforeAll(async () => {
    opened = await open()
    for (const tenant of [own, other])
      await opened.db.withTenant(tenant, (tx) => tx.insert(logState).values({ tenant }))
    for (const tenant of [own, other])
      await opened.db.withTenant(tenant, (tx) => tx.insert(resource).values(row(tenant)))
  })
  afterAll(() => opened?.stop())

  const row = (tenant: string) => ({
    ...{ tenant, id: `tem_${tenant}`, kind: 'team', name: 'support', labels: {}, spec: {}, revision: 1 },
    ...{ createdAt: new Date(0), updatedAt: new Date(0) },
  })
  const seen = (tenant: string, table: PgTable) => opened.db.withTenant(tenant, (tx) => tx.select().from(table))

  it('stands around every table but the installation’s own, against its owner too', async () => {
    const rows = (await opened.db.withInstallation((tx) =>
      tx.execute(sql`
        select relname as name from pg_class
        where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') and not relispartition and not
          (relrowsecurity and relforcerowsecurity and
           (select count(*) from pg_policy where polrelid = pg_class.oid and polcmd = '*') = 2)`),
    )) as unknown as { name: string }[]
    expect(rows.map(({ name }) => name).sort()).toEqual(['installation', 'schema_migration'])
    const partitions = (await opened.db.withInstallation((tx) =>
      tx.execute(sql`
        select relrowsecurity and relforcerowsecurity as walled, has_table_privilege('sluice_tenant', oid, 'select') as open
        from pg_class where relispartition and relkind = 'r'`),
    )) as unknown as { walled: boolean; open: boolean }[]
    expect(partitions.length).toBeGreaterThan(0)
    for (const partition of partitions) expect(partition).toEqual({ walled: true, open: false })
    for (const table of tenantTables) {
      const column = getTableName(table) === 'tenant' ? 'id' : 'tenant'
      const policies = getTableConfig(table).policies.map(({ name }) => name)
      expect(policies, getTableName(table)).toEqual(['own_tenant', 'installation'])
      expect(Object.values(getTableColumns(table)).map(({ name }) => name)).toContain(column)
    }
  })

  it('shows nothing, and takes nothing, where no tenant was said', async () => {
    for (const table of tenantTables) expect(await seen('', table), getTableName(table)).toEqual([])
    const insert = opened.db.withTenant('', (tx) => tx.insert(resource).values(row(own)))
    await expect(insert).rejects.toMatchObject({ code: '42501' })
    const nameless = opened.db.withTenant('', (tx) => tx.insert(logState).values({ tenant: '' }))
    await expect(nameless).rejects.toMatchObject({ code: '42501' })
  })

  it('hides other tenants from a query that forgot its condition', async () => {
    for (const table of [resource, logState]) {
      const rows = (await seen(own, table)) as { tenant: string }[]
      expect(rows.map(({ tenant }) => tenant)).toEqual([own])
    }
    const asked = opened.db.withTenant(own, (tx) => tx.select().from(resource).where(sql`tenant = ${other}`))
    expect(await asked).toEqual([])
  })

  it('keeps a write that forgot its condition, or names another tenant, at home', async () => {
    await opened.db.withTenant(own, (tx) => tx.update(resource).set({ name: 'mine' }))
    await opened.db.withTenant(own, (tx) => tx.delete(logState))
    const all = await opened.db.withInstallation(async (tx) => ({
      names: (await tx.select().from(resource)).map(({ tenant, name }) => `${tenant} ${name}`).sort(),
      states: (await tx.select().from(logState)).map(({ tenant }) => tenant),
    }))
    expect(all.names.filter((one) => one.includes(own))).toEqual([`${own} mine`])
    expect(all.names.filter((one) => one.includes(other))).toEqual([`${other} support`])
    expect(all.states).toContain(other)
    expect(all.states).not.toContain(own)
    const given = opened.db.withTenant(own, (tx) => tx.insert(resource).values({ ...row(other), id: 'tem_x' }))
    await expect(given).rejects.toMatchObject({ code: '42501' })
    const moved = opened.db.withTenant(own, (tx) => tx.update(resource).set({ tenant: other }))
    await expect(moved).rejects.toMatchObject({ code: '42501' })
  })

  it('keeps tenants from the installation’s keys, and ends with the transaction', async () => {
    const keys = opened.db.withTenant(own, (tx) => tx.select().from(schema.installation))
    await expect(keys).rejects.toMatchObject({ code: '42501' })
    const both = await opened.db.withInstallation((tx) => tx.select().from(resource))
    expect(both.length).toBeGreaterThanOrEqual(2)
    expect(await seen(other, tenantTable)).toEqual([])
  })
})
