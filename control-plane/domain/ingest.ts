import type { ChainHead } from '../../schema/link.ts'
import type { Context } from './context.ts'

export interface RecordBatch {
  tenant: string
  epoch: number
  /** Sequence of the first record. */
  from: number
  /** Canonical texts, in order and without a gap. */
  records: string[]
}

export type Accepted =
  | { head: ChainHead }
  /** `head` says where to go on; null = stop sending this chain, it is quarantined. */
  | { refused: true; head: ChainHead | null; reason: string }

/** Takes a batch of one chain if it continues what is there. What is there already is compared and skipped. */
export async function acceptRecords(ctx: Context, instance: string, batch: RecordBatch): Promise<Accepted> {
  void ctx, instance, batch
  throw new Error('not built yet')
}

/** Where the control plane's copy of each chain of an instance ends, quarantined ones left out. */
export async function chainHeads(ctx: Context, instance: string): Promise<ChainHead[]> {
  void ctx, instance
  throw new Error('not built yet')
}
