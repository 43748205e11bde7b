import type { KeyObject } from 'node:crypto'
import { type Envelope, openEnvelope, type Recipient, reopenEnvelope } from '../../air-gap/envelope.ts'
import { type GapRefusal, isGapRefusal, refuseAtGap } from '../../air-gap/refusal.ts'
import type { Seal } from '../../air-gap/seal.ts'
import { openSecret } from '../../air-gap/secrets.ts'
import { buildRunning } from '../../data-plane/snapshot/build.ts'
import type { RunningSnapshot } from '../../data-plane/snapshot/running.ts'
import { Freshness, KeyOverlay, type OverlayDirectory } from '../../data-plane/snapshot/running-set.ts'
import { pseudonymsName, type SealedSecrets } from '../../schema/snapshot.ts'
import type { InstanceIdentity } from './instance-identity.ts'
import type { SnapshotFiles } from './snapshot-files.ts'
import {
  type FetchPart,
  fetchNothing,
  type GatheredContent,
  gatherContent,
  isUnfetched,
  notOnDisk,
  type Unfetched,
} from './snapshot-parts.ts'

/** What all tenants of a plane share. */
export interface SnapshotSurroundings {
  identity: InstanceIdentity
  files: SnapshotFiles
  clock: { now(): number; monotonic(): number }
  version: string
  overlays: OverlayDirectory
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
  readonly overlay: KeyOverlay
  freshness: Freshness
  active: Activated | undefined
  readonly #tenant: string
  readonly #around: SnapshotSurroundings
  #taken: Recipient['held']
  /** A newer snapshot was announced and does not run yet: this one is no longer known to be the newest. */
  #behind = false
  #left = false

  constructor(tenant: string, around: SnapshotSurroundings) {
    this.#tenant = tenant
    this.#around = around
    this.overlay = new KeyOverlay(around.overlays)
    this.freshness = new Freshness(around.clock.now(), around.clock.monotonic)
  }

  /**
   * Loads what the last run kept. Where that is damaged nothing runs until the control plane sends it again: an older snapshot
   * would give revoked keys back.
   */
  async load(): Promise<GapRefusal | undefined> {
    const { files, clock } = this.#around
    const state = files.state(this.#tenant)
    this.#taken = state?.taken
    const sealed = files.envelope(this.#tenant)
    if (!sealed) return refuseAtGap('malformed', 'Its envelope cannot be read.')
    const loaded = await this.#loadKept(sealed)
    if (isGapRefusal(loaded)) return loaded
    this.active = loaded
    this.#taken ??= takenOf(loaded.envelope)
    // Without a note of when it was last confirmed, its making is the one time that is known.
    this.freshness = new Freshness(state?.heardAtMs ?? loaded.envelope.createdAtMs, clock.monotonic)
    this.overlay.absorb(loaded.envelope.deltaNumber)
    if (state) this.overlay.restore(state.deltas, state.deltaNumber)
    return undefined
  }

  /** Verifies an envelope, gathers its content, makes it durable and makes it the active one. All or nothing. */
  async offer(sealed: Seal, fetchPart: FetchPart): Promise<OfferOutcome> {
    const opened = openEnvelope(sealed, { ...this.#recipient(), held: this.#taken })
    if (!isGapRefusal(opened) && opened.held && this.active) return 'held'
    // What is older than this changes nothing; anything else that does not end up running leaves it behind.
    if (!isGapRefusal(opened) || opened.refused !== 'rolled_back') this.#behind = true
    if (isGapRefusal(opened)) return opened
    const { envelope } = opened
    if (envelope.tenant !== this.#tenant)
      return refuseAtGap('wrong_tenant', 'The envelope is of another tenant than it was announced for.')
    const atHand = this.active?.parts ?? new Map()
    const content = await gatherContent(envelope, atHand, this.#around.files, fetchPart)
    if (isUnfetched(content) || isGapRefusal(content)) return content
    const made = await this.#make(envelope, content)
    if (isGapRefusal(made)) return made
    if (this.#left) return refuseAtGap('wrong_tenant', 'This plane no longer serves that tenant.')
    await this.#activate(sealed, made)
    return 'activated'
  }

  /** This plane no longer serves the tenant: what is still under way for it comes to nothing. */
  leave(): void {
    this.#left = true
    this.active = undefined
    this.overlay.absorb(Number.MAX_SAFE_INTEGER)
  }

  /** A link opened: whatever is newer will be announced again. */
  linkOpened(): void {
    this.#behind = false
  }

  /** The control plane is there and has announced nothing that does not run yet. */
  heard(nowMs: number): void {
    if (!this.#behind && this.active) this.freshness.heard(nowMs)
  }

  async saveState(): Promise<void> {
    if (!this.active || !this.#taken) return
    await this.#around.files.writeState(this.#tenant, {
      taken: this.#taken,
      heardAtMs: this.freshness.heardAtMs,
      deltas: this.overlay.deltas(),
      deltaNumber: this.overlay.number,
    })
  }

  async #activate(sealed: Seal, made: Activated): Promise<void> {
    const { envelope } = made
    await this.#around.files.activate(this.#tenant, sealed)
    this.active = made
    this.#taken = takenOf(envelope)
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
    const pseudonymKey = this.#pseudonymKey(secrets)
    const snapshot = buildRunning({ ...envelope, configDigest: envelope.contentDigest, ...content, pseudonymKey })
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

  /** Where it does not open, labels that name persons are refused; all else runs. */
  #pseudonymKey(secrets: Activated['secrets']): Uint8Array | undefined {
    const sealed = secrets?.sealed[pseudonymsName]
    const hex = sealed && openSecret(secrets!.contentKey, this.#tenant, pseudonymsName, sealed)
    return hex ? Buffer.from(hex, 'hex') : undefined
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

function takenOf({ sequence, contentDigest, revision }: Envelope): Recipient['held'] {
  return { sequence, contentDigest, revision }
}
