import { chanceOf } from '../prove/parts/chance.ts'

/** Everything that a schedule leaves to chance; the same seed gives the same schedule. */
export interface Dice {
  /** From `least` up to and including `most`. */
  int(least: number, most: number): number
  /** True in this share of all throws. */
  odds(share: number): boolean
  pick<T>(items: readonly T[]): T
  /** Milliseconds until the next of events that come every `meanMs` on average. */
  waitMs(meanMs: number): number
  /** An amount from `least` up to `most`, in steps that are no round number. */
  amount(least: bigint, most: bigint): bigint
}

export function diceOf(seed: number): Dice {
  const { between } = chanceOf(seed)
  const int = (least: number, most: number) => Math.floor(between(least, most + 1))
  return {
    int,
    odds: (share) => between(0, 1) < share,
    pick: (items) => items[int(0, items.length - 1)]!,
    waitMs: (meanMs) => Math.max(0.01, -Math.log(1 - between(0, 1)) * meanMs),
    amount: (least, most) => least + ((most - least) * BigInt(int(0, 1_000_003))) / 1_000_003n,
  }
}
