import type { KeyDelta } from '../../schema/snapshot.ts'
import { runningGrant } from './build.ts'
import { KeyIndex, type KeyShards } from './key-index.ts'
import type { RunningSnapshot, SnapshotKey } from './running.ts'
import type { FoundKey, RunningSet, RunningTenant } from './source.ts'

/** Which overlay holds a key's delta, by the key's hash: shared by the tenants of a plane, so that a lookup asks once. */
export type OverlayDirectory = Map<string, KeyOverlay>

/** Key deltas that came after a tenant's snapshot, by hash. They hold at once, in sets that are already in use too. */
export class KeyOverlay {
  readonly directory: OverlayDirectory
  readonly #byHash = new Map<string, { number: number; key: SnapshotKey; delta: KeyDelta }>()
  /** Numbers that came before one that is still missing. */
  readonly #ahead = new Set<number>()
  #number = 0

  constructor(directory: OverlayDirectory = new Map()) {
    this.directory = directory
  }

  /** Every delta up to this number is in force. */
  get number(): number {
    return this.#number
  }

  get size(): number {
    return this.#byHash.size
  }

  find(hash: Uint8Array): SnapshotKey | undefined {
    return this.#byHash.size === 0 ? undefined : this.#byHash.get(hashText(hash))?.key
  }

  /**
   * Puts a delta in force. Late and repeated ones change nothing; one that came before its predecessor is taken too (a
   * revocation must not wait), but `number` counts only what came without a gap.
   */
  apply(delta: KeyDelta): void {
    if (delta.number <= this.#number) return
    const hash = hashText(Buffer.from(delta.hash, 'hex'))
    const present = this.#byHash.get(hash)
    if (!present || present.number < delta.number) {
      this.directory.set(hash, this)
      this.#byHash.set(hash, {
        number: delta.number,
        delta,
        key: Object.freeze({
          apiKey: delta.apiKey,
          grant: runningGrant(delta.grant),
          revoked: delta.revoked,
          expiresAtMs: delta.expiresAtMs,
        }),
      })
    }
    this.#ahead.add(delta.number)
    this.#countOn(this.#number)
  }

  /** Forgets what a snapshot that is now running holds itself. */
  absorb(deltaNumber: number): void {
    this.#countOn(Math.max(this.#number, deltaNumber))
    for (const [hash, entry] of this.#byHash) {
      if (entry.number > deltaNumber) continue
      this.#byHash.delete(hash)
      if (this.directory.get(hash) === this) this.directory.delete(hash)
    }
  }

  /** Takes up what an earlier run kept: those in force, and up to where they were without a gap. */
  restore(deltas: readonly KeyDelta[], number: number): void {
    for (const delta of deltas) this.apply(delta)
    if (number > this.#number) this.#countOn(number)
  }

  #countOn(from: number): void {
    this.#number = from
    while (this.#ahead.delete(this.#number + 1)) this.#number += 1
    if (this.#ahead.size > 0) for (const number of this.#ahead) if (number <= from) this.#ahead.delete(number)
  }

  /** The deltas in force, by number; for keeping them over a restart. */
  deltas(): KeyDelta[] {
    return [...this.#byHash.values()].map(({ delta }) => delta).sort((a, b) => a.number - b.number)
  }
}

/** When a tenant's snapshot was last known to be the newest one. */
export class Freshness {
  #heardAtMs: number
  #latestMs: number
  #heardMonotonicMs: number
  readonly #monotonic: () => number

  constructor(heardAtMs: number, monotonic: () => number) {
    this.#heardAtMs = heardAtMs
    this.#latestMs = heardAtMs
    this.#monotonic = monotonic
    this.#heardMonotonicMs = monotonic()
  }

  get heardAtMs(): number {
    return this.#heardAtMs
  }

  /** The control plane has just confirmed it. */
  heard(nowMs: number): void {
    this.#heardAtMs = nowMs
    this.#latestMs = nowMs
    this.#heardMonotonicMs = this.#monotonic()
  }

  /** By the wall clock's furthest reading or the time this process saw pass, whichever is more: setting a clock back helps nobody. */
  ageMs(nowMs: number): number {
    if (nowMs > this.#latestMs) this.#latestMs = nowMs
    return Math.max(this.#latestMs - this.#heardAtMs, Math.round(this.#monotonic() - this.#heardMonotonicMs), 0)
  }
}

/** One tenant as it runs. */
export function runningTenant(snapshot: RunningSnapshot, overlay: KeyOverlay, freshness: Freshness): RunningTenant {
  const { maxStalenessMs } = snapshot.tenant
  return {
    snapshot,
    get deltaNumber() {
      return Math.max(overlay.number, snapshot.deltaNumber)
    },
    ageMs: (nowMs) => freshness.ageMs(nowMs),
    isExpired: (nowMs) => freshness.ageMs(nowMs) > maxStalenessMs,
  }
}

interface Member {
  tenant: RunningTenant
  overlay: KeyOverlay
}

/** How the keys of a set's snapshots are found; the next set takes over what did not change. */
interface Indexed {
  index: KeyIndex
  places: ReadonlyMap<string, { place: number; shards: KeyShards }>
}

const indexOf = new WeakMap<RunningSet, Indexed>()

/**
 * Tenants side by side. Built when a snapshot is swapped, never by a request; `before` is the set that it takes the place of.
 * Key hashes are unique per installation, so whoever holds a key is the one who does.
 */
export function runningSet(members: readonly Member[], before?: RunningSet): RunningSet {
  const indexed = indexMembers(members, before && indexOf.get(before))
  const atPlace = new Map(members.map((member) => [indexed.places.get(idOf(member))!.place, member]))
  const ofOverlay = new Map(members.map((member) => [member.overlay, member]))
  const directories = [...new Set(members.map(({ overlay }) => overlay.directory))]
  const found = ({ tenant }: Member, key: SnapshotKey | undefined): FoundKey | undefined =>
    key && { snapshot: tenant.snapshot, tenant, ...key }
  const set = Object.freeze({
    tenants: new Map(members.map((member) => [idOf(member), member.tenant])),
    lookupKey(hash: Uint8Array): FoundKey | undefined {
      for (const directory of directories) {
        const overlay = directory.size > 0 ? directory.get(hashText(hash)) : undefined
        const member = overlay && ofOverlay.get(overlay)
        if (member) return found(member, overlay.find(hash))
      }
      return indexed.index.find(hash, (place) => {
        const member = atPlace.get(place)!
        return found(member, member.tenant.snapshot.findKey(hash))
      })
    },
  })
  indexOf.set(set, indexed)
  return set
}

const idOf = ({ tenant }: Member) => tenant.snapshot.tenant.id

function indexMembers(members: readonly Member[], before: Indexed | undefined): Indexed {
  const ids = new Set(members.map(idOf))
  // Tenants that leave are rare: then everything is made anew.
  const kept = before && [...before.places.keys()].every((id) => ids.has(id)) ? before : undefined
  const places = new Map(kept?.places)
  let index = kept?.index ?? KeyIndex.empty
  for (const member of members) {
    const shards = member.tenant.snapshot.keyShards
    const known = places.get(idOf(member))
    if (known?.shards === shards) continue
    const place = known?.place ?? places.size
    index = index.replace(place, known?.shards, shards)
    places.set(idOf(member), { place, shards })
  }
  return { index, places }
}

export const emptySet: RunningSet = runningSet([])

/** 32 bytes as a string of as many characters, for a Map. */
function hashText(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, hash.byteLength).toString('latin1')
}
