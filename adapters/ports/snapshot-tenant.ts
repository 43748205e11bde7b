import type { KeyObject } from 'node:crypto'
import { type Envelope, openEnvelope, type Recipient, reopenEnvelope } from '../../air-gap/envelope.ts'
import { type GapRefusal, isGapRefusal, refuseAtGap } from '../../air-gap/refusal.ts'
import type { Seal } from '../../air-gap/seal.ts'
import { buildRunning } from '../../data-plane/snapshot/build.ts'
import type { RunningSnapshot } from '../../data-plane/snapshot/running.ts'
import { Freshness, KeyOverlay } from '../../data-plane/snapshot/running-set.ts'
import type { KeyDelta, SealedSecrets } from '../../schema/snapshot.ts'
import type { InstanceIdentity } from './instance-identity.ts'
import type { SnapshotFiles } from './snapshot-files.ts'
import { type FetchPart, fetchNothing, type GatheredContent, gatherContent, isUnfetched, notOnDisk, type Unfetched } from './snapshot-parts.ts'

/** What all tenants of a plane share. */
export interface SnapshotSurroundings {
  identity: InstanceIdentity
  files: SnapshotFiles
  clock: { now(): number; monotonic(): number }
  version: string
}

/** A snapshot that can be run, with what opens its stored secrets. */
export interface Activated {
  envelope: Envelope
  snapshot: RunningSnapshot
  parts: ReadonlyMap<string, Uint8Array>
  secrets: { contentKey: KeyObject; sealed: SealedSecrets } | undefined
}

export type OfferOutcome = 'activated' | 'held' | GapRefusal | Unfetched

/** An online plane's clock and the control plane's may differ by this much. */
const futureToleranceMs = 5 * 60_000

/** One tenant's snapshots on this plane: takes envelopes, keeps the last good one, remembers what may never go back. */
export class TenantSnapshots {
  readonly overlay = new KeyOverlay()
  freshness: Freshness
  active: Activated | undefined
  /** Digests of the parts of the snapshot before; kept on disk with the active one's. */
  previousDigests: ReadonlySet<string> = new Set()
  readonly #tenant: string
  readonly #around: SnapshotSurroundings
  #taken: Recipient['held']
  /** A newer snapshot was announced and does not run yet: this one is no longer known to be the newest. */
  #behind = false

  constructor(tenant: string, around: SnapshotSurroundings) {
    this.#tenant = tenant
    this.#around = around
    this.freshness = new Freshness(around.clock.now(), around.clock.monotonic)
  }

  /** Loads what the last run kept: the active snapshot, else the one before. The refusals met on the way are told. */
  async load(tell: (refusal: GapRefusal) => void): Promise<void> {
    const { files, clock } = this.#around
    for (const which of ['active', 'previous'] as const) {
      const sealed = files.envelope(this.#tenant, which)
      const loaded = sealed && (await this.#loadKept(sealed))
      if (!loaded) continue
      if (isGapRefusal(loaded)) tell(loaded)
      else if (!this.active) this.active = loaded
      else this.previousDigests = new Set(loaded.parts.keys())
    }
    if (!this.active) return
    const state = files.state(this.#tenant)
    this.#taken = state?.taken ?? this.active.envelope
    // Without a note of when it was last confirmed, its making is the one time that is known.
    this.freshness = new Freshness(state?.heardAtMs ?? this.active.envelope.createdAtMs, clock.monotonic)
    this.overlay.absorb(this.active.envelope.deltaNumber)
    for (const delta of state?.deltas ?? []) this.overlay.apply(delta)
    if (state) this.overlay.absorb(this.active.envelope.deltaNumber)
  }

  /** Verifies an envelope, gathers its content, makes it durable and makes it the active one. All or nothing. */
  async offer(sealed: Seal, fetchPart: FetchPart): Promise<OfferOutcome> {
    const opened = openEnvelope(sealed, { ...this.#recipient(), held: this.#taken })
    if (isGapRefusal(opened)) return opened
    if (opened.held && this.active) return 'held'
    const { envelope } = opened
    if (envelope.tenant !== this.#tenant)
      return refuseAtGap('wrong_tenant', 'The envelope is of another tenant than it was announced for.')
    this.#behind = true
    const atHand = this.active?.parts ?? new Map()
    const content = await gatherContent(envelope, atHand, this.#around.files, fetchPart)
    if (isUnfetched(content) || isGapRefusal(content)) return content
    const made = await this.#make(envelope, content)
    if (isGapRefusal(made)) return made
    await this.#activate(sealed, made)
    return 'activated'
  }

  /** Puts deltas in force at once; what is returned resolves when they would survive a restart. */
  applyDeltas(deltas: readonly KeyDelta[]): Promise<void> {
    for (const delta of deltas) this.overlay.apply(delta)
    return this.saveState()
  }

  /** The control plane is there and has announced nothing that does not run yet. */
  heard(nowMs: number): void {
    if (!this.#behind && this.active) this.freshness.heard(nowMs)
  }

  async saveState(): Promise<void> {
    if (!this.active || !this.#taken) return
    await this.#around.files.writeState(this.#tenant, {
      taken: { ...this.#taken },
      heardAtMs: this.freshness.heardAtMs,
      deltas: this.overlay.deltas(),
      deltaNumber: this.overlay.number,
    })
  }

  async #activate(sealed: Seal, made: Activated): Promise<void> {
    const { envelope } = made
    await this.#around.files.activate(this.#tenant, sealed)
    this.previousDigests = new Set(this.active?.parts.keys())
    this.active = made
    this.#taken = {
      sequence: envelope.sequence,
      contentDigest: envelope.contentDigest,
      revision: envelope.revision,
    }
    this.overlay.absorb(envelope.deltaNumber)
    this.#behind = false
    this.freshness.heard(this.#around.clock.now())
    await this.saveState()
  }

  async #loadKept(sealed: Seal): Promise<Activated | GapRefusal> {
    const envelope = reopenEnvelope(sealed, this.#recipient())
    if (isGapRefusal(envelope)) return envelope
    const content = await gatherContent(envelope, new Map(), this.#around.files, fetchNothing)
    if (isUnfetched(content)) return notOnDisk(content)
    return isGapRefusal(content) ? content : this.#make(envelope, content)
  }

  async #make(envelope: Envelope, content: GatheredContent): Promise<Activated | GapRefusal> {
    const secrets = await this.#openSecrets(envelope, content)
    if (secrets && isGapRefusal(secrets)) return secrets
    const snapshot = buildRunning({ ...envelope, configDigest: envelope.contentDigest, ...content })
    if ('unreadable' in snapshot) return refuseAtGap('malformed', snapshot.unreadable)
    return { envelope, snapshot, parts: content.parts, secrets }
  }

  async #openSecrets(envelope: Envelope, content: GatheredContent): Promise<Activated['secrets'] | GapRefusal> {
    if (!content.secrets || !envelope.contentKey) return undefined
    const contentKey = await this.#around.identity.unwrap(envelope.contentKey)
    if (isGapRefusal(contentKey)) return contentKey
    try {
      return { contentKey, sealed: JSON.parse(Buffer.from(content.secrets).toString('utf8')) as SealedSecrets }
    } catch {
      return refuseAtGap('malformed', 'The secrets part is not JSON.')
    }
  }

  #recipient(): Omit<Recipient, 'held'> {
    const { identity, clock, version } = this.#around
    return {
      root: identity.root(),
      role: 'online',
      instance: identity.instance,
      fleet: identity.dataPlane,
      version,
      nowMs: clock.now(),
      futureToleranceMs,
    }
  }
}
