/** One attempt as everybody sees it afterwards: what it might have cost, what it did cost, and from when to when it ran. */
export interface PoolRequest {
  fromMs: number
  toMs: number
  ceiling: bigint
  cost: bigint
  /** Names of the counters it falls under. */
  counters: readonly string[]
}

export interface PoolRefusal {
  counter: string
  /** Of that counter's limit, at the first refusal under it, in percent. */
  spentPercent: number
}

/**
 * What one pool that knows everything at once would have done with the same requests: it, too, must keep a ceiling for each
 * request under way, and so refuses before all is spent. Answers its first refusal under each counter.
 */
export function firstRefusals(requests: readonly PoolRequest[], limits: ReadonlyMap<string, bigint>): PoolRefusal[] {
  const spent = new Map<string, bigint>()
  const reserved = new Map<string, bigint>()
  const refusals = new Map<string, PoolRefusal>()
  const running: PoolRequest[] = []
  const add = (sums: Map<string, bigint>, { counters }: PoolRequest, amount: bigint) => {
    for (const counter of counters) sums.set(counter, (sums.get(counter) ?? 0n) + amount)
  }
  const settle = (untilMs: number) => {
    running.sort((a, b) => b.toMs - a.toMs)
    while (running.length > 0 && running.at(-1)!.toMs <= untilMs) {
      const request = running.pop()!
      add(reserved, request, -request.ceiling)
      add(spent, request, request.cost)
    }
  }
  for (const request of [...requests].sort((a, b) => a.fromMs - b.fromMs)) {
    settle(request.fromMs)
    const free = (counter: string) => limits.get(counter)! - (spent.get(counter) ?? 0n) - (reserved.get(counter) ?? 0n)
    const lacking = request.counters.filter((counter) => limits.has(counter) && free(counter) < request.ceiling)
    for (const counter of lacking)
      if (!refusals.has(counter))
        refusals.set(counter, { counter, spentPercent: percentOf(spent.get(counter) ?? 0n, limits.get(counter)!) })
    if (lacking.length > 0) continue
    add(reserved, request, request.ceiling)
    running.push(request)
  }
  return [...refusals.values()]
}

/** With two digits after the point. */
export const percentOf = (part: bigint, whole: bigint) => (whole === 0n ? 100 : Number((part * 10_000n) / whole) / 100)
