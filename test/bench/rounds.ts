import type { Bed } from './bed.ts'
import type { Result, Row, Sample } from './row.ts'
import { median } from './statistics.ts'

/** A row with the sample of each round and what they come to. */
export interface Measured {
  row: Row
  samples: Sample[]
  result: Result
}

/** Measures every row once a round, so that what disturbs the machine disturbs all alike; then those measured once. */
export async function measureRounds(rows: Row[], bed: Bed): Promise<Measured[]> {
  const samples = new Map<string, Sample[]>(rows.map(({ name }) => [name, []]))
  const { rounds } = bed.length
  for (let round = 1; round <= rounds; round++)
    for (const row of rows.filter(({ once }) => !once)) {
      console.error(`bench: round ${round} of ${rounds}: ${row.title}`)
      samples.get(row.name)!.push(await row.measure(bed))
    }
  for (const row of rows.filter(({ once }) => once)) samples.get(row.name)!.push(await row.measure(bed))
  return rows.map((row) => {
    const own = samples.get(row.name)!
    return { row, samples: own, result: resultOf(own, row.against, samples.get(row.against?.row ?? '')) }
  })
}

/** Medians of the rounds. Against another row each round is compared with that row's sample of the same round first. */
export function resultOf(own: Sample[], against: Row['against'], other: Sample[] | undefined): Result {
  const compared = own.map((sample, round) => (against && other ? compare(sample, other[round]!, against.as) : sample))
  const result: Result = {}
  for (const key of ['perS', 'ratio', 'cpuUs', 'p50Ms', 'p99Ms', 'pauseMs', 'rssMb'] as const) {
    const values = compared.map((sample: Result) => sample[key]).filter((value) => value !== undefined)
    if (values.length > 0) result[key] = median(values)
  }
  const note = own.at(-1)?.note
  return note === undefined ? result : { ...result, note }
}

function compare(sample: Sample, other: Sample, as: 'ratio' | 'added'): Result {
  if (as === 'ratio') return { ...sample, ratio: sample.perS! / other.perS! }
  return { ...sample, p50Ms: sample.p50Ms! - other.p50Ms!, p99Ms: sample.p99Ms! - other.p99Ms! }
}
