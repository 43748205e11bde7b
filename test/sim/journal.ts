import type { LeaseFrame } from '../../adapters/ports/ledger/lease-frame.ts'
import { LeaseLog, type LeaseTotals } from '../../adapters/ports/ledger/lease-frame.ts'
import type { RecordPosting } from '../../schema/flight-record.ts'
import type { MoneyRecord } from './messages.ts'
import { tenant } from './store.ts'

/** What stands in an instance's journal, as far as money is concerned. */
export type JournalEntry =
  | { kind: 'lease'; frame: LeaseFrame }
  /** `postings`: what the record says if the process dies now. */
  | { kind: 'intent'; id: string; nth: number; postings: readonly RecordPosting[] }
  | { kind: 'record'; epoch: number; record: MoneyRecord }
  | { kind: 'epoch'; epoch: number }

export interface Replayed {
  epoch: number
  leases: LeaseTotals[]
  /** Intents without an outcome, the last of each exchange. */
  open: Extract<JournalEntry, { kind: 'intent' }>[]
  chains: Map<number, MoneyRecord[]>
}

/** What a journal proves to whoever starts from it. Open intents are charged as they stand. */
export function replay(entries: readonly JournalEntry[], forgetsIntents = false): Replayed {
  const log = new LeaseLog()
  const open = new Map<string, Extract<JournalEntry, { kind: 'intent' }>>()
  const chains = new Map<number, MoneyRecord[]>()
  let epoch = 0
  for (const entry of entries) {
    if (entry.kind === 'lease') log.take(entry.frame)
    else if (entry.kind === 'epoch') epoch = Math.max(epoch, entry.epoch)
    else if (entry.kind === 'intent') forgetsIntents || open.set(entry.id, entry)
    else {
      open.delete(entry.record.id)
      log.post(tenant, entry.record.postings)
      const chain = chains.get(entry.epoch) ?? []
      chains.set(entry.epoch, chain)
      chain.push(entry.record)
    }
  }
  for (const { postings } of open.values()) log.post(tenant, postings)
  return { epoch, leases: log.of(tenant), open: [...open.values()], chains }
}
