import { hostname } from 'node:os'
import type { Clock } from '../../data-plane/ports.ts'
import { openInstance } from '../ports/instance-identity.ts'
import { JournalRecorder } from '../ports/journal/recorder.ts'
import { LeaseLedger } from '../ports/ledger/lease-ledger.ts'
import { openPlaneLink } from '../ports/link-client.ts'
import { providerChecker } from '../ports/provider-check/checker.ts'
import { credentialSecrets } from '../ports/secrets-credentials.ts'
import { SnapshotStore } from '../ports/snapshot-store.ts'
import { fetchUpstream } from '../ports/upstream-fetch.ts'
import { openLimits } from './limits.ts'
import { type GatewayLog, logClosed } from './log.ts'
import { createMetrics } from './metrics.ts'
import { serveOps } from './ops.ts'
import { serveGateway } from './server.ts'

export interface StandaloneOptions {
  dataDir: string
  controlUrl: string
  /** Needed once, to enrol. */
  planeToken: string | null
  host: string
  port: number
  opsPort: number
  tls?: { cert: string; key: string }
  bodyBytesMax: number
  /** Where gateways count rate limits together; null = each its share, in its memory. */
  limitStore: { url: string; ca: string | null } | null
  /** Private hosts, networks included, that providers may be at though they are not declared self-hosted. */
  privateHosts: readonly string[]
  version: string
  clock: Clock
  log: GatewayLog
  signal?: AbortSignal
}

export interface Standalone {
  url: string
  opsUrl: string
  instance: string
  /** Stops taking requests, finishes those under way, delivers what is recorded. */
  stop(): Promise<void>
}

const exchangesMax = 8_192
const drainMs = 30_000
const flushMs = 10_000
/** For giving all money back, at the end. */
const returnMs = 5_000

/** Wires one standalone gateway; refusals to start are sentences. The operators' port answers from the first moment. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone | { refused: string }> {
  const { host, opsPort } = options
  const told: OpsView = { notReady: () => 'The gateway is starting.', registry: () => undefined }
  const view = { notReady: () => told.notReady(), registry: () => told.registry() }
  const ops = listen(opsPort, host, 'SLUICE_OPS_PORT', () => serveOps({ host, port: opsPort, ...view }))
  if ('refused' in ops) return ops
  const gateway = await startBehind(options, told)
  if ('refused' in gateway) {
    await ops.stop()
    return gateway
  }
  return {
    ...gateway,
    opsUrl: ops.url,
    async stop() {
      await gateway.stop()
      await ops.stop()
    },
  }
}

/** What the operators' port shows; the gateway fills it in as it comes up. */
type OpsView = Pick<Parameters<typeof serveOps>[0], 'notReady' | 'registry'>

async function startBehind(
  options: StandaloneOptions,
  told: OpsView,
): Promise<Omit<Standalone, 'opsUrl'> | { refused: string }> {
  const { dataDir, controlUrl, clock, log, version, host } = options
  const identity = await openInstance({
    dataDir,
    controlUrl,
    token: options.planeToken,
    host: hostName(),
    version,
    // The control plane may be started later; until then readiness says what is waited for.
    enrolWaitMs: Number.POSITIVE_INFINITY,
    waiting: (sentence) => {
      if (told.notReady() !== sentence) log('warn', `Waiting to enrol. ${sentence}`)
      told.notReady = () => sentence
    },
    signal: options.signal,
  })
  if ('refused' in identity) return identity

  const { instance, dataPlane, bootId } = identity
  const recorder = await JournalRecorder.open({ dataDir, identity: { instance, dataPlane, bootId, version } }).catch(
    refusedStart,
  )
  if (!(recorder instanceof JournalRecorder)) {
    await identity.close()
    return recorder
  }
  const snapshots = await SnapshotStore.open({ dataDir, identity, clock, version, log })
  const ledger = new LeaseLedger({ journal: recorder, clock, log })
  const serve = () => ledger.serve(budgetsServed(snapshots))
  snapshots.onSwap(serve)
  serve()
  const secrets = credentialSecrets({ sealedSecretOf: (credential) => snapshots.sealedSecretOf(credential), clock })
  const limits = openLimits(options)
  const link = openPlaneLink({
    controlUrl,
    identity,
    snapshots,
    records: recorder,
    clock,
    version,
    host: hostName(),
    log,
    onEpoch: (epoch) => recorder.openEpoch(epoch),
    newestEpoch: () => recorder.epoch,
    ledger,
    shares: limits.linked,
    checkProvider: providerChecker({ snapshots, secrets, privateHosts: options.privateHosts }),
  })

  const gauges = {
    backlog: () => recorder.backlog,
    journalLagMs: () => clock.now() - (recorder.deliveredThroughMs() ?? clock.now()),
    snapshots: () => snapshots.current(),
    money: () => ledger.money,
    nowMs: () => clock.now(),
    limits: () => limits,
  }
  const metrics = createMetrics(gauges, {
    fault: (sentence) => log('error', sentence),
    closed: (exchange, totalMs) => logClosed(exchange, totalMs, log),
  })
  const ports = { clock, snapshots, ledger, limiter: limits.limiter, recorder }
  const gateway = listen(options.port, host, 'SLUICE_GATEWAY_PORT', () =>
    serveGateway({
      host,
      port: options.port,
      ports,
      upstream: fetchUpstream(secrets, { privateHosts: options.privateHosts }),
      metrics,
      tls: options.tls,
      bodyBytesMax: options.bodyBytesMax,
      exchangesMax,
    }),
  )
  const close = async () => {
    limits.close()
    await Promise.all([ledger.drain(returnMs), link.flush(flushMs)])
    await link.close()
    ledger.close()
    await snapshots.close()
    await recorder.close()
    await identity.close()
  }
  if ('refused' in gateway) {
    await close()
    return gateway
  }
  told.registry = () => metrics.registry
  told.notReady = () =>
    recorder.trouble ?? missingSnapshot(snapshots, link.status().trouble) ?? limits.missing(snapshots.current())
  return {
    url: gateway.url,
    instance: identity.instance,
    async stop() {
      told.notReady = () => 'The gateway is stopping.'
      await gateway.drain(drainMs)
      await close()
    },
  }
}

/** By tenant, the budgets of the configuration that runs. */
function budgetsServed(snapshots: SnapshotStore): Map<string, ReadonlySet<string>> {
  const tenants = [...snapshots.current().tenants]
  return new Map(tenants.map(([tenant, { snapshot }]) => [tenant, snapshot.budgetIds]))
}

/** A gateway serves from what it keeps; only one that keeps nothing yet has to wait, and says for what. */
function missingSnapshot(snapshots: SnapshotStore, trouble: string | null): string | undefined {
  if (snapshots.current().tenants.size > 0) return undefined
  return ['No configuration has arrived yet.', trouble].filter(Boolean).join(' ')
}

function hostName(): string {
  return hostname().slice(0, 255)
}

const refusedStart = (error: unknown) => ({ refused: (error as Error).message })

function listen<S>(port: number, host: string, variable: string, start: () => S): S | { refused: string } {
  try {
    return start()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === 'EADDRINUSE')
      return {
        refused: `Port ${port} on ${host} is taken by another program; stop that one, or choose another port with ${variable}.`,
      }
    if (code === 'EACCES')
      return {
        refused: `Port ${port} on ${host} may not be used by this user; choose one above 1023 with ${variable}.`,
      }
    throw error
  }
}
