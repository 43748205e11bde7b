import type { Bed } from './bed.ts'

/** One measurement of a row. What a row has no figure for is absent. */
export interface Sample {
  /** Answers a second. */
  perS?: number
  /** CPU of everything under test, user and system, for one request. */
  cpuUs?: number
  p50Ms?: number
  p99Ms?: number
  /** The longest work between two turns of the event loop of what is measured, by its thread's CPU time. */
  pauseMs?: number
  /** Resident memory, 10⁶ bytes. */
  rssMb?: number
  /** What the figures alone do not say, for the last column. */
  note?: string
}

/** A row of the table. A new idea is a new file in `rows/` and its name in `rows/index.ts`. */
export interface Row {
  name: string
  title: string
  /** The row it is held against, measured in the same round: as a ratio of rates, or as latency that is added to it. */
  against?: { row: string; as: 'ratio' | 'added' }
  /** Measured once, after all rounds. */
  once?: boolean
  measure(bed: Bed): Promise<Sample>
  target?: Target
}

/** What the row should come to. `met` is asked of the medians. */
export interface Target {
  text: string
  met(result: Result): boolean
}

/** Medians over the rounds; with `as: 'added'` the latencies are what was added. */
export interface Result extends Sample {
  /** Median of the rounds' ratios to the row it is held against. */
  ratio?: number
}
