/** Chance that can be repeated: the same seed gives the same numbers. */
export interface Chance {
  /** From `least` up to but not including `most`. */
  between(least: number, most: number): number
  /** The same items in another order. */
  shuffled<T>(items: readonly T[]): T[]
}

/** Mulberry32: enough to choose moments and victims, not for secrets. */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    between: (least, most) => least + next() * (most - least),
    shuffled: (items) =>
      items
        .map((item) => ({ item, at: next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ item }) => item),
  }
}
