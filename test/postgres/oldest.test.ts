import { afterAll, describe } from 'vitest'
import { hasPostgres14, plainUser, postgres } from '../tenancy/databases.ts'

/** What runs on PGlite elsewhere runs here on the oldest server that is supported, where contention is real. */
if (await hasPostgres14()) {
  const server = await postgres({ fast: true, version: 14, settings: { max_connections: '200' } })
  afterAll(() => server.stop())
  process.env.SLUICE_TEST_DATABASE_URL = await plainUser(server, true)
  describe('on PostgreSQL 14', () => {
    // First, since no partition goes while anybody has records in it that are not in the log yet.
    describe('retention', () => import('../../control-plane/domain/retention.test.ts').then(() => {}))
    describe('the one door', () => import('../../control-plane/db/database.test.ts').then(() => {}))
    describe('contention', () => import('../../control-plane/domain/contention.test.ts').then(() => {}))
    describe('the ledger', () => import('../../control-plane/domain/ledger/ledger.test.ts').then(() => {}))
    describe('balances', () => import('../../control-plane/domain/ledger/balance.test.ts').then(() => {}))
    describe('grants', () => import('../../control-plane/domain/ledger/contention.test.ts').then(() => {}))
    describe('declaring', () => import('../../control-plane/domain/apply.test.ts').then(() => {}))
    describe('minting', () => import('../../control-plane/domain/mint.test.ts').then(() => {}))
    describe('records', () => import('../../control-plane/domain/records.test.ts').then(() => {}))
    describe('alerts', () => import('../../control-plane/domain/alerts/evaluator.test.ts').then(() => {}))
    describe('webhooks', () => import('../../control-plane/domain/webhooks/webhooks.test.ts').then(() => {}))
    describe('streams', () => import('../../control-plane/domain/streams.test.ts').then(() => {}))
  })
}
