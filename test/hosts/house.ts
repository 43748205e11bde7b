import { randomBytes } from 'node:crypto'
import { openDatabase } from '../../control-plane/db/database.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { createTenant, initialise } from '../../control-plane/domain/installation.ts'
import { startSequencer } from '../../control-plane/domain/sequencer.ts'
import { openStreams } from '../../control-plane/domain/streams.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { makeTrustRoot } from '../../control-plane/link/trust.ts'
import { systemClock } from '../../schema/clock.ts'

/** What a host carries: one control plane with one tenant and its admin token. Imports nothing that Node lacks. */
export interface House {
  ctx: Context
  token: string
  stop(): Promise<void>
}

/** On the PostgreSQL server at `url`, or on the embedded database in memory, which only Bun runs. */
export async function openHouse(url?: string): Promise<House> {
  const db = await openDatabase({ url, dataDir: 'memory://' })
  const partial = { db, clock: systemClock, vault: openVault(randomBytes(32).toString('hex')) }
  const installation = await initialise(partial, { makeTrustRoot })
  if ('refused' in installation) throw new Error(installation.refused)
  const streams = openStreams(partial)
  const ctx = { ...partial, streams }
  const created = await createTenant(ctx, { idempotencyKey: randomBytes(8).toString('hex'), name: 'hosted' })
  const sequencer = await startSequencer(ctx)
  return {
    ctx,
    token: created.adminToken!,
    async stop() {
      await sequencer.stop()
      await streams.close()
      await db.close()
    },
  }
}
