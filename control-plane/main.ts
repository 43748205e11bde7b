import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../schema/clock.ts'
import { PrivateHosts } from '../schema/hosts/private-hosts.ts'
import type { Database } from './db/database.ts'
import { startEvaluator } from './domain/alerts/evaluator.ts'
import type { Context } from './domain/context.ts'
import { createTenant, initialise, listTenants } from './domain/installation.ts'
import { startTending } from './domain/ledger/tend.ts'
import { startRetention } from './domain/retention.ts'
import { startSequencer } from './domain/sequencer.ts'
import { openStreams } from './domain/streams.ts'
import { masterKeyOf, openVault } from './domain/vault.ts'
import { startSender } from './domain/webhooks/sender.ts'
import { CannotListen, serveControlPlane } from './hosts/yoga.ts'
import { planeRoutes } from './link/routes.ts'
import { makeTrustRoot } from './link/trust.ts'
import { nowAndThen } from './now-and-then.ts'
import { openWhenThere } from './opening.ts'

export interface ControlPlaneOptions {
  dataDir: string
  /** postgres://…; null = the embedded database in the data directory. */
  databaseUrl: string | null
  masterKey: string | null
  /** How long flight records are kept; null = for good. */
  recordsKeptMs?: number | null
  host: string
  port: number
  tls?: { cert: string; key: string }
  /** Points of the API that one caller may spend a minute. */
  apiQuota?: number
  /** Private hosts that webhooks may be at, and may be reached at by http. */
  privateHosts?: readonly string[]
  clock: Clock
  log: (level: 'info' | 'warn' | 'error', sentence: string) => void
  /** Ends the wait for a database that is not there. */
  signal?: AbortSignal
}

export interface ControlPlane {
  url: string
  /** True where this start made the installation. */
  isNew: boolean
  stop(): Promise<void>
}

/** Wires the control plane; what keeps it from starting is a sentence. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane | { refused: string }> {
  const { dataDir, clock, log } = options
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const master = masterKeyOf({ given: options.masterKey ?? undefined, dataDir })
  if ('refused' in master) return master
  const { host, tls, signal, apiQuota } = options
  const url = options.databaseUrl ?? undefined
  const opened = await openWhenThere({ url, dataDir, host, port: options.port, tls, log, signal })
  if ('refused' in opened) return opened
  const { db, port } = opened

  const partial = { db, clock, vault: openVault(master.masterKey) }
  const installation = await initialise(partial, { makeTrustRoot })
  if ('refused' in installation) return closed(db, installation)
  const retention = await startRetention(partial, {
    recordsKeptMs: options.recordsKeptMs ?? null,
    report: (error) => log('error', `tidying the database failed, trying again in an hour: ${String(error)}`),
  })
  const streams = openStreams(partial)
  const ctx: Context = { ...partial, streams }
  // The first tenant's log has its first entry numbered by it.
  const troubled = nowAndThen((sentence) => log('error', `Numbering the log failed, trying again: ${sentence}`))
  const sequencer = await startSequencer(ctx, (error) => troubled(String(error)))
  const alerts = await startAlerts(ctx, options)
  const isNew = await firstTenant(ctx, dataDir)
  const tending = await startTending(ctx, (error) =>
    log('error', `the ledger could not be tended, trying again: ${String(error)}`),
  )
  const planes = planeRoutes({ ctx, installation, log })
  const report = (error: unknown, requestId: string) =>
    log('error', `request ${requestId} met a fault: ${error instanceof Error ? error.stack : String(error)}`)
  const server = await serveControlPlane(ctx, { host, port, tls, apiQuota, mounts: [planes], report }).catch(
    cannotListen,
  )

  const stop = async () => {
    await planes.close()
    if ('stop' in server) await server.stop()
    await alerts.stop()
    await tending.stop()
    await sequencer.stop()
    await retention.stop()
    await streams.close()
    await db.close()
  }
  if ('refused' in server) {
    await stop()
    return server
  }
  writeFileSync(join(dataDir, 'control-url'), `${server.url}\n`)
  return { url: server.url, isNew, stop }
}

/** Judges what is to be told, and sends it. */
async function startAlerts(
  ctx: Context,
  { log, privateHosts }: ControlPlaneOptions,
): Promise<{ stop(): Promise<void> }> {
  const failing = (what: string) => nowAndThen((sentence) => log('error', `${what} failed, trying again: ${sentence}`))
  const judging = failing('Judging alert rules')
  const sending = failing('Sending webhooks')
  const evaluator = await startEvaluator(ctx, (error) => judging(String(error)))
  const report = (error: unknown) => sending(String(error))
  const sender = await startSender(ctx, { privateHosts: new PrivateHosts(privateHosts), report })
  return {
    async stop() {
      await evaluator.stop()
      await sender.stop()
    },
  }
}

/** An installation without a tenant gets one, and its first admin token goes to a file that only its owner may read. */
async function firstTenant(ctx: Context, dataDir: string): Promise<boolean> {
  if ((await listTenants(ctx)).length > 0) return false
  const created = await createTenant(ctx, { idempotencyKey: 'first-tenant', name: 'default', reason: 'first start' })
  if (created.errors.length > 0 || !created.adminToken)
    throw new Error(`the first tenant could not be made: ${JSON.stringify(created.errors)}`)
  writeFileSync(join(dataDir, 'admin-token'), `${created.adminToken}\n`, { mode: 0o600 })
  return true
}

async function closed(db: Database, refusal: { refused: string }): Promise<{ refused: string }> {
  await db.close()
  return refusal
}

function cannotListen(error: unknown): { refused: string } {
  if (error instanceof CannotListen) return { refused: error.message }
  throw error
}
