import { Broken } from './judge.ts'
import { type Breach, type Outcome, runSchedule } from './world.ts'

/** What many schedules came to. */
export interface Summary {
  schedules: number
  steps: number
  served: number
  refused: number
  judged: number
  lostIntents: number
  seconds: number
  firstRefusals: number[]
  onePool: number[]
  /** The sentences of those that broke a promise; each begins with its seed. */
  broken: string[]
}

/** Runs the schedules of these seeds, one after the other, to the end of all. */
export function runSeeds(from: number, count: number): Summary {
  const startedMs = performance.now()
  const outcomes: Outcome[] = []
  const broken: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    const outcome = attempt(seed)
    if (typeof outcome === 'string') broken.push(outcome)
    else outcomes.push(outcome)
  }
  const sum = (name: 'steps' | 'served' | 'refused' | 'judged' | 'lostIntents') =>
    outcomes.reduce((total, outcome) => total + outcome[name], 0)
  return {
    schedules: count,
    ...{ steps: sum('steps'), served: sum('served'), refused: sum('refused'), judged: sum('judged') },
    lostIntents: sum('lostIntents'),
    seconds: (performance.now() - startedMs) / 1_000,
    firstRefusals: outcomes.flatMap(({ firstRefusals }) => firstRefusals),
    onePool: outcomes.flatMap(({ onePool }) => onePool),
    broken,
  }
}

/** The first seed at which the judge sees a breach; undefined where it sees it in none of them. */
export function firstCaught(make: () => Breach & { undo?: () => void }, count: number): number | undefined {
  for (let seed = 1; seed <= count; seed++) {
    const breach = make()
    try {
      runSchedule(seed, breach)
    } catch (cause) {
      if (cause instanceof Broken) return seed
      throw cause
    } finally {
      breach.undo?.()
    }
  }
  return undefined
}

function attempt(seed: number): Outcome | string {
  try {
    return runSchedule(seed)
  } catch (cause) {
    if (cause instanceof Broken) return cause.message
    throw cause
  }
}
