import { sealEnvelope, wrapContentKey } from '../../air-gap/envelope.ts'
import { keyDeltasPerMessageMax } from '../../schema/link.ts'
import type { KeyDelta, SnapshotManifest } from '../../schema/snapshot.ts'
import type { CurrentSnapshot } from '../domain/snapshots.ts'
import { coalesce } from './coalesce.ts'
import type { LinkDomain } from './domain.ts'
import type { PlaneSession } from './plane-session.ts'
import type { OnlineKey } from './trust.ts'

/** How long an envelope may wait to be activated; running is bounded by the tenant's maxStaleness alone. */
const envelopeValidMs = 6 * 3_600_000
/** The oldest gateway that can run what is compiled here. */
const minimumPlaneVersion = '0.1.0'

/** A content with what its envelopes and its fetching ask of it. */
interface Known {
  snapshot: CurrentSnapshot
  digests: ReadonlySet<string>
  hasSecrets: boolean
}

/** Brings one tenant's planes up to date. Key deltas and snapshots go side by side: a revocation never waits for a compile. */
export class TenantFeed {
  readonly #tenant: string
  readonly #domain: LinkDomain
  readonly #online: OnlineKey
  readonly #sessions = new Set<PlaneSession>()
  readonly #wakeDeltas = coalesce(() => this.#sendDeltas())
  readonly #wakeSnapshot = coalesce(() => this.#sendSnapshot())
  /** Wrapping takes milliseconds for each plane, and the content key changes only when a secret does. */
  readonly #wrapped = new WeakMap<PlaneSession, { contentKey: Buffer; text: string }>()
  #known: Known | undefined

  constructor(tenant: string, domain: LinkDomain, online: OnlineKey) {
    this.#tenant = tenant
    this.#domain = domain
    this.#online = online
  }

  get size(): number {
    return this.#sessions.size
  }

  add(session: PlaneSession): void {
    this.#sessions.add(session)
  }

  remove(session: PlaneSession): void {
    this.#sessions.delete(session)
  }

  /** Rejects where the database does; the caller says so and wakes it again later. */
  async wake(): Promise<void> {
    await Promise.all([this.#wakeDeltas(), this.#wakeSnapshot()])
  }

  /** To planes that hold a snapshot; who has none gets one first, with all keys in it. */
  async #sendDeltas(): Promise<void> {
    const sessions = [...this.#sessions]
      .map((session) => ({ session, held: session.heldOf(this.#tenant) }))
      .filter(({ held }) => held.contentDigest !== null)
    if (sessions.length === 0) return
    const from = Math.min(...sessions.map(({ held }) => held.deltaNumber))
    const deltas = await this.#domain.deltasSince(this.#tenant, from)
    for (const { session, held } of sessions) {
      const lacking = deltas.filter(({ number }) => number > held.deltaNumber)
      for (const some of chunks(lacking)) session.send({ type: 'deltas', tenant: this.#tenant, deltas: some }, 'urgent')
      held.deltaNumber = lacking.at(-1)?.number ?? held.deltaNumber
    }
    // The domain answers a bounded number at once.
    if (deltas.length > 0) await this.#sendDeltas()
  }

  async #sendSnapshot(): Promise<void> {
    if (this.#sessions.size === 0) return
    const known = await this.#current()
    const { contentDigest, deltaNumber } = known.snapshot
    for (const session of this.#sessions) {
      const held = session.heldOf(this.#tenant)
      if (held.contentDigest === contentDigest) continue
      const envelope = await this.#envelope(known, session).catch(() => undefined)
      if (!envelope) {
        // One instance's unusable key must not keep the others from their snapshot.
        session.end('A snapshot cannot be sealed for the encryption key of this instance; enrol it anew.')
        continue
      }
      session.offer(this.#tenant, contentDigest, known.snapshot.manifest, known.digests)
      session.send({ type: 'snapshot', tenant: this.#tenant, envelope }, 'urgent')
      // A plane that runs an older snapshot is sent the deltas as well: they are in force before the new one is fetched.
      if (held.contentDigest === null) held.deltaNumber = deltaNumber
      held.contentDigest = contentDigest
    }
    await this.#wakeDeltas()
  }

  async #current(): Promise<Known> {
    const snapshot = await this.#domain.snapshotOf(this.#tenant)
    if (this.#known?.snapshot.contentDigest === snapshot.contentDigest) return this.#known
    const { parts } = JSON.parse(snapshot.manifest.toString('utf8')) as SnapshotManifest
    this.#known = {
      snapshot,
      digests: new Set(parts.map(({ digest }) => digest)),
      hasSecrets: parts.some(({ name }) => name === 'secrets'),
    }
    return this.#known
  }

  async #envelope({ snapshot, hasSecrets }: Known, session: PlaneSession) {
    const nowMs = this.#domain.now()
    return sealEnvelope(
      {
        schemaVersion: 1,
        installation: this.#online.installation,
        role: 'online',
        audience: { kind: 'instance', id: session.instance.id },
        tenant: this.#tenant,
        // One content per revision, whichever control plane asks first: so every one of them gives it the same number.
        sequence: snapshot.revision,
        contentDigest: snapshot.contentDigest,
        revision: snapshot.revision,
        deltaNumber: snapshot.deltaNumber,
        createdAtMs: nowMs,
        notBeforeMs: nowMs,
        expiresAtMs: nowMs + envelopeValidMs,
        minimumVersion: minimumPlaneVersion,
        contentKey: hasSecrets ? await this.#wrap(snapshot.contentKey, session) : null,
        critical: ['audience', 'sequence', 'contentDigest', 'expiresAtMs'],
      },
      [this.#online.key],
    )
  }

  async #wrap(contentKey: Buffer, session: PlaneSession): Promise<string> {
    const known = this.#wrapped.get(session)
    if (known?.contentKey.equals(contentKey)) return known.text
    const text = await wrapContentKey(contentKey, session.instance.encryptionKey)
    this.#wrapped.set(session, { contentKey, text })
    return text
  }
}

function* chunks(deltas: KeyDelta[]): Iterable<KeyDelta[]> {
  for (let at = 0; at < deltas.length; at += keyDeltasPerMessageMax) yield deltas.slice(at, at + keyDeltasPerMessageMax)
}
