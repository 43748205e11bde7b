import { measureFullLoad } from '../load.ts'
import type { Row, Target } from '../row.ts'
import { type Parts, sluice } from '../sluice.ts'

const half: Target = { text: '≥ 0.50', met: ({ ratio }) => ratio! >= 0.5 }

/** The gateway at full load, whole and with one part off: the difference is what the part costs. */
const row = (name: string, title: string, streamed: boolean, parts: Parts, target?: Target): Row => ({
  name,
  title,
  against: { row: streamed ? 'bare-stream' : 'bare-plain', as: 'ratio' },
  measure: async (bed) => measureFullLoad(bed, name, await sluice(bed, parts), streamed),
  ...(target && { target }),
})

export const sluiceRows = [
  row('sluice-plain', 'Sluice, plain', false, {}, half),
  row('sluice-plain-off', 'Sluice, plain, journal off', false, { recorder: 'off' }),
  row('sluice-stream', 'Sluice, streamed', true, {}, half),
  row('sluice-stream-off', 'Sluice, streamed, journal off', true, { recorder: 'off' }),
]
