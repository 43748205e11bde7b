import type { Bed } from '../bed.ts'
import { fullLoad } from '../load.ts'
import { paced, rateHeld } from '../paced.ts'
import type { Row, Sample } from '../row.ts'
import { sluice } from '../sluice.ts'
import { percentile } from '../statistics.ts'

/** From `record()` to its answer, noted in the gateway itself while `load` runs. */
async function waitsDuring(bed: Bed, load: () => Promise<unknown>): Promise<Sample> {
  const { said } = await sluice(bed, { timed: true })
  const take = async () => (await fetch(said.waits as string)).json() as Promise<number[]>
  await take()
  await load()
  const waits = await take()
  return { p50Ms: percentile(waits, 0.5), p99Ms: percentile(waits, 0.99) }
}

export const durabilityRows: Row[] = [
  {
    name: 'durable-paced',
    title: 'Wait until a record is durable, fixed rate',
    measure: async (bed) => {
      const gateway = await sluice(bed, { timed: true })
      const perS = await rateHeld(bed, gateway, false)
      return { perS, ...(await waitsDuring(bed, () => paced(gateway, false, perS, bed.length.roundS))) }
    },
  },
  {
    name: 'durable-full',
    title: 'Wait until a record is durable, full load',
    measure: async (bed) => {
      const gateway = await sluice(bed, { timed: true })
      return waitsDuring(bed, () => fullLoad(gateway, false, bed.length.roundS))
    },
  },
]
