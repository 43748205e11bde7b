import type { ChainHead } from '../../schema/link.ts'

/**
 * What the link delivers: the journal's durable records, per chain (tenant, epoch). The control plane's head is the only
 * memory of what was delivered; every method may be called again for what was already said.
 */
export interface RecordSource {
  /** Chains with durable records that no acknowledgement covers yet, oldest first; chains of earlier epochs too. */
  pending(): readonly { tenant: string; epoch: number }[]
  /**
   * Canonical texts from `fromSequence` on, in order, without a gap, durable: at most `max.records`, and no more than
   * `max.bytes` of UTF-8 unless the first alone is larger. Empty where there are none (yet).
   */
  next(
    tenant: string,
    epoch: number,
    fromSequence: number,
    max: { records: number; bytes: number },
  ): readonly string[] | Promise<readonly string[]>
  /** The control plane holds this chain up to and including `head.sequence` (−1 = nothing). */
  acked(head: ChainHead): void
  /** The control plane did not take a batch; `head` says where it goes on, null = the chain is not asked for again on this link. */
  refused(refusal: { tenant: string; epoch: number; head: ChainHead | null; reason: string }): void
  /** Calls `wake` when records became durable; returns how to stop. */
  onDurable(wake: () => void): () => void
  /** Everything recorded up to this moment, of this tenant or of all, is acknowledged (Unix ms); null = nothing is waiting. */
  deliveredThroughMs(tenant?: string): number | null
}
