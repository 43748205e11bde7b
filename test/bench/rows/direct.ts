import { measureFullLoad } from '../load.ts'
import type { Row } from '../row.ts'

/** The load straight at the upstream: what the other core can give at all. */
const direct = (streamed: boolean): Row => ({
  name: streamed ? 'direct-stream' : 'direct-plain',
  title: `No proxy at all, ${streamed ? 'streamed' : 'plain'}`,
  against: { row: streamed ? 'bare-stream' : 'bare-plain', as: 'ratio' },
  measure: async (bed) => ({
    ...(await measureFullLoad(bed, 'stub', await bed.stub(), streamed)),
    rssMb: undefined,
    cpuUs: undefined,
  }),
})

export const directRows = [direct(false), direct(true)]
