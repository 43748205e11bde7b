import { join } from 'node:path'
import type { Recorder } from '../../../data-plane/ports.ts'
import type { RecordDraft } from '../../../data-plane/record.ts'
import { canonicalRecord, type FlightRecord, recordHash } from '../../../schema/flight-record.ts'
import type { ChainHead } from '../../../schema/link.ts'
import { type Refusal, refuse } from '../../../schema/refusals.ts'
import type { LeaseFrame, LeaseLog, LeaseTotals } from '../ledger/lease-frame.ts'
import type { LeaseJournal } from '../ledger/lease-ledger.ts'
import type { RecordSource } from '../link-client.ts'
import { type Chain, type Chains, offsetOf, placeOf, segmentOf } from './chains.ts'
import { Journal } from './journal.ts'
import { type Replayed, replay } from './replay.ts'

/** Who records: these stand in every record of this process. */
export interface RecorderIdentity {
  instance: string
  dataPlane: string
  bootId: string
  version: string
}

export interface JournalOptions {
  dataDir: string
  identity: RecorderIdentity
  /** Undelivered records beyond this many bytes on disk refuse new requests. */
  bytesMax?: number
}

const defaultBytesMax = 4 * 1024 * 1024 * 1024

/** The recorder on disk: intents, records in per-tenant chains, and what the link delivers of them. */
export class JournalRecorder implements Recorder, RecordSource, LeaseJournal {
  readonly #journal: Journal
  readonly #chains: Chains
  readonly #identity: RecorderIdentity
  /** Segment of each open intent, by exchange. */
  readonly #open = new Map<string, number>()
  readonly #leases: LeaseLog
  readonly #wakes = new Set<() => void>()
  /** Hears of each exchange of which a frame was written. */
  onWritten: (exchange: string) => void = () => {}
  #epoch: number

  private constructor(options: JournalOptions, replayed: Replayed) {
    this.#identity = options.identity
    this.#chains = replayed.chains
    this.#epoch = replayed.epoch
    this.#leases = replayed.leases
    const { folder, segments } = replayed
    this.#journal = new Journal(folder, options.bytesMax ?? defaultBytesMax, () => this.#segmentStart(), segments)
  }

  #segmentStart() {
    const { instance, bootId } = this.#identity
    const heads = this.#chains.all.map(({ head }) => head)
    const segment = {
      type: 'segment' as const,
      payload: JSON.stringify({ instance, bootId, epoch: this.#epoch, heads }),
    }
    const leases = this.#leases.frames().map((frame) => ({ type: 'lease' as const, payload: JSON.stringify(frame) }))
    return [segment, ...leases]
  }

  /**
   * Opens the journal of an instance and closes what a crash left open: each intent without an outcome becomes a record charged
   * at its ceiling. Throws one clear sentence where the journal is damaged.
   */
  static async open(options: JournalOptions): Promise<JournalRecorder> {
    const replayed = replay(join(options.dataDir, 'journal'), options.identity.instance)
    const recorder = new JournalRecorder(options, replayed)
    for (const draft of replayed.openIntents) recorder.#append(draft)
    if (!(await recorder.#journal.durable())) throw new Error(recorder.#journal.trouble)
    return recorder
  }

  /** A newer link's epoch: its chains begin anew. */
  openEpoch(epoch: number): void {
    // What one link did not take is offered again on the next.
    for (const chain of this.#chains.all) chain.refused = false
    if (epoch <= this.#epoch) return
    this.#epoch = epoch
    this.#journal.append('epoch', JSON.stringify({ epoch, bootId: this.#identity.bootId }))
    this.#chains.forgetDelivered(epoch)
  }

  get epoch(): number {
    return this.#epoch
  }

  leasesOf(tenant: string): LeaseTotals[] {
    return this.#leases.of(tenant)
  }

  get tenantsWithLeases(): string[] {
    return this.#leases.tenants
  }

  keepLeases(frames: readonly LeaseFrame[], durable: () => void): void {
    for (const [at, frame] of frames.entries()) {
      const isLast = at === frames.length - 1
      this.#journal.append('lease', JSON.stringify(frame), isLast ? durable : undefined)
      this.#leases.take(frame)
    }
    void this.#journal.durable()
  }

  /** Why nothing can be recorded; undefined where all is well. */
  get trouble(): string | undefined {
    return this.#journal.trouble
  }

  /** Records that the control plane does not hold yet. */
  get backlog(): number {
    return this.#chains.all.reduce((sum, chain) => sum + Math.max(0, chain.sequence - chain.acked), 0)
  }

  intend(draft: RecordDraft): Refusal | undefined {
    const trouble = this.#journal.trouble
    if (trouble) return refuse('recorder_unavailable')
    this.#open.set(draft.id, this.#journal.currentNumber)
    this.#journal.append('intent', JSON.stringify(draft))
    this.onWritten(draft.id)
    return this.#journal.trouble ? refuse('recorder_unavailable') : undefined
  }

  async record(draft: RecordDraft): Promise<Refusal | undefined> {
    // What was sent is recorded whatever it takes; what was refused before must not fill the disk.
    if (!this.#open.has(draft.id) && this.#journal.trouble) {
      this.onWritten(draft.id)
      return refuse('recorder_unavailable')
    }
    this.#append(draft)
    this.#open.delete(draft.id)
    this.onWritten(draft.id)
    return (await this.#journal.durable()) ? undefined : refuse('recorder_unavailable')
  }

  #append(draft: RecordDraft): void {
    const chain = this.#chains.of(draft.tenant, this.#epoch)
    const sequence = chain.sequence + 1
    const canonical = canonicalRecord(this.#complete(draft, sequence, chain.hash))
    this.#journal.append('record', canonical, (segment, at) => {
      chain.durable(sequence, placeOf(segment.number, at), draft.at)
      for (const wake of this.#wakes) wake()
    })
    // After it is written: a segment that it had to begin says where the chains stood before it.
    chain.advance(sequence, recordHash(canonical))
    this.#leases.post(draft.tenant, draft.postings)
  }

  /** The whole record, its keys in code-unit order. */
  #complete(draft: RecordDraft, sequence: number, previousHash: string): FlightRecord {
    const { instance, dataPlane, bootId, version } = this.#identity
    const d = draft
    return {
      alias: d.alias,
      aliasId: d.aliasId,
      apiKey: d.apiKey,
      at: d.at,
      attempts: d.attempts,
      authMethod: d.authMethod,
      bootId,
      bundleSequence: d.bundleSequence,
      clientDisconnected: d.clientDisconnected,
      configDigest: d.configDigest,
      cost: d.cost,
      currency: d.currency,
      dataPlane,
      decisions: d.decisions,
      dialect: d.dialect,
      epoch: this.#epoch,
      finishReason: d.finishReason,
      humanOverride: d.humanOverride,
      id: d.id,
      incident: d.incident,
      instance,
      level: d.level,
      lossy: d.lossy,
      meters: d.meters,
      model: d.model,
      monotonicMs: d.monotonicMs,
      outcome: d.outcome,
      parent: d.parent,
      payload: d.payload,
      postings: d.postings,
      previousHash,
      priceSheet: d.priceSheet,
      principal: d.principal,
      project: d.project,
      provider: d.provider,
      refusal: d.refusal,
      region: d.region,
      requestLabels: d.requestLabels,
      reserved: d.reserved,
      revision: d.revision,
      routeReason: d.routeReason,
      schemaVersion: 1,
      sequence,
      snapshotAgeMs: d.snapshotAgeMs,
      status: d.status,
      streamed: d.streamed,
      task: d.task,
      team: d.team,
      tenant: d.tenant,
      tier: d.tier,
      timing: d.timing,
      traceId: d.traceId,
      version,
    }
  }

  pending(): { tenant: string; epoch: number }[] {
    return this.#chains.all
      .filter((chain) => chain.waiting && !chain.refused)
      .sort((a, b) => a.epoch - b.epoch)
      .map(({ tenant, epoch }) => ({ tenant, epoch }))
  }

  next(tenant: string, epoch: number, fromSequence: number, max: { records: number; bytes: number }): string[] {
    const texts: string[] = []
    let bytes = 0
    for (const place of this.#chains.of(tenant, epoch).placesFrom(fromSequence, max.records)) {
      const text = this.#journal.segments.get(segmentOf(place))!.read(offsetOf(place))
      bytes += Buffer.byteLength(text)
      if (bytes > max.bytes && texts.length > 0) break
      texts.push(text)
    }
    return texts
  }

  acked(head: ChainHead): void {
    this.#chains.of(head.tenant, head.epoch).ack(head.sequence)
    this.#chains.forgetDelivered(this.#epoch)
    this.#journal.removeBefore(this.#oldestNeeded())
  }

  refused(refusal: { tenant: string; epoch: number; head: ChainHead | null }): void {
    const chain = this.#chains.of(refusal.tenant, refusal.epoch)
    if (refusal.head) chain.ack(refusal.head.sequence)
    else chain.refused = true
  }

  onDurable(wake: () => void): () => void {
    this.#wakes.add(wake)
    return () => this.#wakes.delete(wake)
  }

  deliveredThroughMs(tenant?: string): number | null {
    const chains = this.#chains.all.filter((chain) => tenant === undefined || chain.tenant === tenant)
    const oldest = chains.map((chain) => chain.oldestMs).filter((ms) => ms !== null)
    return oldest.length > 0 ? Math.min(...oldest) : null
  }

  #oldestNeeded(): number {
    const undelivered = this.#chains.all.map((chain: Chain) => chain.oldestSegment)
    return Math.min(...undelivered, ...this.#open.values(), Number.POSITIVE_INFINITY)
  }

  async close(): Promise<void> {
    // The last frame says that all before it were safe, so that damage to them does not pass for a torn tail.
    await this.#journal.durable()
    this.#journal.append('epoch', JSON.stringify({ epoch: this.#epoch, bootId: this.#identity.bootId }))
    await this.#journal.close()
  }
}
