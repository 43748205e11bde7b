/** For how long ahead a plane holds money, and how long it runs without its control plane. */
export const horizonMs = 60_000
/** What was spent or reserved counts for about this long. */
const memoryMs = 10_000

/** How much money a counter needs here: what it spends a second, and what its requests hold at the same time. */
export class Demand {
  /** Posted since the last tick. */
  spent = 0n
  /** The most that was reserved at once since the last tick. */
  peak = 0n
  /** At 10⁻¹², as estimates; money itself is never a float. */
  perSecond = 0
  #inUse = 0

  tick(elapsedMs: number): void {
    const kept = Math.exp(-elapsedMs / memoryMs)
    const lately = (Number(this.spent) * 1_000) / Math.max(elapsedMs, 1)
    this.perSecond = this.perSecond * kept + lately * (1 - kept)
    this.#inUse = Math.max(this.#inUse * kept, Number(this.peak))
    this.spent = 0n
    this.peak = 0n
  }

  /** Nothing was asked of it for a while. */
  rest(): void {
    this.perSecond = 0
    this.#inUse = 0
  }

  /** What should be held, reserved money included, to go on for so long. */
  over(ms: number): bigint {
    return amountOf((this.perSecond * ms) / 1_000 + Math.max(this.#inUse, Number(this.peak)))
  }

  /** Below this much free money the rest of a horizon's third is not covered. */
  get low(): bigint {
    return amountOf((this.perSecond * horizonMs) / 3_000)
  }

  /**
   * What a want states: spending alone says too little where requests reserve far more than they cost, so it is the rate whose
   * horizon is all that is needed, with what waits for money now.
   */
  statedPerSecond(waiting: bigint): bigint {
    return amountOf((Number(this.over(horizonMs) + waiting) * 1_000) / horizonMs)
  }
}

/** Statements on the link have 26 digits before the point; far less than that is asked for. */
const amountMax = 1e30
const amountOf = (estimate: number) => BigInt(Math.ceil(Math.min(estimate, amountMax)))
