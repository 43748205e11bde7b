import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import type { Recorder } from '../../data-plane/ports.ts'
import { chainStart } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'

/**
 * Which recorder a gateway of the bench runs with: the journal; the journal, whose durability no answer waits for; or one that
 * keeps nothing, so that the price of the others shows by comparison.
 */
export type RecorderPart = 'journal' | 'unwaited' | 'off'

const ackEveryMs = 50

export interface BenchRecorder {
  recorder: Recorder
  backlog: () => number
  /** Where there is one: a ledger keeps its leases in it. */
  journal?: JournalRecorder
}

/** Every draft is made, and dropped. */
export const noRecorder: BenchRecorder = {
  recorder: { intend: () => undefined, record: () => Promise.resolve(undefined) },
  backlog: () => 0,
}

/** The real journal. Its records are acknowledged as a control plane would do it, so that the disk does not fill. */
export async function journalRecorder(dataDir: string, tenant: string): Promise<BenchRecorder> {
  const epoch = 1
  const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'bench', version: '0' }
  const recorder = await JournalRecorder.open({ dataDir, identity })
  recorder.openEpoch(epoch)
  let durable = 0
  recorder.onDurable(() => durable++)
  setInterval(() => recorder.acked({ tenant, epoch, sequence: durable - 1, hash: chainStart }), ackEveryMs)
  return { recorder, backlog: () => recorder.backlog, journal: recorder }
}

/** All the work of a recorder, and no wait for it. */
export function unwaited({ recorder, backlog }: BenchRecorder): BenchRecorder {
  const record: Recorder['record'] = (draft) => {
    void recorder.record(draft)
    return Promise.resolve(undefined)
  }
  return { recorder: { intend: (draft) => recorder.intend(draft), record }, backlog }
}

/** A recorder that notes how long each record waited until it was durable. */
export function timed(recorder: Recorder): { recorder: Recorder; takeWaits: () => number[] } {
  let waits: number[] = []
  return {
    recorder: {
      intend: (draft) => recorder.intend(draft),
      record: async (draft) => {
        const startedMs = performance.now()
        const refusal = await recorder.record(draft)
        if (waits.length < waitsMax) waits.push(performance.now() - startedMs)
        return refusal
      },
    },
    takeWaits: () => {
      const taken = waits
      waits = []
      return taken
    },
  }
}

const waitsMax = 1_000_000
