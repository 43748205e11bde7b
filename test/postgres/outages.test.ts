import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'drizzle-orm'
import postgresClient from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase } from '../../control-plane/db/database.ts'
import { type Answer, post } from '../../control-plane/hosts/running.ts'
import { type ControlPlane, startControlPlane } from '../../control-plane/main.ts'
import { systemClock } from '../../schema/clock.ts'
import { hasPostgres14, type Postgres, plainUser, postgres } from '../tenancy/databases.ts'

const unavailable = { extensions: { code: 'UNAVAILABLE', retryable: true } }
const issueDocument = `mutation ($input: ApiKeyIssueInput!) {
  apiKeyIssue(input: $input) { errors { code message } apiKey { name } replayed cursor }
}`
const readDocument = '{ tenant { revision } viewer { actor { id } } }'

if (await hasPostgres14())
  describe('a control plane whose PostgreSQL server', () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sluice-outage-'))
    let server: Postgres
    let url: string
    let plane: ControlPlane
    let token: string
    const faults: string[] = []

    beforeAll(async () => {
      server = await postgres({ fast: true, version: 14 })
      url = await plainUser(server, true)
      const log = (level: string, sentence: string) => level === 'error' && faults.push(sentence)
      const options = { masterKey: null, host: '127.0.0.1', port: 0, clock: systemClock, log }
      const started = await startControlPlane({ dataDir, databaseUrl: url, ...options })
      if ('refused' in started) throw new Error(started.refused)
      plane = started
      token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
    })
    afterAll(async () => {
      await plane?.stop()
      await server?.stop()
      rmSync(dataDir, { recursive: true, force: true })
    })

    const ask = (query: string, variables: object = {}): Promise<Answer> =>
      post(plane.url, JSON.stringify({ query, variables }), token)
    const issue = (name: string) =>
      ask(issueDocument, { input: { idempotencyKey: name, kind: 'ADMIN', name, principal: 'principal/owner' } })
    const readyz = async () => {
      const answer = await fetch(`${plane.url}/readyz`)
      return `${answer.status} ${(await answer.text()).trim()}`
    }
    const administer = async (statement: string) => {
      const client = postgresClient(server.url, { max: 1, onnotice: () => {} })
      await client.unsafe(statement)
      await client.end()
    }
    const readOnly = async (value: 'on' | 'off') => {
      await administer(`alter system set default_transaction_read_only = ${value}`)
      await administer('select pg_reload_conf()')
      await expect.poll(async () => (await readyz()).includes('for reads')).toBe(value === 'on')
    }

    it('takes no writes refuses them with one sentence, goes on reading, and says so at /readyz', async () => {
      expect(await readyz()).toBe('200 ready')
      await readOnly('on')
      expect(await readyz()).toMatch(/^200 ready for reads: the database takes no writes/)
      const refused = await issue('while-read-only')
      expect(refused.errors).toMatchObject([unavailable])
      expect(refused.errors?.[0].message).toMatch(/^The database takes no writes right now .* reads go on\./)
      expect(await ask(readDocument)).toMatchObject({ status: 200, errors: undefined })
      await readOnly('off')
      const issued = await issue('while-read-only')
      expect(issued.data.apiKeyIssue).toMatchObject({ errors: [], replayed: false, cursor: expect.any(String) })
    })

    it('is gone is not ready, and answers everything with UNAVAILABLE within seconds', async () => {
      await server.pause()
      const [read, written, ready] = await Promise.all([ask(readDocument), issue('while-gone'), readyz()])
      for (const answer of [read, written]) {
        expect(answer).toMatchObject({ status: 503, errors: [unavailable] })
        expect(answer.errors?.[0].message).toMatch(/connection to the database was lost/)
      }
      expect(ready).toBe('503 The database does not answer.')
      await server.start()
      await expect.poll(readyz, { timeout: 20_000 }).toBe('200 ready')
    })

    it('is killed under load does every write once that was asked for until it was answered', async () => {
      let running = true
      let answered = 0
      const codes = new Set<string>()
      const writer = async (at: number) => {
        for (let number = 0; running; number++) {
          const name = `load-${at}-${number}`
          for (;;) {
            const { data, errors } = await issue(name)
            for (const error of errors ?? []) codes.add(error.extensions.code)
            if (!data?.apiKeyIssue) {
              await new Promise((resolve) => setTimeout(resolve, 50))
              continue
            }
            expect(data.apiKeyIssue.errors).toEqual([])
            break
          }
          answered += 1
        }
      }
      const writers = Array.from({ length: 8 }, (_, at) => writer(at))
      for (let round = 0; round < 3; round++) {
        const before = answered
        await expect.poll(() => answered, { timeout: 20_000 }).toBeGreaterThan(before + 10)
        await server.kill9()
        await server.start()
      }
      const before = answered
      await expect.poll(() => answered, { timeout: 20_000 }).toBeGreaterThan(before + 10)
      running = false
      await Promise.all(writers)
      expect([...codes].filter((code) => code !== 'UNAVAILABLE')).toEqual([])
      // Its superuser: nobody else sees rows outside of the one door.
      const client = postgresClient(Object.assign(new URL(server.url), { pathname: new URL(url).pathname }).href)
      const [counts] = await client`
        select count(*)::int as keys, count(distinct name)::int as names from resource where name like 'load-%'`
      await client.end()
      expect(counts).toEqual({ keys: answered, names: answered })
    }, 90_000)

    it('came back wakes those who listen: a write’s place in the log is known at once', async () => {
      const issued = await issue('after-all')
      expect(issued.data.apiKeyIssue).toMatchObject({ errors: [], cursor: expect.any(String) })
      expect(
        faults.every((sentence) => /database|DatabaseUnavailable/.test(sentence)),
        faults.join('\n'),
      ).toBe(true)
    })

    it('holds a statement for too long gives its connection back, and says that it is busy', async () => {
      const db = await openDatabase({ url, dataDir })
      const slow = db.withInstallation(async (tx) => {
        await tx.execute(sql`set local statement_timeout = 50`)
        await tx.execute(sql`select pg_sleep(5)`)
      })
      await expect(slow).rejects.toMatchObject({ name: 'DatabaseUnavailable', trouble: 'BUSY', code: '57014' })
      expect(await db.withInstallation(async () => 'next')).toBe('next')
      await db.close()
    })
  })
