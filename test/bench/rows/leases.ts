import type { Bed } from '../bed.ts'
import type { Row, Sample } from '../row.ts'
import { percentile } from '../statistics.ts'
import { controlPlane } from './records.ts'

/** Grants under four budgets at once, while records post to the same leases; deadlocks of the database are counted. */
async function grants(bed: Bed): Promise<Sample> {
  const { said } = await controlPlane(bed)
  const ms = bed.length.roundS * 1_000
  const answer = await fetch(`${said.orders}/leases?ms=${ms}`)
  const { latenciesMs, records, deadlocks } = (await answer.json()) as {
    latenciesMs: number[]
    records: number
    deadlocks: number
  }
  return {
    perS: (latenciesMs.length * 1_000) / ms,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    note: `beside ${Math.round((records * 1_000) / ms)} records/s; ${deadlocks} deadlocks`,
  }
}

export const leaseRows: Row[] = [
  {
    name: 'leases',
    title: 'grants under 4 budgets, 8 planes at once, records posted beside',
    measure: grants,
    target: {
      text: 'p99 ≤ 250 ms, no deadlock',
      met: ({ p99Ms, note }) => (p99Ms ?? Number.POSITIVE_INFINITY) <= 250 && note?.includes('; 0 deadlocks') === true,
    },
  },
]
