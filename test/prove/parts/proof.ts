/** One black-box story of a capability: it starts the real processes by their public commands and drives them with real clients. */
export interface Proof {
  /** One sentence: what is shown. */
  shows: string
  run(options: ProofOptions): Promise<Finding>
}

export interface ProofOptions {
  /** Fewer rounds, never fewer checks: at most 90 s. */
  length: 'quick' | 'default' | 'full'
  /** Progress, on stderr. */
  say: (sentence: string) => void
}

export interface Finding {
  /** What was measured, in the order in which it is printed. */
  figures: Record<string, string | number>
  /** Promises that were not kept, one sentence each. */
  short: string[]
}

/** Gathers what does not hold instead of stopping at the first. */
export class Checks {
  readonly short: string[] = []

  /** Notes a promise that is not kept. */
  that(holds: boolean, sentence: string): void {
    if (!holds) this.short.push(sentence)
  }

  equal(what: string, actual: unknown, expected: unknown): void {
    const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)]
    this.that(is === should, `${what}: ${is} instead of ${should}`)
  }
}
