import type { Seal } from '../../air-gap/seal.ts'
import type { RunningCredential, RunningSet, SnapshotSource } from '../../data-plane/snapshot/running.ts'
import { emptySet, runningSet, runningTenant } from '../../data-plane/snapshot/running-set.ts'
import type { KeyDelta } from '../../schema/snapshot.ts'
import type { InstanceIdentity } from './instance-identity.ts'
import { isTenantName, SnapshotFiles } from './snapshot-files.ts'
import type { FetchPart } from './snapshot-parts.ts'
import { type Activated, type OfferOutcome, type SnapshotSurroundings, TenantSnapshots } from './snapshot-tenant.ts'

export type Log = (level: 'info' | 'warn' | 'error', sentence: string) => void

/** Tenants that one plane serves at most. */
const tenantsMax = 10_000
/** How often the time of the last confirmation is written down. */
const saveEveryMs = 60_000

/** A stored secret as it came, and what opens it. */
export type SealedSecret = { contentKey: NonNullable<Activated['secrets']>['contentKey']; sealed: string }

/**
 * The snapshots of a plane: taken from the link, verified, kept on disk, and swapped between requests by one assignment.
 * Opening it loads the last good ones, so that a plane starts and serves without the control plane.
 */
export class SnapshotStore implements SnapshotSource {
  readonly #around: SnapshotSurroundings
  readonly #log: Log
  readonly #tenants = new Map<string, TenantSnapshots>()
  readonly #sealedSecrets = new WeakMap<RunningCredential, SealedSecret>()
  readonly #onSwap = new Set<() => void>()
  #current: RunningSet = emptySet
  #work: Promise<unknown> = Promise.resolve()
  #savedAtMs = 0

  private constructor(around: SnapshotSurroundings, log: Log) {
    this.#around = around
    this.#log = log
  }

  static async open(options: {
    dataDir: string
    identity: InstanceIdentity
    clock: { now(): number; monotonic(): number }
    version: string
    log: Log
  }): Promise<SnapshotStore> {
    const { dataDir, log, ...around } = options
    const store = new SnapshotStore({ ...around, files: new SnapshotFiles(dataDir), overlays: new Map() }, log)
    for (const tenant of store.#around.files.tenants()) {
      const refusal = await store.#of(tenant)?.load()
      if (refusal) log('error', `The snapshot kept for ${tenant} cannot be used. ${refusal.sentence}`)
    }
    store.#swap()
    return store
  }

  current(): RunningSet {
    return this.#current
  }

  /** Calls back after each swap; returns how to stop. */
  onSwap(swapped: () => void): () => void {
    this.#onSwap.add(swapped)
    return () => this.#onSwap.delete(swapped)
  }

  /** What a link's hello says. */
  held() {
    return this.#running().map(({ tenant, active, overlay }) => ({
      tenant,
      sequence: active.envelope.sequence,
      contentDigest: active.envelope.contentDigest,
      deltaNumber: overlay.number,
    }))
  }

  /** What a heartbeat says. */
  applied() {
    const nowMs = this.#around.clock.now()
    return this.#running().map(({ tenant, active, overlay, freshness }) => ({
      tenant,
      revision: active.snapshot.revision,
      deltaNumber: overlay.number,
      snapshotAgeMs: Math.round(freshness.ageMs(nowMs)),
    }))
  }

  /** Takes an envelope that the link brought. One at a time, in the order in which they came. */
  offer(tenant: string, sealed: Seal, fetchPart: FetchPart): Promise<OfferOutcome> {
    const outcome = this.#work.then(async () => {
      const snapshots = this.#of(tenant)
      if (!snapshots) return { refused: 'wrong_tenant', sentence: 'It is of a tenant that cannot be served.' } as const
      const taken = await snapshots.offer(sealed, fetchPart)
      if (taken === 'activated') this.#swap()
      return taken
    })
    this.#work = outcome.catch(() => undefined)
    return outcome
  }

  /** In force when this returns; the promise resolves when they would survive a restart. */
  applyDeltas(tenant: string, deltas: readonly KeyDelta[]): Promise<void> {
    const snapshots = this.#of(tenant)
    if (!snapshots) return Promise.resolve()
    for (const delta of deltas) snapshots.overlay.apply(delta)
    const saved = this.#work.then(() => snapshots.saveState())
    this.#work = saved.catch((error) =>
      this.#log('error', `Key changes are in force but not on disk: ${String(error)}`),
    )
    return saved
  }

  /** Lets go of tenants that this plane no longer serves, here and on disk: their keys are unknown from now on. */
  serveOnly(tenants: ReadonlySet<string>): void {
    const leaving = [...this.#tenants.keys()].filter((tenant) => !tenants.has(tenant))
    if (leaving.length === 0) return
    for (const tenant of leaving) {
      this.#tenants.get(tenant)!.leave()
      this.#tenants.delete(tenant)
    }
    this.#swap()
    this.#work = this.#work
      .then(() => {
        for (const tenant of leaving) if (!this.#tenants.has(tenant)) this.#around.files.forget(tenant)
      })
      .catch((error) => this.#log('error', `What was kept of a tenant could not be removed: ${String(error)}`))
    this.#log('info', `This plane no longer serves ${leaving.join(', ')}.`)
  }

  /** A link opened: whatever is newer will be announced on it. */
  linkOpened(): void {
    for (const snapshots of this.#tenants.values()) snapshots.linkOpened()
  }

  /** The control plane has just spoken. */
  heard(): void {
    const nowMs = this.#around.clock.now()
    for (const snapshots of this.#tenants.values()) snapshots.heard(nowMs)
    if (Math.abs(nowMs - this.#savedAtMs) >= saveEveryMs) this.#save(nowMs)
  }

  /** A stored credential's secret, sealed; undefined where its snapshot brought none. */
  sealedSecretOf(credential: RunningCredential): SealedSecret | undefined {
    return this.#sealedSecrets.get(credential)
  }

  /** Writes down when the control plane was last heard, and waits for what is under way. */
  async close(): Promise<void> {
    this.#save(this.#around.clock.now())
    await this.#work
  }

  #save(nowMs: number): void {
    this.#savedAtMs = nowMs
    this.#work = this.#work
      .then(() => Promise.all([...this.#tenants.values()].map((snapshots) => snapshots.saveState())))
      .catch((error) => this.#log('warn', `The state of the snapshots could not be written: ${String(error)}`))
  }

  #of(tenant: string): TenantSnapshots | undefined {
    const known = this.#tenants.get(tenant)
    if (known || !isTenantName(tenant) || this.#tenants.size >= tenantsMax) return known
    const made = new TenantSnapshots(tenant, this.#around)
    this.#tenants.set(tenant, made)
    return made
  }

  #running() {
    return [...this.#tenants].flatMap(([tenant, { active, overlay, freshness }]) =>
      active ? [{ tenant, active, overlay, freshness }] : [],
    )
  }

  #swap(): void {
    const running = this.#running()
    for (const { active } of running) this.#noteSecrets(active)
    this.#current = runningSet(
      running.map(({ active, overlay, freshness }) => ({
        tenant: runningTenant(active.snapshot, overlay, freshness),
        overlay,
      })),
      this.#current,
    )
    this.#around.files.keepOnly(new Set(running.flatMap(({ active }) => [...active.parts.keys()])))
    for (const swapped of this.#onSwap) swapped()
  }

  #noteSecrets({ snapshot, secrets }: Activated): void {
    for (const credential of secrets ? snapshot.credentials : []) {
      const sealed = secrets!.sealed[credential.id]
      if (sealed !== undefined) this.#sealedSecrets.set(credential, { contentKey: secrets!.contentKey, sealed })
    }
  }
}
