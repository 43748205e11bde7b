import type { Recorder } from '../../data-plane/ports.ts'
import type { RecordDraft } from '../../data-plane/record.ts'
import { type Refusal, refuse } from '../../schema/refusals.ts'

/** A recorder that keeps everything in memory, for simulations: as the journal, but nothing survives the process. */
export class MemoryRecorder implements Recorder {
  readonly records: RecordDraft[] = []
  readonly intents = new Map<string, RecordDraft>()
  /** Set to refuse, as a full disk would. */
  isFull = false

  intend(draft: RecordDraft): Refusal | undefined {
    if (this.isFull) return refuse('recorder_unavailable')
    this.intents.set(draft.id, draft)
    return undefined
  }

  async record(draft: RecordDraft): Promise<Refusal | undefined> {
    this.records.push(draft)
    this.intents.delete(draft.id)
    return this.isFull ? refuse('recorder_unavailable') : undefined
  }
}
