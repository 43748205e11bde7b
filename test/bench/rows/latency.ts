import type { Bed, Subject } from '../bed.ts'
import { paced, rateHeld } from '../paced.ts'
import type { Row, Sample } from '../row.ts'
import { sluice } from '../sluice.ts'
import { percentile } from '../statistics.ts'

/** At a fixed rate: the time to the whole answer of a plain request, to the first token of a stream. */
async function atFixedRate(bed: Bed, subject: Subject, streamed: boolean): Promise<Sample> {
  const perS = await rateHeld(bed, await sluice(bed), streamed)
  await bed.once(`warm paced ${subject.url} ${streamed}`, () => paced(subject, streamed, perS, bed.length.warmUpS))
  const seen = await paced(subject, streamed, perS, bed.length.roundS)
  const times = streamed ? seen.firstMs : seen.wholeMs
  return { perS: seen.sent / seen.tookS, p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99) }
}

const addedTo = (row: string) => ({ row, as: 'added' }) as const

export const latencyRows: Row[] = [
  {
    name: 'direct-paced',
    title: 'No proxy, at a fixed rate',
    measure: async (bed) => atFixedRate(bed, await bed.stub(), false),
  },
  {
    name: 'sluice-added',
    title: 'Sluice adds, to a whole plain answer',
    against: addedTo('direct-paced'),
    measure: async (bed) => atFixedRate(bed, await sluice(bed), false),
  },
  {
    name: 'sluice-added-unwaited',
    title: 'Sluice adds, durability not waited for',
    against: addedTo('direct-paced'),
    measure: async (bed) => atFixedRate(bed, await sluice(bed, { recorder: 'unwaited' }), false),
    target: { text: 'p50 ≤ 0.3, p99 ≤ 2', met: ({ p50Ms, p99Ms }) => p50Ms! <= 0.3 && p99Ms! <= 2 },
  },
  {
    name: 'direct-token',
    title: 'No proxy, to the first token',
    measure: async (bed) => atFixedRate(bed, await bed.stub(), true),
  },
  {
    name: 'sluice-token',
    title: 'Sluice adds, to the first token',
    against: addedTo('direct-token'),
    measure: async (bed) => atFixedRate(bed, await sluice(bed), true),
    target: { text: 'p99 ≤ 2', met: ({ p99Ms }) => p99Ms! <= 2 },
  },
]
