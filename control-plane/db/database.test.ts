import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase, type Tx } from './database.ts'
import { QueryFailed, StartRefused } from './driver.ts'
import { logState } from './tables.ts'

let db: Database
beforeAll(async () => {
  db = await openDatabase({ dataDir: 'memory://', url: process.env.SLUICE_TEST_DATABASE_URL })
})
afterAll(() => db.close())

let tenants = 0
const tenantOf = () => `ten_test_${process.pid}_${Date.now()}_${tenants++}`
const rowsOf = (tenant: string) =>
  db.withInstallation((tx) => tx.select().from(logState).where(sql`tenant = ${tenant}`))

describe('a transaction', () => {
  it('speaks as its tenant', async () => {
    const [row] = await db.withTenant('ten_x', (tx) => tx.execute(sql`select current_setting('app.tenant') as tenant`))
    expect(row).toEqual({ tenant: 'ten_x' })
  })

  it('rolls back when its work throws, and when what it returns is not to be kept', async () => {
    const tenant = tenantOf()
    const insert = (tx: Tx) => tx.insert(logState).values({ tenant })
    await expect(
      db.withTenant(tenant, async (tx) => {
        await insert(tx)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    const refuse = async (tx: Tx) => {
      await insert(tx)
      return 'refused'
    }
    expect(await db.withTenant(tenant, refuse, { keep: () => false })).toBe('refused')
    expect(await rowsOf(tenant)).toEqual([])
  })

  it('fails with the constraint by name and without the values that broke it', async () => {
    const tenant = tenantOf()
    const twice = db.withTenant(tenant, async (tx) => {
      await tx.insert(logState).values({ tenant })
      await tx.insert(logState).values({ tenant })
    })
    const error = await twice.catch((one: unknown) => one)
    expect(error).toBeInstanceOf(QueryFailed)
    expect(error).toMatchObject({ code: '23505', constraint: 'log_state_pkey' })
    expect(JSON.stringify(error) + (error as Error).message).not.toContain(tenant)
  })

  it('cannot be opened inside another, which PGlite would wait for for ever', async () => {
    const nested = db.withTenant('ten_x', () => db.withTenant('ten_x', async () => 1))
    await expect(nested).rejects.toThrow('inside a transaction')
  })

  it('runs again where the server says that it may succeed then', async () => {
    let attempts = 0
    const result = await db.withTenant('ten_x', async (tx) => {
      attempts += 1
      if (attempts < 3) await tx.execute(sql`do $$ begin raise exception 'later' using errcode = '40001'; end $$`)
      return attempts
    })
    expect(result).toBe(3)
  })

  it('keeps order and isolation with many at once', async () => {
    const tenant = tenantOf()
    await db.withTenant(tenant, (tx) => tx.insert(logState).values({ tenant, lastNumber: 0 }))
    const add = () =>
      db.withTenant(tenant, async (tx) => {
        const [row] = await tx.select().from(logState).where(sql`tenant = ${tenant}`).for('update')
        await tx
          .update(logState)
          .set({ lastNumber: row!.lastNumber + 1 })
          .where(sql`tenant = ${tenant}`)
      })
    await Promise.all(Array.from({ length: 40 }, add))
    expect((await rowsOf(tenant))[0]?.lastNumber).toBe(40)
  })
})

describe('a notification', () => {
  it('wakes every listener of its channel after the commit, and none after a rollback', async () => {
    const woken: string[] = []
    const stops = [
      await db.listen('planes', (one) => woken.push(`a ${one}`)),
      await db.listen('planes', (one) => woken.push(`b ${one}`)),
    ]
    await db.withTenant('t1', (tx) => db.notify(tx, 'planes', 't1'))
    await db.withTenant('t2', (tx) => db.notify(tx, 'planes', 't2'), { keep: () => false })
    await db.withTenant('t3', (tx) => db.notify(tx, 'planes', 't3'))
    await expect.poll(() => [...woken].sort()).toEqual(['a t1', 'a t3', 'b t1', 'b t3'])
    await stops[0]!()
    await db.withTenant('t4', (tx) => db.notify(tx, 'planes', 't4'))
    await expect.poll(() => woken.filter((one) => one.endsWith('t4'))).toEqual(['b t4'])
    await stops[1]!()
  })
})

describe('a data directory', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-db-'))
  const lock = join(dataDir, 'control-plane.lock')
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

  it('keeps what was written, and is opened by one process at a time', async () => {
    const first = await openDatabase({ dataDir })
    await first.withTenant('kept', (tx) => tx.insert(logState).values({ tenant: 'kept' }))
    await expect(openDatabase({ dataDir })).rejects.toThrow(StartRefused)
    await first.close()
    const second = await openDatabase({ dataDir })
    const rows = await second.withInstallation((tx) => tx.select().from(logState))
    expect(rows.map(({ tenant }) => tenant)).toEqual(['kept'])
    await second.close()
  })

  it('is taken over from a process that is gone, and names one that lives', async () => {
    const { pid } = spawnSync('true')
    writeFileSync(lock, JSON.stringify({ pid, started: null }))
    await (await openDatabase({ dataDir })).close()
    writeFileSync(lock, JSON.stringify({ pid: 1, started: null }))
    await expect(openDatabase({ dataDir })).rejects.toThrow('in use by process 1')
    rmSync(lock)
  })
})
