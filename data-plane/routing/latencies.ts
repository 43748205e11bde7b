/** How one kind of answer came from one target lately. */
export interface Pace {
  /** Milliseconds until the first of a stream, or until the whole of a plain answer. */
  readonly firstMs: number
  /** Of a stream, after its first; 0 for a plain answer. */
  readonly perTokenMs: number
}

interface Estimate {
  firstMs: number
  perTokenMs: number
  /** How much the past counts against the next sample, which counts as one. */
  weight: number
  sampledMs: number
}

/** The past counts half after so long without a sample, */
const halfLifeMs = 10_000
/** and never as much as so many samples. */
const weightMax = 20
/** Older than this, an estimate is worth looking into. */
export const staleAfterMs = 60_000
/** Older than this, nothing is known. */
const forgottenAfterMs = 600_000
/** Far above any number of targets; wildcard models make keys of names that callers choose. */
const estimatesMax = 10_000

/** A moving estimate of how fast each target answers, by this process alone: in memory, bounded, fading with time. */
export class Latencies {
  readonly #estimates = new Map<string, Estimate>()

  /** `nowMs` is a clock that never goes back. A pace without a rate leaves the rate as it is. */
  note(key: string, streamed: boolean, pace: { firstMs: number; perTokenMs: number | null }, nowMs: number): void {
    const name = nameOf(key, streamed)
    const known = this.#estimates.get(name)
    const faded = known ? Math.min(weightMax - 1, known.weight * 0.5 ** ((nowMs - known.sampledMs) / halfLifeMs)) : 0
    const weight = faded + 1
    const toward = (before: number, sample: number) => before + (sample - before) / weight
    // Set anew, so that the map's order is that of the latest samples.
    this.#estimates.delete(name)
    this.#estimates.set(name, {
      firstMs: known ? toward(known.firstMs, pace.firstMs) : pace.firstMs,
      perTokenMs: known ? toward(known.perTokenMs, pace.perTokenMs ?? known.perTokenMs) : (pace.perTokenMs ?? 0),
      weight,
      sampledMs: nowMs,
    })
    if (this.#estimates.size > estimatesMax) this.#estimates.delete(this.#estimates.keys().next().value!)
  }

  /** Undefined where nothing is known, or too long ago. */
  of(key: string, streamed: boolean, nowMs: number): (Pace & { readonly ageMs: number }) | undefined {
    const known = this.#estimates.get(nameOf(key, streamed))
    if (!known || nowMs - known.sampledMs > forgottenAfterMs) return undefined
    return { firstMs: known.firstMs, perTokenMs: known.perTokenMs, ageMs: nowMs - known.sampledMs }
  }
}

/** A stream is measured by its first event and a plain answer by its last: they do not compare. */
const nameOf = (key: string, streamed: boolean) => (streamed ? `${key} streamed` : key)
